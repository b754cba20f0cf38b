package group

import (
	"cmp"
	"slices"
)

// conjunction is a set of literals that groups ask for together; groups with
// the same share it.
type conjunction struct {
	key   string
	signs []signed
	// triggers are the literals that it is filed under: its own, or, of a
	// residual one, all that its query has.
	triggers []*literal
	residual bool
	owners   []*entry
}

// signed is a literal that has to be true, or false.
type signed struct {
	*literal
	negated bool
}

// paths lead from a trigger (a literal, or the numbers of a field) to the
// conjunctions that it is in and whose other literals may be true of a
// document: there is one for each set of fields that conjunctions select by.
type paths []*path

// path has conjunctions by the literals that select them, one of each of its
// fields. With no fields all of them are in one place.
type path struct {
	fields []*field // by number
	count  int
	// ranged is the field by whose numbers the conjunctions in one place are
	// told apart; nil if they are not.
	ranged *field
	plain  map[uint64][]*conjunction
	ranges map[uint64]*ranges
}

// ranges are conjunctions by the bounds of a literal of numbers: those with a
// lower bound in lows, those with an upper one in highs, those with both in
// both, each in order of the bound.
type ranges struct{ lows, highs []place }

type place struct {
	at float64
	*literal
	in *conjunction
}

// selectors are the literals that select a conjunction for a trigger on the
// field not: the first of each other field, in order of fields.
func (c *conjunction) selectors(not *field) []*literal {
	var chosen []*literal
	for _, s := range c.signs {
		if s.negated || !s.selects() || s.field == not {
			continue
		}
		i, taken := slices.BinarySearchFunc(chosen, s.field.number, func(l *literal, number int) int {
			return cmp.Compare(l.field.number, number)
		})
		if !taken {
			chosen = slices.Insert(chosen, i, s.literal)
		}
	}
	return chosen
}

// number returns a literal of numbers that has to be true, on another field
// than not; nil if there is none.
func (c *conjunction) number(not *field) *literal {
	for _, s := range c.signs {
		if !s.negated && s.kind == ofNumber && s.field != not {
			return s.literal
		}
	}
	return nil
}

// placeOf is where a trigger on a field has a conjunction: which path, under
// which key, by which literal of numbers.
type placeOf struct {
	fields []*field
	key    uint64
	number *literal
}

// under returns the place of the conjunction for a trigger that is one of its
// literals.
func (c *conjunction) under(trigger *literal) placeOf {
	var p placeOf
	for _, l := range c.selectors(trigger.field) {
		p.fields = append(p.fields, l.field)
		p.key = extend(p.key, l)
	}
	if p.number = trigger; trigger.kind != ofNumber {
		p.number = c.number(trigger.field)
	}
	return p
}

// extend makes the key of one more selector. Different literals may come to
// the same key: whoever looks one up tests what it finds.
func extend(key uint64, l *literal) uint64 {
	const odd = 0x9E3779B97F4A7C15
	return (key ^ l.id) * odd
}

// add files a conjunction.
func (ps *paths) add(at placeOf, c *conjunction) {
	p := ps.find(at)
	if p == nil {
		p = &path{fields: at.fields}
		if at.number != nil {
			p.ranged, p.ranges = at.number.field, map[uint64]*ranges{}
		} else {
			p.plain = map[uint64][]*conjunction{}
		}
		*ps = append(*ps, p)
	}
	p.count++
	if at.number == nil {
		p.plain[at.key] = append(p.plain[at.key], c)
		return
	}
	r := p.ranges[at.key]
	if r == nil {
		r = &ranges{}
		p.ranges[at.key] = r
	}
	r.add(at.number, c)
}

// remove undoes add.
func (ps *paths) remove(at placeOf, c *conjunction) {
	p := ps.find(at)
	if at.number == nil {
		if left := without(p.plain[at.key], c); len(left) > 0 {
			p.plain[at.key] = left
		} else {
			delete(p.plain, at.key)
		}
	} else if r := p.ranges[at.key]; r.remove(at.number, c) {
		delete(p.ranges, at.key)
	}
	if p.count--; p.count == 0 {
		*ps = without(*ps, p)
	}
}

func (ps paths) find(at placeOf) *path {
	for _, p := range ps {
		ranged := at.number != nil && p.ranged == at.number.field || at.number == nil && p.ranged == nil
		if ranged && slices.Equal(p.fields, at.fields) {
			return p
		}
	}
	return nil
}

func (r *ranges) add(l *literal, c *conjunction) {
	if at, ok := l.lowest(); ok {
		r.lows = slices.Insert(r.lows, below(r.lows, at), place{at, l, c})
	}
	if at, ok := l.highest(); ok {
		r.highs = slices.Insert(r.highs, below(r.highs, at), place{at, l, c})
	}
}

// remove reports whether nothing is left.
func (r *ranges) remove(l *literal, c *conjunction) (empty bool) {
	if at, ok := l.lowest(); ok {
		r.lows = unplace(r.lows, place{at, l, c})
	}
	if at, ok := l.highest(); ok {
		r.highs = unplace(r.highs, place{at, l, c})
	}
	return len(r.lows)+len(r.highs) == 0
}

func unplace(places []place, p place) []place {
	i := below(places, p.at)
	for places[i] != p {
		i++
	}
	return slices.Delete(places, i, i+1)
}

// below returns how many places lie below a number.
func below(places []place, n float64) int {
	i, _ := slices.BinarySearchFunc(places, n, func(p place, n float64) int { return cmp.Compare(p.at, n) })
	return i
}
