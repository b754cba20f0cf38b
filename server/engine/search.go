package engine

import (
	"cmp"
	"context"
	"errors"
	"runtime"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// Question is what a search or an aggregation asks (AWS IoT reference 3.5 and 3.6).
type Question struct {
	Index   string // empty is [IndexName]
	Query   string
	Version string // empty is [QueryVersion]

	// alone asks as the query of a dynamic group does, which does not see the
	// dynamic groups that things are in.
	alone bool
}

// Found is a thing that a search found.
type Found struct {
	*index.Document
	// Groups are the thing's dynamic groups, by name.
	Groups []protocol.ThingGroupName
}

// Search finds things by a query, in the order of their names; next is the
// cursor of the page that follows, empty behind the last. What was acknowledged
// before is seen, and what is seen is durable. Errors are *protocol.Error:
// NotFound of an index that is off, IndexNotReady of one that is BUILDING,
// InvalidQuery, InvalidRequest, and Unavailable when the fleet had to be loaded
// again meanwhile.
func Search(ctx context.Context, e *Engine, ask Question, p Page) (found []Found, next string, err error) {
	var docs []*index.Document
	var more bool
	err = e.search(ctx, ask, nil,
		func(s *index.Selection) { docs, more = s.Page(protocol.ThingName(p.After), p.Max) },
		func(v *View) {
			for _, d := range docs {
				found = append(found, Found{d, v.t.matcher.GroupsOf(d)})
			}
		})
	if err != nil {
		return nil, "", err
	}
	if more {
		next = string(docs[len(docs)-1].Thing())
	}
	return found, next, nil
}

// Select runs a search and calls see with what it found, off the loop; see must
// not keep the selection. The rest is as of [Search].
func Select(ctx context.Context, e *Engine, ask Question, see func(*index.Selection)) error {
	return e.search(ctx, ask, nil, see, func(*View) {})
}

// errStale says that a search looked at a state that was thrown away meanwhile.
var errStale = protocol.Errorf(protocol.Unavailable, "the fleet was loaded again while it was searched: try again")

// search runs a search between two visits to the loop. The first checks what
// is asked and takes the index: what was acknowledged before is in it. The
// search itself, and see, which looks at what was found, run on the caller's
// goroutine while the loop goes on. The second calls show, and makes what was
// seen durable, because it is answered only after everything before it is; if
// the loop lost its state meanwhile, everything begins anew.
func (e *Engine) search(ctx context.Context, ask Question, check func(*state) error, see func(*index.Selection), show func(*View)) error {
	select {
	case e.searches <- struct{}{}:
		defer func() { <-e.searches }()
	case <-ctx.Done():
		return ctx.Err()
	}
	const attempts = 3
	err := error(errStale)
	for i := 0; i < attempts && errors.Is(err, errStale); i++ {
		err = e.searchOnce(ctx, ask, check, see, show)
	}
	return err
}

func (e *Engine) searchOnce(ctx context.Context, ask Question, check func(*state) error, see func(*index.Selection), show func(*View)) error {
	var of *state
	var find *index.Find
	err := Read(ctx, e, func(v *View) error {
		ix, q, err := ask.open(v.t.state)
		if err == nil && check != nil {
			err = check(v.t.state)
		}
		if err == nil {
			of, find = v.t.state, ask.find(ix, q)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := finish(ctx, find); err != nil {
		return err
	}
	see(find.Selection())
	return Read(ctx, e, func(v *View) error {
		if v.t.state != of {
			return errStale
		}
		show(v)
		return nil
	})
}

func (ask Question) find(ix *index.Index, q *query.Query) *index.Find {
	if ask.alone {
		return ix.FindAlone(q)
	}
	return ix.Find(q)
}

// finish steps a search to its end. Between two steps others may have the
// processor, and the search is given up if nobody waits for it any more.
func finish(ctx context.Context, find *index.Find) error {
	for find.Step() {
		if err := ctx.Err(); err != nil {
			find.Close()
			return err
		}
		runtime.Gosched()
	}
	return nil
}

// open returns the index that is asked and the query, after their checks.
func (ask Question) open(s *state) (*index.Index, *query.Query, error) {
	if version := cmp.Or(ask.Version, QueryVersion); version != QueryVersion {
		return nil, nil, protocol.Errorf(protocol.InvalidRequest, "query version %q is not %s", version, QueryVersion)
	}
	name := cmp.Or(ask.Index, IndexName)
	ix, status, schema := s.index, s.indexing.Status, query.Things
	switch name {
	case IndexName:
	case index.GroupsName:
		ix, status, schema = s.groupIndex, s.indexing.GroupStatus, query.ThingGroups
	default:
		return nil, nil, protocol.Errorf(protocol.NotFound, "index %q does not exist: there are %s and %s", name, IndexName, index.GroupsName)
	}
	switch status {
	case IndexOff:
		return nil, nil, protocol.Errorf(protocol.NotFound, "index %s is off: switch it on with UpdateIndexingConfiguration", name)
	case IndexBuilding:
		return nil, nil, protocol.Errorf(protocol.IndexNotReady, "index %s is BUILDING: try again when it is ACTIVE", name)
	}
	q, err := query.ParseWithin(schema, ask.Query, s.queryLimits(s.cfg.Rules.QueryTerms))
	return ix, q, err
}
