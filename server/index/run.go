package index

import (
	"iter"

	"github.com/muster-iot/muster/server/query"
)

// span is a row of neighbours in an order: from is false of the values before
// it and true from its first on, inside true up to its last and false behind.
// What is nil is always true.
type span struct{ from, inside func(*query.Value) bool }

// equalTo is the span of the texts that are this one in lower case.
func equalTo(lower string) span {
	return span{
		from:   func(v *query.Value) bool { return v.Lower() >= lower },
		inside: func(v *query.Value) bool { return v.Lower() == lower },
	}
}

func (s span) begins(v *query.Value) bool { return s.from == nil || s.from(v) }
func (s span) holds(v *query.Value) bool  { return s.inside == nil || s.inside(v) }

// entries goes over the entries of a span.
func (o *ordered) entries(s span) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for p := o.seek(s.begins); p.block < len(o.blocks); p = (place{block: p.block + 1}) {
			for _, e := range o.blocks[p.block].entries[p.at:] {
				if !s.holds(&e.value[0]) || !yield(e) {
					return
				}
			}
		}
	}
}

// run gathers the things of the entries of a span that satisfy a condition, of
// all of them if match is nil. It goes on in pieces: between two of them the
// list may change, so it remembers the value that it has come to.
type run struct {
	list *ordered
	span
	match func(*query.Value) bool
	last  *query.Value
}

// estimate returns about how many things the run finds at most, of the number
// of things that have the field, and what that costs: nothing if there is
// nothing to look at.
func (r *run) estimate(things int, b *budget) (most, cost int) {
	blocks := r.list.blocks
	first := r.list.seek(r.begins)
	if first.block == len(blocks) {
		return 0, 0
	}
	end := r.list.seek(func(v *query.Value) bool { return r.begins(v) && !r.holds(v) })
	if first == end {
		return 0, 0
	}
	const few = 64
	n := (end.block-first.block)*r.list.most + end.at - first.at
	if first.block == end.block && n <= few {
		for _, e := range blocks[first.block].entries[first.at:end.at] {
			most += e.things.len()
		}
		b.spend(n * unitsOfValue / 4)
	} else {
		all := len(blocks) * r.list.most
		if len(blocks) == 1 {
			all = len(blocks[0].entries)
			n = min(n, all)
		}
		most = int(float64(things) * float64(n) / float64(all))
	}
	if r.match != nil {
		return most, n*2*unitsOfValue + most*unitsOfGathered
	}
	return most, min(n, 2*r.list.most)*unitsOfValue + most*unitsOfGathered
}

// step works on until the run or the budget is at its end, and reports whether
// the run is.
func (r *run) step(found *gathered, b *budget) bool {
	begins := r.begins
	if r.last != nil {
		begins = func(v *query.Value) bool { return r.list.compare(v, r.last) > 0 }
	}
	for p := r.list.seek(begins); p.block < len(r.list.blocks); p = (place{block: p.block + 1}) {
		if b.spent() {
			return false
		}
		l := r.list.blocks[p.block]
		last := &l.entries[len(l.entries)-1].value[0]
		if p.at == 0 && l.ids != nil && r.match == nil && r.holds(last) {
			found.set(l.ids, b)
			r.last = last
			continue
		}
		if end, done := r.single(l.entries[p.at:], found, b); end {
			return done
		}
	}
	return true
}

// single goes over entries one by one; it ends where the budget or the span
// does, and is done in the latter case.
func (r *run) single(entries []*entry, found *gathered, b *budget) (end, done bool) {
	for _, e := range entries {
		v := &e.value[0]
		switch {
		case !r.holds(v):
			return true, true
		case b.spent():
			return true, false
		}
		b.spend(unitsOfValue)
		if r.match == nil || r.match(v) {
			found.posting(&e.things, b)
		}
		r.last = v
	}
	return false, false
}
