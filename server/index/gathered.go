package index

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// gathered is a union on its way: thousands of short lists and sparse bitmaps,
// whose numbers lie anywhere. A few numbers are listed; more than that become
// a bit each in words for all numbers of the index: setting one is far less work
// than adding it to a bitmap.
type gathered struct {
	ix    *Index
	few   []uint32
	words []uint64        // nil while there are few
	sets  *roaring.Bitmap // the bitmaps of bits, which are joined word by word; nil without any
	buf   []uint32
}

// posting adds the things of a value.
func (g *gathered) posting(p *posting, b *budget) {
	b.spend(unitsOfValue)
	switch m := p.more; {
	case m == nil:
		g.numbers([]uint32{p.one}, b)
	case m.many != nil:
		g.set(m.many, b)
	default:
		g.numbers(m.few, b)
	}
}

// set adds the things of a bitmap.
func (g *gathered) set(set *roaring.Bitmap, b *budget) {
	if ofBits(set) {
		b.spend(bitmapWork(set))
		if g.sets == nil {
			g.sets = roaring.New()
		}
		g.sets.Or(set)
		return
	}
	if g.buf == nil {
		g.buf = make([]uint32, 256)
	}
	it := set.ManyIterator()
	for n := it.NextMany(g.buf); n > 0; n = it.NextMany(g.buf) {
		g.numbers(g.buf[:n], b)
	}
}

// numbers adds things.
func (g *gathered) numbers(ids []uint32, b *budget) {
	b.spend(len(ids) * unitsOfGathered)
	if g.words == nil && len(g.few)+len(ids) <= g.ix.sizes.few {
		g.few = append(g.few, ids...)
		return
	}
	g.widen(b)
	for _, id := range ids {
		g.words[id/64] |= 1 << (id % 64)
	}
}

// widen makes the words as many as there are numbers in the index now: there
// may be more of them than when the search began.
func (g *gathered) widen(b *budget) {
	n := len(g.ix.dense)/64 + 1
	if len(g.words) >= n {
		return
	}
	b.spend(n / 4)
	g.words = append(g.words, make([]uint64, n-len(g.words))...)
	for _, id := range g.few {
		g.words[id/64] |= 1 << (id % 64)
	}
	g.few = nil
}

// bitmap returns the union, once: it takes over what was gathered.
func (g *gathered) bitmap(b *budget) *roaring.Bitmap {
	union := roaring.New()
	if g.words != nil {
		b.spend(len(g.words))
		union = roaring.FromDense(g.words, false)
	} else {
		slices.Sort(g.few)
		union.AddMany(g.few)
	}
	if g.sets != nil {
		b.spend(bitmapWork(g.sets))
		union.Or(g.sets)
	}
	*g = gathered{ix: g.ix}
	return union
}
