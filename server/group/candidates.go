package group

import (
	"math"

	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// search finds the groups that a change touches. What it holds is scratch of
// the change that is being looked at.
type search struct {
	sides
	flips   []flip
	moved   []*field // changed fields on which there are literals of numbers
	trials  []*literal
	touched []decision
}

// flip is a literal that is true on one side of a change only.
type flip struct {
	*literal
	on side // where it is true
}

// decision is a group and whether its query matches.
type decision struct {
	*entry
	matches bool
}

// touches finds the groups whose query a change of a thing that is there may
// have flipped, and asks each. If a query changes its answer, one of its
// conjunctions does, so a literal of that has flipped, and on one of the sides
// all others are true as well: what is not found that way is not touched. The
// answer is scratch.
func (m *Matcher) touches(c index.Change) []decision {
	m.begin(c)
	m.flips, m.moved, m.touched = m.flips[:0], m.moved[:0], m.touched[:0]
	m.findFlips(c.Fields)
	for _, f := range m.flips {
		m.follow(f.decides[0], f.on)
		m.follow(f.decides[1], f.on.other())
	}
	for _, f := range m.moved {
		m.followNumbers(f)
	}
	if c.Old == nil {
		for _, c := range m.unconditional {
			m.visit(c, after)
		}
	}
	m.end()
	return m.touched
}

// follow visits the conjunctions behind paths that are true on a side.
func (s *search) follow(ps paths, on side) {
	for _, p := range ps {
		s.enter(p, on, nil)
	}
}

// followNumbers visits those with a literal on the numbers of a changed field.
// One that was true before under another selector than now is found by the flip
// of that.
func (s *search) followNumbers(f *field) {
	for _, p := range f.moved {
		s.enter(p, after, f)
	}
}

// enter visits what a path leads to on a side. Its fields have normally one
// true literal each; with many of several of them there would be more
// combinations than conjunctions.
func (s *search) enter(p *path, on side, moved *field) {
	combinations := 1
	for _, f := range p.fields {
		if combinations *= len(s.view(on, f).selected); combinations == 0 {
			return
		}
		combinations = min(combinations, math.MaxInt32)
	}
	if combinations <= p.count {
		s.combine(p, on, moved, 0, 0)
		return
	}
	for key := range p.plain {
		s.open(p, on, moved, key)
	}
	for key := range p.ranges {
		s.open(p, on, moved, key)
	}
}

// combine opens the place of every combination of true literals.
func (s *search) combine(p *path, on side, moved *field, depth int, key uint64) {
	if depth == len(p.fields) {
		s.open(p, on, moved, key)
		return
	}
	for _, l := range s.view(on, p.fields[depth]).selected {
		s.combine(p, on, moved, depth+1, extend(key, l))
	}
}

// open visits the conjunctions of a place.
func (s *search) open(p *path, on side, moved *field, key uint64) {
	switch r := p.ranges[key]; {
	case p.ranged == nil:
		for _, c := range p.plain[key] {
			s.visit(c, on)
		}
	case r == nil:
	case moved != nil:
		s.cross(r, moved)
	default:
		for i := range s.view(on, p.ranged).values {
			if v := &s.view(on, p.ranged).values[i]; v.IsNum {
				s.visitAround(r, v.Num, on)
			}
		}
	}
}

// visitAround visits the conjunctions whose literal holds of a number.
func (s *search) visitAround(r *ranges, n float64, on side) {
	for i := range r.lows {
		p := &r.lows[i]
		if p.at > n {
			break
		}
		if p.span.Contains(n) {
			s.visit(p.in, on)
		}
	}
	for i := len(r.highs) - 1; i >= 0 && r.highs[i].at >= n; i-- {
		p := &r.highs[i]
		if _, met := p.lowest(); !met && p.span.Contains(n) {
			s.visit(p.in, on)
		}
	}
}

// cross visits the conjunctions whose literal may have flipped with the
// numbers of a field: of one number that became another, those with a bound
// between the two.
func (s *search) cross(r *ranges, f *field) {
	old, new := s.view(before, f).values, s.view(after, f).values
	if len(old) == 1 && len(new) == 1 && old[0].IsNum && new[0].IsNum {
		s.crossed(r.lows, old[0].Num, new[0].Num)
		s.crossed(r.highs, old[0].Num, new[0].Num)
		return
	}
	for _, values := range [][]query.Value{old, new} {
		for i := range values {
			if values[i].IsNum {
				s.visitAround(r, values[i].Num, before)
				s.visitAround(r, values[i].Num, after)
			}
		}
	}
}

func (s *search) crossed(places []place, old, new float64) {
	last := max(old, new)
	for i := below(places, min(old, new)); i < len(places) && places[i].at <= last; i++ {
		if p := &places[i]; p.span.Contains(old) != p.span.Contains(new) {
			s.visit(p.in, before)
			s.visit(p.in, after)
		}
	}
}

// visit decides the groups of a conjunction that is true on a side.
func (s *search) visit(c *conjunction, on side) {
	if !s.allTrue(on, c) {
		return
	}
	known := on == after && !c.residual
	for _, e := range c.owners {
		if e.touched != s.round {
			e.touched = s.round
			s.touched = append(s.touched, decision{e, known || s.matches(e)})
		}
	}
}

// matches reports whether the new document matches the group's query.
func (s *search) matches(e *entry) bool {
	for _, c := range e.conjunctions {
		if c.residual {
			return e.query.Match(s.docs[after])
		}
		if s.allTrue(after, c) {
			return true
		}
	}
	return false
}
