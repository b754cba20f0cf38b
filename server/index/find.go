package index

import (
	"cmp"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// Find is a search on its way. It is begun with [Index.Find] and stepped to
// its end, on the goroutine that writes the index or on any other:
//
//	f := ix.Find(q)
//	for f.Step() {
//	}
//	docs, more := f.Selection().Page("", 100)
type Find struct {
	ix  *Index
	q   *query.Query
	ids *roaring.Bitmap
}

// Find begins a search. A search that is not stepped to its end has to be closed.
func (ix *Index) Find(q *query.Query) *Find { return &Find{ix: ix, q: q, ids: roaring.New()} }

// Step does a piece of the search that holds the index for much less than a
// millisecond, and reports whether there is more to do.
func (f *Find) Step() bool {
	view := f.ix.view(f.q)
	for _, doc := range f.ix.dense {
		if doc != nil && f.q.Match(view(doc)) {
			f.ids.Add(doc.id)
		}
	}
	return false
}

// Close gives a search up.
func (f *Find) Close() {}

// Selection returns what the search found: exactly the things that the query
// matched when the last step was done.
func (f *Find) Selection() *Selection { return &Selection{ix: f.ix, q: f.q, ids: f.ids} }

// Select runs a search from its beginning to its end.
func (ix *Index) Select(q *query.Query) *Selection {
	f := ix.Find(q)
	for f.Step() {
	}
	return f.Selection()
}

// Selection is a set of things that a search found. Things that have changed
// since and that the query does not match any more are left out of what it
// lists and aggregates.
type Selection struct {
	ix  *Index
	q   *query.Query
	ids *roaring.Bitmap
}

// Count returns the number of things that were found.
func (s *Selection) Count() int { return int(s.ids.GetCardinality()) }

// IDs returns the numbers of the things that were found. They are read-only.
func (s *Selection) IDs() *roaring.Bitmap { return s.ids }

// Page returns up to limit of the things, in order of name, beginning behind
// the name after; a limit of 0 or less is none. More says that others follow.
func (s *Selection) Page(after protocol.ThingName, limit int) (docs []*Document, more bool) {
	view := s.ix.view(s.q)
	for _, id := range s.ids.ToArray() {
		if doc := s.ix.At(id); doc != nil && doc.Name() > string(after) && s.q.Match(view(doc)) {
			docs = append(docs, doc)
		}
	}
	slices.SortFunc(docs, func(a, b *Document) int { return cmp.Compare(a.Name(), b.Name()) })
	if limit > 0 && len(docs) > limit {
		return docs[:limit], true
	}
	return docs, false
}
