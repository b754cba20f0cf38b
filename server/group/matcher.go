package group

import (
	"cmp"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// Matcher knows the queries of all dynamic groups and their members, and finds
// out what a change of a thing does to them. It belongs to one goroutine.
//
// Things are known by the numbers of their documents, so every document that
// it is given has to be in the one index, as the current one of its thing.
type Matcher struct {
	groups map[protocol.ThingGroupName]*entry
	numbered
	things   things
	bound    bound
	debounce debounce
	catalog
	search
	changed []Membership // scratch: the answer
}

// entry is one dynamic group.
type entry struct {
	name         protocol.ThingGroupName
	number       uint32 // of the groups that there are, dense
	query        *query.Query
	conjunctions []*conjunction // the query is true when one of them is
	members      *roaring.Bitmap

	touched uint64 // the round that last decided the group
}

// numbered are the groups by number; nil where it is free.
type numbered struct {
	entries []*entry
	free    []uint32
}

// New returns a matcher without groups.
func New() *Matcher {
	return &Matcher{groups: map[protocol.ThingGroupName]*entry{}, catalog: newCatalog()}
}

// Put registers a group with its query, or gives a group a new one. Members
// stay until Apply or Scan comes to them.
func (m *Matcher) Put(name protocol.ThingGroupName, q *query.Query) {
	e := m.groups[name]
	if e == nil {
		e = &entry{name: name, members: roaring.New()}
		m.groups[name] = e
		m.numbered.add(e)
	} else {
		m.disown(e)
	}
	e.query = q
	m.own(e)
	m.grow(m.numbers)
}

// add gives a new group its number.
func (n *numbered) add(e *entry) {
	if last := len(n.free) - 1; last >= 0 {
		e.number, n.free = n.free[last], n.free[:last]
		n.entries[e.number] = e
		return
	}
	e.number = uint32(len(n.entries))
	n.entries = append(n.entries, e)
}

// Remove forgets a group. All its members leave it, in order of their names;
// under a bound, behind each the groups that it makes room for. The answer is
// the caller's until the next call.
func (m *Matcher) Remove(name protocol.ThingGroupName) []Membership {
	m.changed = m.changed[:0]
	e := m.groups[name]
	if e == nil {
		return nil
	}
	m.disown(e)
	delete(m.groups, name)
	m.debounce.forget(e, m.things)
	m.bound.forget(e)
	ids := e.members.ToArray()
	slices.SortFunc(ids, func(a, b uint32) int { return cmp.Compare(m.things[a].name, m.things[b].name) })
	for _, id := range ids {
		e.leave(id, &m.things[id])
		m.changed = append(m.changed, Membership{Thing: m.things[id].name, Group: name})
		m.settle(id, nil)
	}
	m.entries[e.number] = nil
	m.numbered.free = append(m.numbered.free, e.number)
	return m.answer()
}

// answer returns what has changed; nil is nothing.
func (m *Matcher) answer() []Membership {
	if len(m.changed) == 0 {
		return nil
	}
	return m.changed
}

// Restore makes the thing a member as it was stored, which is no event. It
// reports false, and does nothing, if there is no such group.
func (m *Matcher) Restore(name protocol.ThingGroupName, doc *index.Document) bool {
	e := m.groups[name]
	if e == nil {
		return false
	}
	e.join(doc.ID(), m.things.at(doc))
	return true
}

// Apply returns who joined and left because of a change, in order of group
// name. It looks at the groups only that the change touches; a thing that is
// gone leaves its groups without. The answer is the caller's until the next
// call.
func (m *Matcher) Apply(c index.Change) []Membership {
	m.changed = m.changed[:0]
	switch {
	case c.New != nil:
		id, t := c.New.ID(), m.things.at(c.New)
		flips := flipped(t, m.bound.refused[id], m.touches(c))
		m.settle(id, m.hold(c, id, t, flips))
	case c.Old != nil:
		m.leaveAll(c.Old)
	}
	return m.answer()
}

// flipped keeps those of the decisions that differ from what was so far: a
// thing matches the groups that it is in and those that refuse it.
func flipped(t *thing, refused []*entry, decisions []decision) []decision {
	flips := decisions[:0]
	for _, d := range decisions {
		if d.matches != matched(d.entry, t, refused) {
			flips = append(flips, d)
		}
	}
	slices.SortFunc(flips, byName)
	return flips
}

// matched reports whether the matcher goes by that a group matches the thing.
func matched(e *entry, t *thing, refused []*entry) bool {
	return t.in(e) || slices.Contains(refused, e)
}

func byName(a, b decision) int { return cmp.Compare(a.name, b.name) }

// leaveAll takes a thing that is gone out of all its groups.
func (m *Matcher) leaveAll(doc *index.Document) {
	id := doc.ID()
	m.debounce.endAll(id, doc.Thing())
	delete(m.bound.refused, id)
	if m.things.groupsOf(doc) == nil {
		return
	}
	t := &m.things[id]
	for _, number := range t.groups {
		m.entries[number].members.Remove(id)
		m.changed = append(m.changed, Membership{Thing: t.name, Group: m.entries[number].name})
	}
	slices.SortFunc(m.changed, func(a, b Membership) int { return cmp.Compare(a.Group, b.Group) })
	*t = thing{}
}

// Scan makes the membership of these things right for the group's query and
// returns who joined and left, in the order of docs; under a bound, other
// groups of these things as well. Each document must be the
// thing's current one. An unknown group has no members to change. The answer
// is the caller's until the next call.
func (m *Matcher) Scan(name protocol.ThingGroupName, docs []*index.Document) []Membership {
	m.changed = m.changed[:0]
	e := m.groups[name]
	if e == nil {
		return nil
	}
	for _, doc := range docs {
		t := m.things.at(doc)
		m.touched = append(m.touched[:0], decision{e, e.query.Match(doc)})
		m.debounce.end(doc.ID(), doc.Thing(), e)
		m.settle(doc.ID(), flipped(t, m.bound.refused[doc.ID()], m.touched))
	}
	return m.answer()
}

// Len returns the number of groups.
func (m *Matcher) Len() int { return len(m.groups) }

// Count returns the number of members of a group.
func (m *Matcher) Count(name protocol.ThingGroupName) int {
	if e := m.groups[name]; e != nil {
		return int(e.members.GetCardinality())
	}
	return 0
}

// Members returns all members of a group, sorted. The caller owns the slice.
func (m *Matcher) Members(name protocol.ThingGroupName) []protocol.ThingName {
	e := m.groups[name]
	if e == nil || e.members.IsEmpty() {
		return nil
	}
	members := make([]protocol.ThingName, 0, e.members.GetCardinality())
	for id := range roaring.Values(e.members) {
		members = append(members, m.things[id].name)
	}
	slices.Sort(members)
	return members
}

// Unsettled returns which things Scan has to look at when the group's query
// has been found to match others than before: those whose membership differs
// from what was found, and those whose membership waits. Found is read-only,
// the answer the caller's.
func (m *Matcher) Unsettled(name protocol.ThingGroupName, found *roaring.Bitmap) *roaring.Bitmap {
	e := m.groups[name]
	if e == nil {
		return roaring.New()
	}
	ids := e.members.Clone()
	for id, refused := range m.bound.refused {
		if slices.Contains(refused, e) {
			ids.Add(id)
		}
	}
	ids.Xor(found)
	for id, waiting := range m.debounce.waiting {
		if slices.Contains(waiting, e) {
			ids.Add(id)
		}
	}
	return ids
}

// Contains reports whether the thing of a document is a member of the group.
// Of no document, nil, no group is.
func (m *Matcher) Contains(name protocol.ThingGroupName, doc *index.Document) bool {
	e := m.groups[name]
	if e == nil {
		return false
	}
	_, found := slices.BinarySearch(m.things.groupsOf(doc), e.number)
	return found
}

// GroupsOf returns the groups that the thing of a document is a member of,
// sorted; none of nil. The caller owns the slice.
func (m *Matcher) GroupsOf(doc *index.Document) []protocol.ThingGroupName {
	numbers := m.things.groupsOf(doc)
	if len(numbers) == 0 {
		return nil
	}
	names := make([]protocol.ThingGroupName, len(numbers))
	for i, n := range numbers {
		names[i] = m.entries[n].name
	}
	slices.Sort(names)
	return names
}
