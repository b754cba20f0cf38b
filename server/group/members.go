package group

import (
	"slices"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
)

// thing is what a matcher knows of a thing; its place among them is the
// number of its document.
type thing struct {
	name   protocol.ThingName
	groups []uint32 // the numbers of those that it is in, sorted
}

// things are the members by thing; the members by group are in the entries.
type things []thing

// at returns the thing of a document, made if needed. The pointer is good
// until the next call.
func (ts *things) at(doc *index.Document) *thing {
	id := int(doc.ID())
	if id >= len(*ts) {
		*ts = append(*ts, make(things, id+1-len(*ts))...)
	}
	t := &(*ts)[id]
	t.name = doc.Thing()
	return t
}

// groupsOf returns the numbers of the groups that the thing is in; they are
// read-only. A document that is in no index has none.
func (ts things) groupsOf(doc *index.Document) []uint32 {
	if doc == nil || int(doc.ID()) >= len(ts) || ts[doc.ID()].name != doc.Thing() {
		return nil
	}
	return ts[doc.ID()].groups
}

func (t *thing) in(e *entry) bool {
	_, found := slices.BinarySearch(t.groups, e.number)
	return found
}

// join adds a member; nothing happens if it is one.
func (e *entry) join(id uint32, t *thing) {
	if i, found := slices.BinarySearch(t.groups, e.number); !found {
		t.groups = slices.Insert(t.groups, i, e.number)
		e.members.Add(id)
	}
}

// leave takes a member out; nothing happens if it is none.
func (e *entry) leave(id uint32, t *thing) {
	if i, found := slices.BinarySearch(t.groups, e.number); found {
		t.groups = slices.Delete(t.groups, i, i+1)
		e.members.Remove(id)
	}
}
