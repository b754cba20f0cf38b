package group

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
)

// Touches returns the groups whose query Apply would ask about a change,
// sorted; of a thing that goes, those that it is in. Nothing is changed. New
// need not be in the index.
func (m *Matcher) Touches(c index.Change) []protocol.ThingGroupName {
	if c.New == nil {
		return m.GroupsOf(c.Old)
	}
	var names []protocol.ThingGroupName
	for _, d := range m.touches(c) {
		names = append(names, d.name)
	}
	slices.Sort(names)
	return names
}

// Would returns what Apply would answer to a change, and the memberships that
// would begin to wait for the debounce. Nothing is changed. New need not be in
// the index.
func (m *Matcher) Would(c index.Change) (changed, waits []Membership) {
	if c.New == nil {
		for _, name := range m.GroupsOf(c.Old) {
			changed = append(changed, Membership{Thing: c.Thing, Group: name})
		}
		return changed, nil
	}
	// The change may be of a thing that has no number yet: then it is in no
	// group, refused by none and waits for none.
	t, refused, waiting := thing{name: c.Thing}, []*entry(nil), []*entry(nil)
	if c.Old != nil {
		t.groups, refused, waiting = m.things.groupsOf(c.Old), m.bound.refused[c.Old.ID()], m.debounce.waiting[c.Old.ID()]
	}
	s := m.sift(c, &t, waiting, refused, flipped(&t, refused, m.touches(c)))
	moves, _ := m.moves(&t, refused, s.now)
	return memberships(c.Thing, moves), memberships(c.Thing, s.begin)
}

func memberships(thing protocol.ThingName, of []decision) []Membership {
	var all []Membership
	for _, d := range of {
		all = append(all, Membership{Thing: thing, Group: d.name, Joined: d.matches})
	}
	return all
}

// Shared returns how many members of a group are among the things that were found.
func (m *Matcher) Shared(name protocol.ThingGroupName, found *roaring.Bitmap) int {
	e := m.groups[name]
	if e == nil {
		return 0
	}
	return int(e.members.AndCardinality(found))
}

// Refuses reports whether a group matches the thing of a document, which has
// no room for it. No group refuses nil.
func (m *Matcher) Refuses(name protocol.ThingGroupName, doc *index.Document) bool {
	e := m.groups[name]
	return e != nil && doc != nil && slices.Contains(m.bound.refused[doc.ID()], e)
}

// Stats are the sizes of what a matcher holds.
type Stats struct {
	// Groups are those that there are; groups with the same conjunctions share
	// them, and conjunctions share literals.
	Groups, Conjunctions, Literals int
	// Residual is how many of the conjunctions are of queries too large to be
	// written as conjunctions alone: whatever touches one asks its query.
	Residual int
	// Unconditional is how many need nothing to be true, so that every new
	// thing is asked about them.
	Unconditional int
}

// Stats returns the sizes of what the matcher holds now.
func (m *Matcher) Stats() Stats {
	return Stats{
		Groups: len(m.groups), Conjunctions: len(m.conjunctions), Literals: len(m.literals),
		Residual: m.residual, Unconditional: len(m.unconditional),
	}
}
