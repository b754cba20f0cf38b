package engine

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
)

// slice bounds the things that one step of background work evaluates.
const slice = 256

// building is a group that is evaluated over the whole index, a slice at a
// time, while changes stream in. The matcher knows the query before the index is
// searched, and keeps right whatever changes from then on; so what the search
// found may be old when it is used, and only things whose membership differs
// from it have to be looked at: each as it is by then.
type building struct {
	group      *groupEntry
	generation int64
	find       *index.Find
	// left are the numbers of the things still to be looked at; it is nil until
	// these are known.
	left roaring.IntPeekable
}

// build evaluates a group anew. A newer query of the group ends the older build.
func (s *state) build(g *groupEntry) {
	b := &building{group: g, generation: g.Generation}
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
	if b.left == nil {
		b.search(t)
		t.later(b.step)
		return nil
	}
	t.movedAll(t.matcher.Scan(g.Name, b.some(t.index)))
	if b.left.HasNext() {
		t.later(b.step)
		return nil
	}
	t.activate(g)
	return nil
}

// search takes a step of the search; at its end it is known what there is to do.
func (b *building) search(t *tx) {
	if b.find == nil {
		b.find = t.index.FindAlone(b.group.query)
	}
	if b.find.Step() {
		return
	}
	unsettled := t.matcher.Unsettled(b.group.Name, b.find.Selection().IDs())
	b.group.progress.Of = int(unsettled.GetCardinality())
	b.left = unsettled.Iterator()
}

// some takes some of the things that are left, as far as they are still there.
func (b *building) some(ix *index.Index) (docs []*index.Document) {
	for n := 0; n < slice && b.left.HasNext(); n++ {
		b.group.progress.Scanned++
		if doc := ix.At(b.left.Next()); doc != nil {
			docs = append(docs, doc)
		}
	}
	return docs
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
