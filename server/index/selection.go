package index

import (
	"slices"
	"strings"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// Selection is a set of things that a search found. Things that have changed
// since and that the query does not match any more are left out of what it
// lists and aggregates. It may be used on any goroutine.
type Selection struct {
	sight
	q   *query.Query
	ids *roaring.Bitmap

	// What has changed since is followed piece by piece; too many changes are
	// not: then every thing is judged again.
	follows sync.Mutex
	seen    uint64
	changed *roaring.Bitmap
	lost    bool
}

// mostFollowed is how many changes are followed at once.
const mostFollowed = 4096

// Count returns the number of things that were found.
func (s *Selection) Count() int { return int(s.ids.GetCardinality()) }

// IDs returns the numbers of the things that were found. They are read-only.
func (s *Selection) IDs() *roaring.Bitmap { return s.ids }

// piece calls work with the index held for reading, and with the things that
// have changed since the search: nil if that may be any.
func (s *Selection) piece(work func(changed *roaring.Bitmap, b *budget)) {
	s.follows.Lock()
	defer s.follows.Unlock()
	s.ix.lock.RLock()
	defer s.ix.lock.RUnlock()
	s.follow()
	changed := s.changed
	if s.lost {
		changed = nil
	}
	work(changed, &budget{left: s.ix.sizes.piece})
}

func (s *Selection) follow() {
	if s.lost {
		return
	}
	ids, known := s.ix.recent.since(s.seen, mostFollowed)
	if !known || len(ids) == mostFollowed {
		s.lost = true
		return
	}
	s.seen += uint64(len(ids))
	for _, id := range ids {
		s.changed.Add(id)
	}
}

// document returns the document of one of the things, nil if it is gone or the
// query does not match it any more.
func (s *Selection) document(id uint32, changed *roaring.Bitmap, b *budget) *Document {
	doc := s.ix.At(id)
	b.spend(unitsOfDocument)
	if doc == nil || changed != nil && !changed.Contains(id) {
		return doc
	}
	b.judge(s.q)
	if !s.q.Match(s.view(doc)) {
		return nil
	}
	return doc
}

// each visits the documents of the things in order of their numbers, in pieces.
func (s *Selection) each(visit func(*Document)) {
	it := s.ids.Iterator()
	for it.HasNext() {
		s.piece(func(changed *roaring.Bitmap, b *budget) {
			for it.HasNext() && !b.spent() {
				if doc := s.document(it.Next(), changed, b); doc != nil {
					visit(doc)
				}
			}
		})
	}
}

// Page returns up to limit of the things, in order of name, beginning behind
// the name after; a limit of 0 or less is none. More says that others follow.
func (s *Selection) Page(after protocol.ThingName, limit int) (docs []*Document, more bool) {
	if s.ids.IsEmpty() {
		return nil, false
	}
	if limit > 0 && s.dense(limit) {
		docs, rest := s.walk(string(after), limit+1)
		if !rest {
			return firstPage(docs, limit)
		}
	}
	return firstPage(s.collect(string(after), limit), limit)
}

// firstPage cuts a list of one more than the limit.
func firstPage(docs []*Document, limit int) ([]*Document, bool) {
	if limit > 0 && len(docs) > limit {
		return docs[:limit], true
	}
	return docs, false
}

// A thing that was found costs as much to look at as this many names to walk by.
const walked = 3

// dense reports whether so many were found that walking by all names until the
// limit is reached is less work than looking at all that were found.
func (s *Selection) dense(limit int) bool {
	s.ix.lock.RLock()
	defer s.ix.lock.RUnlock()
	n := s.Count()
	return limit*s.ix.Len()/n < walked*n
}

// walk goes over all things in order of name and takes those that were found,
// up to most. If they are far it gives up, so that there is a rest, when it has
// cost as much as looking at all that were found.
func (s *Selection) walk(after string, most int) (docs []*Document, rest bool) {
	left := walked * s.Count()
	for end := false; !end; {
		s.piece(func(changed *roaring.Bitmap, b *budget) {
			end = true
			s.ix.ascend(after, func(doc *Document) bool {
				after = doc.Name()
				left--
				b.spend(unitsOfValue)
				if s.ids.Contains(doc.id) && s.document(doc.id, changed, b) != nil {
					docs = append(docs, doc)
				}
				rest = left < 0
				end = rest || len(docs) == most
				return !end && !b.spent()
			})
			if !end {
				end = b.left > 0
			}
		})
	}
	return docs, rest && len(docs) < most
}

// collect returns the things that were found behind a name, in order of name:
// all of them, or one more than the limit.
func (s *Selection) collect(after string, limit int) []*Document {
	const slack = 1024
	var docs []*Document
	cut := func() {
		slices.SortFunc(docs, func(a, b *Document) int { return strings.Compare(a.Name(), b.Name()) })
		if limit > 0 && len(docs) > limit {
			docs = docs[:limit+1]
		}
	}
	full := false // docs has been cut: what is behind its last is of no use
	last := ""
	s.each(func(doc *Document) {
		name := doc.Name()
		if name <= after || full && name > last {
			return
		}
		docs = append(docs, doc)
		if limit > 0 && len(docs) > limit+slack {
			cut()
			full, last = true, docs[limit].Name()
		}
	})
	cut()
	return docs
}
