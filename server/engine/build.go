package engine

import (
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
)

const (
	// slice bounds the things that one step of background work evaluates.
	slice = 256
	// glance bounds those that it only compares with what a search found.
	glance = 1024
)

// building is a group that is evaluated over the whole index, a slice at a
// time, while changes stream in. The matcher knows the query before the index is
// searched, and keeps right whatever changes from then on; so what the search
// found may be old when it is used, and only things whose membership differs
// from it have to be looked at: each as it is by then.
type building struct {
	group      *groupEntry
	generation int64
	find       *index.Find
	found      *roaring.Bitmap
	// pieces are what is left to do: each yields some things to evaluate, and
	// whether it has more.
	pieces []piece
}

type piece func(t *tx) (docs []*index.Document, more bool)

// build evaluates a group anew. A newer query of the group ends the older build.
func (s *state) build(g *groupEntry) {
	b := &building{group: g, generation: g.Generation}
	if g.query.HasFieldless() {
		// A search also sees the names of dynamic groups, which a group must not.
		b.pieces = []piece{b.everything()}
	}
	g.progress = BuildProgress{}
	s.background = append(s.background, b.step)
}

func (b *building) step(t *tx) error {
	g := b.group
	if t.groups[g.Name] != g || g.Generation != b.generation || !g.Status.NeedsScan() {
		if b.find != nil {
			b.find.Close()
		}
		return nil
	}
	if b.pieces == nil {
		b.search(t)
		t.later(b.step)
		return nil
	}
	docs, more := b.pieces[0](t)
	t.movedAll(t.matcher.Scan(g.Name, docs))
	if !more {
		b.pieces = b.pieces[1:]
	}
	if len(b.pieces) > 0 {
		t.later(b.step)
		return nil
	}
	t.activate(g)
	return nil
}

// search takes a step of the search; at its end it is known what there is to do.
func (b *building) search(t *tx) {
	name := b.group.Name
	if b.find == nil {
		b.find = t.index.Find(b.group.query)
	}
	if b.find.Step() {
		return
	}
	b.found = b.find.Selection().IDs()
	refused := t.matcher.Refused(name)
	b.group.progress.Of = int(b.found.GetCardinality()) + t.matcher.Count(name) + len(refused)
	b.pieces = []piece{b.joiners(), b.leavers(), b.refused(refused), b.waiting()}
}

// joiners yields the things that were found and are neither members nor refused.
func (b *building) joiners() piece {
	ids := b.found.Iterator()
	return func(t *tx) (docs []*index.Document, more bool) {
		for range glance {
			if !ids.HasNext() || len(docs) == slice {
				break
			}
			b.group.progress.Scanned++
			doc := t.index.At(ids.Next())
			if doc != nil && !t.matcher.Contains(b.group.Name, doc.Thing()) && !t.matcher.Refuses(b.group.Name, doc.Thing()) {
				docs = append(docs, doc)
			}
		}
		return docs, ids.HasNext()
	}
}

// leavers yields the members that were not found.
func (b *building) leavers() piece {
	var after protocol.ThingName
	return func(t *tx) (docs []*index.Document, more bool) {
		members, more := t.matcher.Page(b.group.Name, after, glance)
		for i, n := range members {
			if len(docs) == slice {
				return docs, i < len(members)
			}
			after = n
			b.group.progress.Scanned++
			docs = b.unlessFound(docs, t.index.Get(n))
		}
		return docs, more
	}
}

// refused yields those of the things without room for the group that were not
// found: they are not to be admitted when they have room.
func (b *building) refused(things []protocol.ThingName) piece {
	return func(t *tx) (docs []*index.Document, more bool) {
		n := min(slice, len(things))
		for _, thing := range things[:n] {
			b.group.progress.Scanned++
			docs = b.unlessFound(docs, t.index.Get(thing))
		}
		things = things[n:]
		return docs, len(things) > 0
	}
}

// waiting yields the things whose membership waits for the debounce, whatever
// was found: it waits no longer.
func (b *building) waiting() piece {
	return func(t *tx) (docs []*index.Document, more bool) {
		for _, thing := range slices.Sorted(maps.Keys(b.group.waits)) {
			if len(docs) == slice {
				return docs, true
			}
			docs = append(docs, t.index.Get(thing))
		}
		return docs, false
	}
}

func (b *building) unlessFound(docs []*index.Document, doc *index.Document) []*index.Document {
	if doc == nil || b.found.Contains(doc.ID()) {
		return docs
	}
	return append(docs, doc)
}

// everything yields all things, in the order of their names.
func (b *building) everything() piece {
	var after protocol.ThingName
	return func(t *tx) (docs []*index.Document, more bool) {
		docs = t.index.Range(after, slice)
		b.group.progress.Scanned += len(docs)
		b.group.progress.Of = t.index.Len()
		if len(docs) < slice {
			return docs, false
		}
		after = docs[len(docs)-1].Thing()
		return docs, true
	}
}

// movedAll is moved for every thing of memberships in which those of one
// thing stand together.
func (t *tx) movedAll(moves []group.Membership) {
	for len(moves) > 0 {
		thing, n := moves[0].Thing, 1
		for n < len(moves) && moves[n].Thing == thing {
			n++
		}
		t.moved(*t.names[thing].thing, moves[:n], false)
		moves = moves[n:]
	}
}

// activate ends BUILDING or REBUILDING.
func (t *tx) activate(g *groupEntry) {
	g.moveOn(group.Scanned)
	t.putGroup(g)
	t.activated(g)
}
