package index

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/server/query"
)

// Find is a search on its way. It is begun with [Index.Find] and stepped to its
// end, on any goroutine, by one at a time:
//
//	f := ix.Find(q)
//	for f.Step() {
//	}
//	docs, more := f.Selection().Page("", 100)
//
// A search that is given up is simply dropped: the index knows nothing of it.
type Find struct {
	sight
	q *query.Query

	terms    []*term // of the query, to be looked up
	prepared int
	root     part
	ordered  bool

	seen    uint64          // changes of the index that the search has followed
	changed *roaring.Bitmap // things that did since it began, still to be judged
	ids     *roaring.Bitmap // the answer; of things that changed meanwhile it may be wrong
	done    bool
}

// Find begins a search.
func (ix *Index) Find(q *query.Query) *Find { return &Find{sight: sight{ix: ix}, q: q} }

// FindAlone begins a search that finds what the query would match as that of a
// dynamic group: it does not see the dynamic groups that things have joined.
func (ix *Index) FindAlone(q *query.Query) *Find { return &Find{sight: sight{ix, true}, q: q} }

// Close gives a search up. It is nothing but a courtesy.
func (f *Find) Close() { *f = Find{done: true, sight: f.sight, q: f.q, ids: f.ids, seen: f.seen} }

// Step does a piece of the search that holds the index for much less than a
// millisecond, and reports whether there is more to do.
func (f *Find) Step() bool {
	if f.done {
		return false
	}
	f.ix.lock.RLock()
	defer f.ix.lock.RUnlock()
	if f.root == nil {
		f.begin()
	}
	if !f.follow() {
		f.begin() // too much has changed since the last step
	}
	b := &budget{left: f.ix.sizes.piece}
	switch {
	case f.ids == nil && !f.search(b):
		return true
	case !f.settle(b):
		return true
	}
	f.done, f.root, f.terms = true, nil, nil
	return false
}

// begin is the state of a search before its first piece.
func (f *Find) begin() {
	f.terms, f.prepared, f.ordered, f.ids = nil, 0, false, nil
	f.root = f.partOf(f.q.Root())
	f.seen, f.changed = f.ix.recent.end(), roaring.New()
}

// follow takes down what has changed since the last step; false if that is not
// known any more.
func (f *Find) follow() bool {
	ids, known := f.ix.recent.since(f.seen, 2*f.ix.sizes.recent)
	if !known {
		return false
	}
	f.seen += uint64(len(ids))
	for _, id := range ids {
		f.changed.Add(id)
	}
	return true
}

// search answers the query from the postings. What changes between two pieces
// may be seen in one state by the one and in another by the other.
func (f *Find) search(b *budget) bool {
	for ; f.prepared < len(f.terms); f.prepared++ {
		if b.spent() || !f.terms[f.prepared].prepare(b) {
			return false
		}
	}
	if !f.ordered {
		f.root.order()
		f.ordered = true
	}
	if !f.root.step(b) {
		return false
	}
	answer := f.root.answer()
	f.ids = answer.owned()
	return true
}

// settle judges the things that changed since the search began by their
// documents, until there are none: then the answer is right for this moment.
func (f *Find) settle(b *budget) bool {
	for !f.changed.IsEmpty() {
		if b.spent() {
			return false
		}
		id := f.changed.Minimum()
		f.changed.Remove(id)
		if b.judge(f.q); f.matches(f.q, id) {
			f.ids.Add(id)
		} else {
			f.ids.Remove(id)
		}
	}
	return true
}

// Selection returns what the search found: exactly the things that the query
// matched when the last step was done.
func (f *Find) Selection() *Selection {
	return &Selection{sight: f.sight, q: f.q, ids: f.ids, seen: f.seen, changed: roaring.New()}
}

// Select runs a search from its beginning to its end.
func (ix *Index) Select(q *query.Query) *Selection {
	f := ix.Find(q)
	for f.Step() {
	}
	return f.Selection()
}

// budget is what a piece of work may still cost, in units that are about a
// nanosecond each: work is counted, because the time is not known here.
type budget struct{ left int }

const (
	unitsOfGathered = 3   // to add the number of a thing to a union
	unitsOfNumber   = 10  // to add it to a set, or look for it there
	unitsOfValue    = 60  // to look at a value
	unitsOfDocument = 300 // to look at a document
	unitsOfTerm     = 100 // to ask a document for a term
)

func (b *budget) spend(units int) { b.left -= units }
func (b *budget) spent() bool     { return b.left <= 0 }

// judge spends what it takes to ask a query about a document.
func (b *budget) judge(q *query.Query) { b.spend(unitsOfDocument + q.Terms()*unitsOfTerm) }
