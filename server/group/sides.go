package group

import (
	"slices"

	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// side is a document before or after a change.
type side int

const (
	before side = iota
	after
)

func (s side) other() side { return before + after - s }

// sides are the documents of the change that is being looked at, and what has
// been found out about them. Nothing is looked up twice and, once a matcher
// has seen some changes, nothing is allocated.
type sides struct {
	docs  [2]*index.Document // nil: no such thing, so that no literal is true
	views [2][]view          // by number of field
	round uint64             // numbers the changes
	pass  uint64             // numbers the searches for literals
}

// view is a field of a document.
type view struct {
	round    uint64 // of which the rest is
	values   []query.Value
	selected []*literal // of those that select, the true ones
}

// begin turns to another change.
func (s *sides) begin(c index.Change) {
	s.docs = [2]*index.Document{c.Old, c.New}
	s.round++
}

// end lets go of the documents.
func (s *sides) end() { s.docs = [2]*index.Document{} }

// grow makes room for views of the fields up to a number.
func (s *sides) grow(number int) {
	for i := range s.views {
		for len(s.views[i]) <= number {
			s.views[i] = append(s.views[i], view{})
		}
	}
}

// view looks at a field of a side. Both sides of a field that has not changed
// are one.
func (s *sides) view(on side, f *field) *view {
	if on == before && f.changed != s.round {
		on = after
	}
	v := &s.views[on][f.number]
	if v.round == s.round {
		return v
	}
	v.round, v.values, v.selected = s.round, nil, v.selected[:0]
	if doc := s.docs[on]; doc != nil {
		v.values = doc.Values(f.name)
	}
	s.pass++
	v.selected = f.selected(v.values, s.pass, v.selected)
	return v
}

// allTrue reports whether a side satisfies a conjunction.
func (s *sides) allTrue(on side, c *conjunction) bool {
	for _, l := range c.signs {
		if s.isTrue(on, l.literal) == l.negated {
			return false
		}
	}
	return true
}

// isTrue reports whether a literal is true on a side.
func (s *sides) isTrue(on side, l *literal) bool {
	switch {
	case l.selects():
		return slices.Contains(s.view(on, l.field).selected, l)
	case l.kind == ofNumber:
		return l.someNumber(s.view(on, l.field).values)
	case l.asked[on] != s.round:
		l.asked[on], l.holds[on] = s.round, s.evaluate(on, l)
	}
	return l.holds[on]
}

func (l *literal) someNumber(values []query.Value) bool {
	for i := range values {
		if v := &values[i]; v.IsNum && l.span.Contains(v.Num) {
			return true
		}
	}
	return false
}

// evaluate asks the document about a literal that its field does not tell of
// at once.
func (s *sides) evaluate(on side, l *literal) bool {
	doc := s.docs[on]
	switch {
	case doc == nil:
		return false
	case l.kind == ofPath:
		return doc.Has(l.field.name)
	case l.field.name == "":
		found := false
		doc.Each(func(v query.Value) bool {
			found = l.cond.Match(v)
			return !found
		})
		return found
	}
	for _, v := range s.view(on, l.field).values {
		if l.cond.Match(v) {
			return true
		}
	}
	return false
}
