package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// MaxPreviewed bounds the things that a preview names.
const MaxPreviewed = 100

// QueryPreview asks what a query would be as that of a dynamic thing group.
type QueryPreview struct {
	Query string
	// Group is an existing dynamic group whose query this would become; empty
	// is a new group.
	Group protocol.ThingGroupName
	// Thing is one to which the query is explained; empty is none.
	Thing protocol.ThingName
	// First is how many members are named, at most [MaxPreviewed].
	First int
}

// QueryPreviewed is what a query would match now.
type QueryPreviewed struct {
	Query *query.Query
	// Limits are those that the query keeps.
	Limits query.Limits
	Count  int
	// First are the first things that it matches, by name.
	First []protocol.ThingName
	// Joining and Leaving count what an existing group would gain and lose.
	Joining, Leaving int
	Lints            []Lint
	// Explanation is that of the thing asked for, nil if none was.
	Explanation *query.Explanation
}

// Lint is something about a query that may not be meant.
type Lint struct {
	Code LintCode `json:"code"`
	Text string   `json:"text"`
	// Field is the field that it is about, Things how many things it concerns.
	Field  string `json:"field,omitempty"`
	Things int    `json:"things,omitempty"`
}

// LintCode names a kind of lint.
type LintCode string

// The lints of queries.
const (
	// LintConnectivity: the query names connectivity (rule 13).
	LintConnectivity LintCode = "connectivity"
	// LintNeverReported: a negation also matches things without the field (rule 3).
	LintNeverReported LintCode = "never-reported"
	// LintNotIndexed: a field is not indexed by the configuration.
	LintNotIndexed LintCode = "not-indexed"
	// LintNeverSeen: no thing has the field.
	LintNeverSeen LintCode = "never-seen"
)

// PreviewQuery says what a query would match, and changes nothing. It is
// refused as the creation of the group would be, or with a NotFound of the
// group or thing it names.
func PreviewQuery(ctx context.Context, e *Engine, ask QueryPreview) (QueryPreviewed, error) {
	if ask.First < 0 || ask.First > MaxPreviewed {
		return QueryPreviewed{}, protocol.Errorf(protocol.InvalidRequest, "first is %d, want 0 to %d", ask.First, MaxPreviewed)
	}
	var p QueryPreviewed
	var fleet indexed
	err := Read(ctx, e, func(v *View) (err error) {
		fleet = indexed{v.t.indexing.Thing, v.t.index.Len()}
		p, err = v.t.previewQuery(ask)
		return err
	})
	if err != nil {
		return QueryPreviewed{}, err
	}
	var matching *roaring.Bitmap
	err = e.search(ctx, Question{Query: ask.Query, alone: true}, nil,
		func(s *index.Selection) { matching = p.see(s, ask.First) },
		func(v *View) {
			if ask.Group != "" {
				same := v.t.matcher.Shared(ask.Group, matching)
				p.Joining, p.Leaving = p.Count-same, v.t.matcher.Count(ask.Group)-same
			}
		})
	if err != nil {
		return QueryPreviewed{}, err
	}
	p.Lints, err = lint(ctx, e, p.Query, fleet, matching)
	return p, err
}

func (s *state) previewQuery(ask QueryPreview) (p QueryPreviewed, err error) {
	if ask.Group != "" {
		if _, err := s.groupOf(ask.Group, true); err != nil {
			return p, err
		}
	}
	if p.Query, err = s.groupQuery(ask.Group, ask.Query); err != nil {
		return p, err
	}
	p.Limits = s.queryLimits(s.cfg.Rules.GroupQueryTerms)
	if ask.Thing == "" {
		return p, nil
	}
	if _, err := s.registered(ask.Thing); err != nil {
		return p, err
	}
	if doc := s.index.Get(ask.Thing); doc != nil {
		p.Explanation = new(p.Query.Explain(doc))
	}
	return p, nil
}

// see takes down what was found, and returns the numbers of what matches.
func (p *QueryPreviewed) see(s *index.Selection, first int) *roaring.Bitmap {
	p.First, p.Count = nil, s.Count()
	if first > 0 {
		docs, _ := s.Page("", first)
		for _, d := range docs {
			p.First = append(p.First, d.Thing())
		}
	}
	return s.IDs().Clone()
}

// indexed is what the index holds of how many things.
type indexed struct {
	config index.Config
	things int
}

// lint looks for what may not be meant: at the text of the query, and at the
// things that have the fields which it names.
func lint(ctx context.Context, e *Engine, q *query.Query, fleet indexed, matching *roaring.Bitmap) ([]Lint, error) {
	lints := []Lint{}
	if slices.ContainsFunc(q.Fields(), index.IsConnectivity) {
		lints = append(lints, Lint{
			Code: LintConnectivity,
			Text: "the query names connectivity; jobs already wait for offline devices; drop it unless you mean it",
		})
	}
	denials := q.Denials()
	for _, field := range q.Fields() {
		if !fleet.config.Covers(field) {
			lints = append(lints, Lint{Code: LintNotIndexed, Field: field, Text: fmt.Sprintf("%s is not indexed: no thing has it until the indexing configuration includes it", field)})
			continue
		}
		having, err := things(ctx, e, query.Having(field))
		if err != nil {
			return nil, err
		}
		if having.IsEmpty() && fleet.things > 0 {
			lints = append(lints, Lint{Code: LintNeverSeen, Field: field, Text: fmt.Sprintf("no thing has %s at present: is it spelled as it is reported?", field)})
			continue
		}
		lacking := roaring.AndNot(matching, having)
		if without := int(lacking.GetCardinality()); denials[field] != "" && without > 0 {
			lints = append(lints, Lint{
				Code: LintNeverReported, Field: field, Things: without,
				Text: fmt.Sprintf("%s also matches things that never reported it: %d of those that match have no %s; add %s to leave them out", denials[field], without, field, query.Having(field)),
			})
		}
	}
	return lints, nil
}

// things returns the numbers of the things that a query matches.
func things(ctx context.Context, e *Engine, text string) (ids *roaring.Bitmap, err error) {
	err = Select(ctx, e, Question{Query: text}, func(s *index.Selection) { ids = s.IDs().Clone() })
	return ids, err
}
