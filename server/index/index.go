package index

import (
	"slices"

	"github.com/google/btree"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// Index holds documents in order of their names: those of all registered
// things, or of all thing groups.
// It belongs to one goroutine.
type Index struct {
	things   *btree.BTreeG[*Document]
	dense    []*Document // by number; nil where it is free
	free     []uint32
	groupsOf func(protocol.ThingName) []protocol.ThingGroupName
	joined   map[uint32][]protocol.ThingGroupName
}

// New returns an empty index.
func New() *Index {
	const degree = 32
	return &Index{things: btree.NewG(degree, func(a, b *Document) bool {
		return a.Name() < b.Name()
	}), joined: map[uint32][]protocol.ThingGroupName{}}
}

// AddGroupsOf makes searches see further group names of a thing in
// thingGroupNames: those of the dynamic groups that it is in. The documents
// themselves, and so the queries of dynamic groups, do not have them.
func (ix *Index) AddGroupsOf(groupsOf func(protocol.ThingName) []protocol.ThingGroupName) {
	ix.groupsOf = groupsOf
}

// Join makes searches see a dynamic group in the thingGroupNames of the thing
// that has this number, until it leaves the group or its document is deleted.
// The document itself, and so the queries of dynamic groups, does not have it.
func (ix *Index) Join(id uint32, group protocol.ThingGroupName) {
	if ix.At(id) != nil && !slices.Contains(ix.joined[id], group) {
		ix.joined[id] = append(ix.joined[id], group)
	}
}

// Leave undoes a Join, if there was one.
func (ix *Index) Leave(id uint32, group protocol.ThingGroupName) {
	ix.joined[id] = slices.DeleteFunc(ix.joined[id], func(g protocol.ThingGroupName) bool { return g == group })
}

// Put makes the document that of its thing and returns what this changed.
func (ix *Index) Put(doc *Document) Change {
	if old := ix.Get(protocol.ThingName(doc.Name())); old != nil {
		doc.id = old.id
	} else {
		doc.id = ix.number()
	}
	old, _ := ix.things.ReplaceOrInsert(doc)
	ix.dense[doc.id] = doc
	return compare(protocol.ThingName(doc.Name()), old, doc)
}

// Delete removes the thing's document and returns what this changed: nothing
// if there was none.
func (ix *Index) Delete(thing protocol.ThingName) Change {
	old, found := ix.things.Delete(at(thing))
	if found {
		ix.dense[old.id] = nil
		delete(ix.joined, old.id)
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
	if !asksGroups {
		return func(doc *Document) query.Document { return doc }
	}
	return ix.viewOf
}

// viewOf returns the document as searches see it.
func (ix *Index) viewOf(doc *Document) query.Document {
	if ix.groupsOf != nil {
		return addGroups(doc, ix.groupsOf(doc.Thing()))
	}
	return addGroups(doc, ix.joined[doc.id])
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
		return doc.Name() == string(after) || visit(doc)
	})
}

// at returns a key for the tree.
func at(thing protocol.ThingName) *Document {
	return &Document{source: Source{ThingName: thing}}
}
