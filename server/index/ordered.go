package index

import (
	"cmp"
	"slices"
	"sort"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/server/query"
)

// ordered holds the entries of a field in an order of their values: texts for
// prefixes and ranges of text, numbers for comparisons. It is a row of blocks,
// each with up to most entries, and, once there are two blocks, with the
// things of all its entries: a range over half a million values is the union of
// whole blocks and of some entries of two.
type ordered struct {
	compare func(a, b *query.Value) int
	most    int      // entries of a block
	blocks  []*block // none is empty
	// overlapping sets are put and removed one by one, so that what is known
	// of a whole block could not be kept right: its blocks have no ids.
	overlapping bool
}

type block struct {
	entries []*entry
	ids     *roaring.Bitmap // nil when the block is the only one
}

// byText orders values by their lower case, so that those which a query cannot
// tell apart are neighbours, and then by what they are.
func byText(a, b *query.Value) int {
	if c := cmp.Compare(a.Lower(), b.Lower()); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Text, b.Text); c != 0 {
		return c
	}
	switch {
	case a.IsBool == b.IsBool:
		return 0
	case b.IsBool:
		return -1
	}
	return 1
}

// byNumber orders numbers by what they are worth, and then by their texts.
func byNumber(a, b *query.Value) int {
	if c := cmp.Compare(a.Num, b.Num); c != 0 {
		return c
	}
	return byText(a, b)
}

// place is where an entry is, or would be.
type place struct{ block, at int }

// seek returns the first place whose value fulfils a condition that holds from
// some value on.
func (o *ordered) seek(holds func(*query.Value) bool) place {
	n := sort.Search(len(o.blocks), func(i int) bool {
		entries := o.blocks[i].entries
		return holds(&entries[len(entries)-1].value[0])
	})
	if n == len(o.blocks) {
		return place{block: n}
	}
	entries := o.blocks[n].entries
	return place{n, sort.Search(len(entries), func(i int) bool { return holds(&entries[i].value[0]) })}
}

// find returns the place of a value.
func (o *ordered) find(v *query.Value) (p place, found bool) {
	p = o.seek(func(w *query.Value) bool { return o.compare(w, v) >= 0 })
	return p, p.block < len(o.blocks) && o.compare(&o.blocks[p.block].entries[p.at].value[0], v) == 0
}

// len returns about how many entries there are: an upper bound.
func (o *ordered) len() int {
	if len(o.blocks) == 1 {
		return len(o.blocks[0].entries)
	}
	return len(o.blocks) * o.most
}

// add gives a thing a value and returns the value's entry.
func (o *ordered) add(v *query.Value, id uint32) *entry {
	p, found := o.find(v)
	if found {
		l := o.blocks[p.block]
		l.entries[p.at].things.add(id)
		l.note(id)
		return l.entries[p.at]
	}
	e := newEntry(*v, id)
	o.insert(p, e)
	return e
}

func (o *ordered) insert(p place, e *entry) {
	last := len(o.blocks) - 1
	switch {
	case last < 0:
		o.blocks = []*block{{entries: []*entry{e}}}
		return
	case p.block > last && len(o.blocks[last].entries) >= o.most:
		// Values that come in their order fill one block after the other.
		o.grow(last + 1)
		o.blocks = append(o.blocks, o.newBlock([]*entry{e}))
		return
	case p.block > last:
		p = place{last, len(o.blocks[last].entries)}
	}
	l := o.blocks[p.block]
	l.entries = slices.Insert(l.entries, p.at, e)
	l.note(e.things.one)
	if len(l.entries) > o.most {
		o.split(p.block)
	}
}

func (o *ordered) split(at int) {
	entries, half := o.blocks[at].entries, len(o.blocks[at].entries)/2
	o.blocks[at] = o.newBlock(slices.Clone(entries[:half]))
	o.blocks = slices.Insert(o.blocks, at+1, o.newBlock(slices.Clone(entries[half:])))
}

// grow prepares for a second block: from then on blocks know their things.
func (o *ordered) grow(blocks int) {
	if blocks == 1 {
		o.blocks[0] = o.newBlock(o.blocks[0].entries)
	}
}

func (o *ordered) newBlock(entries []*entry) *block {
	l := &block{entries: entries}
	if o.overlapping {
		return l
	}
	l.ids = roaring.New()
	for _, e := range entries {
		e.things.addTo(l.ids)
	}
	return l
}

func (l *block) note(id uint32) {
	if l.ids != nil {
		l.ids.Add(id)
	}
}

// remove takes a value from a thing. All values that the thing has in the same
// block must be removed together, and what it keeps be added anew.
func (o *ordered) remove(v *query.Value, id uint32) {
	p, found := o.find(v)
	if !found {
		return
	}
	l := o.blocks[p.block]
	if l.ids != nil {
		l.ids.Remove(id)
	}
	if !l.entries[p.at].things.remove(id) {
		return
	}
	l.entries = slices.Delete(l.entries, p.at, p.at+1)
	o.shrink(p.block)
}

// shrink joins a block that has become small to the next one.
func (o *ordered) shrink(at int) {
	l := o.blocks[at]
	if len(l.entries) == 0 {
		o.blocks = slices.Delete(o.blocks, at, at+1)
		return
	}
	small := o.most / 4
	if len(l.entries) > small || at+1 == len(o.blocks) || len(o.blocks[at+1].entries) > small {
		return
	}
	next := o.blocks[at+1]
	l.entries = append(l.entries, next.entries...)
	if l.ids != nil && next.ids != nil {
		l.ids.Or(next.ids)
	}
	o.blocks = slices.Delete(o.blocks, at+1, at+2)
}
