package index

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/server/query"
)

// entry is a value of a field with the things that have it. Documents point to
// the entries of their values, so a value is kept once for all of them; the
// things are empty as long as a document has not been put.
type entry struct {
	value  [1]query.Value
	things posting
}

func newEntry(v query.Value, id uint32) *entry {
	return &entry{value: [1]query.Value{v}, things: posting{one: id}}
}

// posting is a set of things, at least one: by far the most sets hold one.
type posting struct {
	one  uint32
	more *members // nil: the one alone
}

// members is a set of two things or more.
type members struct {
	count int
	few   []uint32        // sorted; nil when there are many
	many  *roaring.Bitmap // nil when there are few
}

// A set becomes a bitmap beyond mostFew members, and ceases to be one when it
// has shrunk to a half: a bitmap of few things far apart takes twenty times the
// memory of their numbers.
const mostFew = 256

func (p *posting) len() int {
	if p.more == nil {
		return 1
	}
	return p.more.count
}

func (p *posting) add(id uint32) {
	m := p.more
	if m == nil {
		if p.one != id {
			p.more = &members{count: 2, few: []uint32{min(p.one, id), max(p.one, id)}}
		}
		return
	}
	if m.many != nil {
		if m.many.CheckedAdd(id) {
			m.count++
		}
		return
	}
	at, found := slices.BinarySearch(m.few, id)
	if found {
		return
	}
	m.few = slices.Insert(m.few, at, id)
	m.count++
	if m.count > mostFew {
		m.many, m.few = roaring.BitmapOf(m.few...), nil
	}
}

// remove takes a thing out and reports whether none is left.
func (p *posting) remove(id uint32) (empty bool) {
	m := p.more
	if m == nil {
		return p.one == id
	}
	if m.many != nil {
		if m.many.CheckedRemove(id) {
			m.count--
		}
		if m.count <= mostFew/2 {
			m.few, m.many = m.many.ToArray(), nil
		}
		return false
	}
	at, found := slices.BinarySearch(m.few, id)
	if !found {
		return false
	}
	m.few = slices.Delete(m.few, at, at+1)
	m.count--
	if m.count == 1 {
		p.one, p.more = m.few[0], nil
	}
	return false
}

// bitmap returns the set if it is kept as a bitmap; it is read-only.
func (p *posting) bitmap() *roaring.Bitmap {
	if p.more == nil {
		return nil
	}
	return p.more.many
}

// addTo adds the things to a bitmap.
func (p *posting) addTo(b *roaring.Bitmap) {
	switch m := p.more; {
	case m == nil:
		b.Add(p.one)
	case m.many != nil:
		b.Or(m.many)
	default:
		b.AddMany(m.few)
	}
}

// within returns how many of the things are in a bitmap.
func (p *posting) within(b *roaring.Bitmap) int64 {
	m := p.more
	if m != nil && m.many != nil {
		return int64(b.AndCardinality(m.many))
	}
	few := []uint32{p.one}
	if m != nil {
		few = m.few
	}
	var n int64
	for _, id := range few {
		if b.Contains(id) {
			n++
		}
	}
	return n
}

// work is what it takes to go over the things, in units of a budget.
func (p *posting) work() int {
	if b := p.bitmap(); b != nil {
		return bitmapWork(b)
	}
	return unitsOfValue + p.len()*unitsOfNumber
}

// bitmapWork is what it takes to go over a bitmap: things far apart are kept as
// numbers, others as bits.
func bitmapWork(b *roaring.Bitmap) int {
	if ofBits(b) {
		return unitsOfValue + int(b.GetSizeInBytes())/4
	}
	return unitsOfValue + int(b.GetCardinality())*unitsOfNumber
}

// ofBits reports whether most of a bitmap is kept as bits and not as numbers.
func ofBits(b *roaring.Bitmap) bool { return b.GetSizeInBytes() < 2*b.GetCardinality() }
