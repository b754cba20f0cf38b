package group

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/btree"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// Matcher knows the queries of all dynamic groups and their members, and finds
// out what a change of a thing does to them. It belongs to one goroutine.
//
// It keeps three views of the same facts: groups by name with their members,
// groups by thing, and queries by the field that may flip them.
type Matcher struct {
	groups   map[protocol.ThingGroupName]*entry
	byThing  map[protocol.ThingName][]*entry // sorted by name
	triggers triggers
	bound    bound
	debounce debounce
	// round numbers the calls of Apply, so that entries can be marked as
	// already seen in this one without a set.
	round uint64
}

// entry is one dynamic group.
type entry struct {
	name    protocol.ThingGroupName
	query   *query.Query
	members *btree.BTreeG[protocol.ThingName]

	evaluated uint64 // the round that last evaluated the query
	holds     uint64 // the round in whose beginning the query matched the thing
}

// New returns a matcher without groups.
func New() *Matcher {
	return &Matcher{
		groups:   map[protocol.ThingGroupName]*entry{},
		byThing:  map[protocol.ThingName][]*entry{},
		triggers: newTriggers(),
	}
}

// Put registers a group with its query, or gives a group a new one. Members
// stay until Apply or Scan comes to them.
func (m *Matcher) Put(name protocol.ThingGroupName, q *query.Query) {
	e := m.groups[name]
	if e == nil {
		const degree = 32
		e = &entry{name: name, members: btree.NewG(degree, cmp.Less[protocol.ThingName])}
		m.groups[name] = e
	} else {
		m.triggers.remove(e)
	}
	e.query = q
	m.triggers.add(e)
}

// Remove forgets a group. All its members leave it, in order of their names;
// under a bound, behind each the groups that it makes room for.
func (m *Matcher) Remove(name protocol.ThingGroupName) []Membership {
	e := m.groups[name]
	if e == nil {
		return nil
	}
	m.triggers.remove(e)
	delete(m.groups, name)
	m.bound.forget(e)
	m.debounce.forget(e)
	var changed []Membership
	for _, thing := range e.all() {
		m.leave(e, thing)
		changed = append(changed, Membership{Thing: thing, Group: name})
		changed = append(changed, m.admit(thing, nil)...)
	}
	return changed
}

// all returns the members, sorted.
func (e *entry) all() []protocol.ThingName {
	all := make([]protocol.ThingName, 0, e.members.Len())
	e.members.Ascend(func(thing protocol.ThingName) bool {
		all = append(all, thing)
		return true
	})
	return all
}

// Restore makes the thing a member as it was stored, which is no event. It
// reports false, and does nothing, if there is no such group.
func (m *Matcher) Restore(name protocol.ThingGroupName, thing protocol.ThingName) bool {
	e := m.groups[name]
	if e == nil {
		return false
	}
	if !e.members.Has(thing) {
		m.join(e, thing)
	}
	return true
}

// Apply returns who joined and left because of a change, in order of group
// name. It evaluates only queries that the changed fields can flip; a thing
// that came is evaluated against all of them, one that went leaves its groups
// without.
func (m *Matcher) Apply(c index.Change) []Membership {
	if c.New == nil {
		return m.leaveAll(c.Thing)
	}
	m.round++
	for _, e := range m.byThing[c.Thing] {
		e.holds = m.round
	}
	for _, e := range m.bound.refused[c.Thing] {
		e.holds = m.round
	}
	var changed []Membership
	m.candidates(c, func(e *entry) {
		if e.evaluated == m.round {
			return
		}
		e.evaluated = m.round
		matches, matched := e.query.Match(c.New), e.holds == m.round
		if matches != matched {
			changed = append(changed, Membership{Thing: c.Thing, Group: e.name, Joined: matches})
		}
	})
	slices.SortFunc(changed, compareGroup)
	return m.admit(c.Thing, m.hold(c, changed))
}

func compareGroup(a, b Membership) int { return cmp.Compare(a.Group, b.Group) }

// candidates visits the groups whose query a change may flip, some repeatedly.
func (m *Matcher) candidates(c index.Change, visit func(*entry)) {
	if c.Old != nil {
		m.triggers.each(c.Fields, visit)
		return
	}
	for _, e := range m.groups {
		visit(e)
	}
}

