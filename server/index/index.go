package index

import (
	"github.com/google/btree"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// Index holds the documents of all registered things in order of their names.
// It belongs to one goroutine.
type Index struct {
	things   *btree.BTreeG[*Document]
	dense    []*Document // by number; nil where it is free
	free     []uint32
	groupsOf func(protocol.ThingName) []protocol.ThingGroupName
}

// New returns an empty index.
func New() *Index {
	const degree = 32
	return &Index{things: btree.NewG(degree, func(a, b *Document) bool {
		return a.source.ThingName < b.source.ThingName
	})}
}

// AddGroupsOf makes searches see further group names of a thing in
// thingGroupNames: those of the dynamic groups that it is in. The documents
// themselves, and so the queries of dynamic groups, do not have them.
func (ix *Index) AddGroupsOf(groupsOf func(protocol.ThingName) []protocol.ThingGroupName) {
	ix.groupsOf = groupsOf
}

// Put makes the document that of its thing and returns what this changed.
func (ix *Index) Put(doc *Document) Change {
	if old := ix.Get(doc.Thing()); old != nil {
		doc.id = old.id
	} else {
		doc.id = ix.number()
	}
	old, _ := ix.things.ReplaceOrInsert(doc)
	ix.dense[doc.id] = doc
	return compare(doc.Thing(), old, doc)
}

// Delete removes the thing's document and returns what this changed: nothing
// if there was none.
func (ix *Index) Delete(thing protocol.ThingName) Change {
	old, found := ix.things.Delete(at(thing))
	if found {
		ix.dense[old.id] = nil
		ix.free = append(ix.free, old.id)
	}
	return compare(thing, old, nil)
}

// number returns the number of a new document.
func (ix *Index) number() uint32 {
	if last := len(ix.free) - 1; last >= 0 {
		id := ix.free[last]
		ix.free = ix.free[:last]
		return id
	}
	ix.dense = append(ix.dense, nil)
	return uint32(len(ix.dense) - 1)
}

// At returns the document of a number, nil if there is none.
func (ix *Index) At(id uint32) *Document {
	if int(id) >= len(ix.dense) {
		return nil
	}
	return ix.dense[id]
}

// Get returns the thing's document, nil if there is none.
func (ix *Index) Get(thing protocol.ThingName) *Document {
	doc, _ := ix.things.Get(at(thing))
	return doc
}

// Len returns the number of documents.
func (ix *Index) Len() int { return ix.things.Len() }

// Search returns up to limit things that match the query, in order of name,
// beginning behind the name after; a limit of 0 or less is none. More says
// that further things match.
func (ix *Index) Search(q *query.Query, after protocol.ThingName, limit int) (docs []*Document, more bool) {
	view := ix.view(q)
	ix.ascend(after, func(doc *Document) bool {
		if !q.Match(view(doc)) {
			return true
		}
		if limit > 0 && len(docs) == limit {
			more = true
			return false
		}
		docs = append(docs, doc)
		return true
	})
	return docs, more
}

// view returns how the query is to see documents: with the dynamic groups of
// their thing only if it may look at them.
func (ix *Index) view(q *query.Query) func(*Document) query.Document {
	exact, pattern := q.FieldTerms(groupNamesField)
	asksGroups := len(exact) > 0 || pattern || q.HasFieldless()
	if ix.groupsOf == nil || !asksGroups {
		return func(doc *Document) query.Document { return doc }
	}
	return func(doc *Document) query.Document { return addGroups(doc, ix.groupsOf(doc.Thing())) }
}

// Range returns up to limit documents in order of name, beginning behind the
// name after; a limit of 0 or less is none. Fewer than limit are the last.
func (ix *Index) Range(after protocol.ThingName, limit int) []*Document {
	var docs []*Document
	ix.ascend(after, func(doc *Document) bool {
		docs = append(docs, doc)
		return limit <= 0 || len(docs) < limit
	})
	return docs
}

// ascend visits the documents behind the name after until visit returns false.
func (ix *Index) ascend(after protocol.ThingName, visit func(*Document) bool) {
	ix.things.AscendGreaterOrEqual(at(after), func(doc *Document) bool {
		return doc.Thing() == after || visit(doc)
	})
}

// at returns a key for the tree.
func at(thing protocol.ThingName) *Document {
	return &Document{source: Source{ThingName: thing}}
}
