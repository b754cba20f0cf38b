package index

import (
	"cmp"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/server/query"
)

// part answers a part of a query in pieces.
type part interface {
	// order chooses the order of the work, once all terms are prepared.
	order()
	// most returns about how many things it will find at most, and cost what
	// that takes in units of a budget; both are estimates.
	most() int
	cost() int
	// step works on until the part is answered or the budget spent, and
	// reports whether it is answered.
	step(*budget) bool
	answer() answer
}

// answer is a set of things. What is borrowed belongs to the index: it must not
// be changed, and not be looked at without the lock.
type answer struct {
	ids      *roaring.Bitmap
	borrowed bool
}

// owned returns the set for the caller to keep and change.
func (a answer) owned() *roaring.Bitmap {
	if a.borrowed {
		return a.ids.Clone()
	}
	return a.ids
}

// partOf makes the part of the search that answers a part of the query.
func (f *Find) partOf(n query.Node) part {
	switch n := n.(type) {
	case *query.And:
		a := &and{find: f}
		for _, child := range n.Nodes {
			a.add(child)
		}
		return a
	case *query.Or:
		o := &or{ix: f.ix, found: roaring.New()}
		for _, child := range n.Nodes {
			o.parts = append(o.parts, f.partOf(child))
		}
		return o
	case *query.Not:
		return &not{ix: f.ix, part: f.partOf(n.Node)}
	case *query.Term:
		t := &term{sight: f.sight, node: n, union: gathered{ix: f.ix}}
		f.terms = append(f.terms, t)
		return t
	}
	return everything{f.ix}
}

// everything is the part of the bare *.
type everything struct{ ix *Index }

func (everything) order()            {}
func (e everything) most() int       { return e.ix.Len() }
func (e everything) cost() int       { return unitsOfValue }
func (everything) step(*budget) bool { return true }
func (e everything) answer() answer  { return answer{e.ix.all, true} }

// not is everything but what another part finds.
type not struct {
	ix   *Index
	part part
}

func (n *not) order()              { n.part.order() }
func (n *not) most() int           { return max(0, n.ix.Len()-n.part.most()) }
func (n *not) cost() int           { return n.part.cost() + n.ix.Len()/16 }
func (n *not) step(b *budget) bool { return n.part.step(b) }

func (n *not) answer() answer {
	return answer{ids: roaring.AndNot(n.ix.all, n.part.answer().ids)}
}

// or is what one of several parts finds.
type or struct {
	ix    *Index
	parts []part
	next  int
	found *roaring.Bitmap
}

func (o *or) order() {
	for _, p := range o.parts {
		p.order()
	}
}

func (o *or) most() int { return min(o.ix.Len(), sum(o.parts, part.most)) }
func (o *or) cost() int { return sum(o.parts, part.cost) }

func sum(parts []part, of func(part) int) int {
	n := 0
	for _, p := range parts {
		n += of(p)
	}
	return n
}

func (o *or) step(b *budget) bool {
	for ; o.next < len(o.parts); o.next++ {
		if b.spent() || !o.parts[o.next].step(b) {
			return false
		}
		ids := o.parts[o.next].answer().ids
		b.spend(bitmapWork(ids))
		o.found.Or(ids)
	}
	return true
}

func (o *or) answer() answer { return answer{ids: o.found} }

// and is what all of several parts find. It begins with the part that finds the
// fewest; what is left then becomes fewer with every part, and once that is
// less work, the things that are left are asked themselves.
type and struct {
	find   *Find
	parts  []conjunct
	next   int
	found  *roaring.Bitmap // nil before the first part is answered
	asking bool            // the things that are left are asked
	asked  uint64          // all before this one were
}

// conjunct is a part of an and; of a negated one, what it finds is left out.
type conjunct struct {
	part
	node    query.Node
	negated bool
}

func (a *and) add(n query.Node) {
	negated := false
	inner := n
	for {
		not, ok := inner.(*query.Not)
		if !ok {
			break
		}
		inner, negated = not.Node, !negated
	}
	a.parts = append(a.parts, conjunct{a.find.partOf(inner), n, negated})
}

func (a *and) order() {
	for _, c := range a.parts {
		c.part.order()
	}
	slices.SortStableFunc(a.parts, func(x, y conjunct) int {
		switch {
		case x.negated == y.negated:
			return cmp.Compare(x.part.most(), y.part.most())
		case y.negated:
			return -1
		}
		return 1
	})
}

func (a *and) most() int {
	if a.parts[0].negated {
		return max(0, a.find.ix.Len()-a.parts[0].part.most())
	}
	return a.parts[0].part.most()
}

func (a *and) cost() int {
	n := 0
	for _, c := range a.parts {
		n += c.part.cost()
	}
	return n
}

func (a *and) step(b *budget) bool {
	for ; a.next < len(a.parts); a.next++ {
		switch {
		case b.spent():
			return false
		case a.asking || a.found != nil && a.fewer():
			a.asking = true
			return a.ask(b)
		case !a.parts[a.next].part.step(b):
			return false
		}
		a.join(a.parts[a.next], b)
	}
	return true
}

// join takes in the answer of a part.
func (a *and) join(c conjunct, b *budget) {
	answer := c.part.answer()
	b.spend(bitmapWork(answer.ids))
	switch {
	case a.found == nil && c.negated:
		a.found = roaring.AndNot(a.find.ix.all, answer.ids)
	case a.found == nil:
		a.join2(answer, b)
	case c.negated:
		a.found.AndNot(answer.ids)
	default:
		a.found.And(answer.ids)
	}
}

// join2 begins with the first part, and takes in the second at once if that is
// there already: two sets of the index are joined without a copy of either.
func (a *and) join2(first answer, b *budget) {
	if a.next+1 < len(a.parts) && first.borrowed {
		c := a.parts[a.next+1]
		if t, ok := c.part.(*term); ok && t.ready() {
			second := t.answer()
			b.spend(bitmapWork(second.ids))
			a.next++
			if c.negated {
				a.found = roaring.AndNot(first.ids, second.ids)
			} else {
				a.found = roaring.And(first.ids, second.ids)
			}
			return
		}
	}
	a.found = first.owned()
}

// fewer reports whether asking the things that are left is less work than what
// is left to do otherwise.
func (a *and) fewer() bool {
	const most = 4096
	n := int(a.found.GetCardinality())
	if n == 0 {
		return true
	}
	rest := 0
	for _, c := range a.parts[a.next:] {
		rest += c.part.cost()
	}
	return n <= most && n*(unitsOfDocument+unitsOfTerm*(len(a.parts)-a.next)) < rest
}

// ask asks the things that are left.
func (a *and) ask(b *budget) bool {
	it := a.found.Iterator()
	it.AdvanceIfNeeded(uint32(a.asked))
	var out []uint32
	defer func() {
		for _, id := range out {
			a.found.Remove(id)
		}
	}()
	for it.HasNext() {
		if b.spent() {
			return false
		}
		id := it.Next()
		a.asked = uint64(id) + 1
		if !a.holds(id, b) {
			out = append(out, id)
		}
	}
	a.next = len(a.parts)
	return true
}

// holds reports whether all parts that are left are true of a thing.
func (a *and) holds(id uint32, b *budget) bool {
	b.spend(unitsOfDocument)
	doc := a.find.ix.At(id)
	if doc == nil {
		return false
	}
	view := a.find.view(doc)
	for _, c := range a.parts[a.next:] {
		b.spend(unitsOfTerm)
		if !query.Matches(c.node, view) {
			return false
		}
	}
	return true
}

func (a *and) answer() answer { return answer{ids: a.found} }