// leaveAll takes a thing that is gone out of all its groups.
func (m *Matcher) leaveAll(thing protocol.ThingName) []Membership {
	delete(m.bound.refused, thing)
	m.debounce.endAll(thing)
	entries := slices.Clone(m.byThing[thing])
	var left []Membership
	for _, e := range entries {
		left = append(left, Membership{Thing: thing, Group: e.name})
		m.leave(e, thing)
	}
	return left
}

// Scan makes the membership of these things right for the group's query and
// returns who joined and left, in the order of docs; under a bound, other
// groups of these things as well. Each document must be the
// thing's current one. An unknown group has no members to change.
func (m *Matcher) Scan(name protocol.ThingGroupName, docs []*index.Document) []Membership {
	e := m.groups[name]
	if e == nil {
		return nil
	}
	var changed []Membership
	for _, doc := range docs {
		thing, matches := doc.Thing(), e.query.Match(doc)
		m.debounce.end(thing, e)
		var flip []Membership
		if matches != (e.members.Has(thing) || m.bound.refuses(thing, e)) {
			flip = []Membership{{Thing: thing, Group: name, Joined: matches}}
		}
		changed = append(changed, m.admit(thing, flip)...)
	}
	return changed
}

// Len returns the number of groups.
func (m *Matcher) Len() int { return len(m.groups) }

// Count returns the number of members of a group.
func (m *Matcher) Count(name protocol.ThingGroupName) int {
	if e := m.groups[name]; e != nil {
		return e.members.Len()
	}
	return 0
}

// Members returns all members of a group, sorted. The caller owns the slice.
func (m *Matcher) Members(name protocol.ThingGroupName) []protocol.ThingName {
	members, _ := m.Page(name, "", 0)
	return members
}

// Page returns up to limit members of a group, sorted, beginning behind the
// name after; a limit of 0 or less is none. More says that others follow. The
// caller owns the slice.
func (m *Matcher) Page(name protocol.ThingGroupName, after protocol.ThingName, limit int) (members []protocol.ThingName, more bool) {
	e := m.groups[name]
	if e == nil {
		return nil, false
	}
	e.members.AscendGreaterOrEqual(after, func(thing protocol.ThingName) bool {
		if thing == after {
			return true
		}
		if limit > 0 && len(members) == limit {
			more = true
			return false
		}
		members = append(members, thing)
		return true
	})
	return members, more
}

// Contains reports whether the thing is a member of the group.
func (m *Matcher) Contains(name protocol.ThingGroupName, thing protocol.ThingName) bool {
	e := m.groups[name]
	return e != nil && e.members.Has(thing)
}

// GroupsOf returns the groups that the thing is a member of, sorted. The
// caller owns the slice.
func (m *Matcher) GroupsOf(thing protocol.ThingName) []protocol.ThingGroupName {
	var names []protocol.ThingGroupName
	for _, e := range m.byThing[thing] {
		names = append(names, e.name)
	}
	return names
}

// record carries a membership out.
func (m *Matcher) record(e *entry, ms Membership) {
	if ms.Joined {
		m.join(e, ms.Thing)
		return
	}
	m.leave(e, ms.Thing)
}

// join adds a thing that is no member yet.
func (m *Matcher) join(e *entry, thing protocol.ThingName) {
	e.members.ReplaceOrInsert(thing)
	groups := m.byThing[thing]
	i, _ := slices.BinarySearchFunc(groups, e.name, compareName)
	m.byThing[thing] = slices.Insert(groups, i, e)
}

// leave takes a member out.
func (m *Matcher) leave(e *entry, thing protocol.ThingName) {
	e.members.Delete(thing)
	groups := m.byThing[thing]
	i, _ := slices.BinarySearchFunc(groups, e.name, compareName)
	groups = slices.Delete(groups, i, i+1)
	if len(groups) == 0 {
		delete(m.byThing, thing)
		return
	}
	m.byThing[thing] = groups
}

func compareName(e *entry, name protocol.ThingGroupName) int {
	return strings.Compare(string(e.name), string(name))
}
