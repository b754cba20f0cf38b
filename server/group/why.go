package group

import (
	"slices"

	"github.com/muster-iot/muster/protocol"
)

// Refuses reports whether a group matches a thing that has no room for it.
func (m *Matcher) Refuses(name protocol.ThingGroupName, thing protocol.ThingName) bool {
	e := m.groups[name]
	return e != nil && m.bound.refuses(thing, e)
}

// Refused lists the things that a group matches and that have no room for it,
// sorted. The caller owns the slice.
func (m *Matcher) Refused(name protocol.ThingGroupName) []protocol.ThingName {
	var things []protocol.ThingName
	for thing, refused := range m.bound.refused {
		if slices.Contains(refused, m.groups[name]) {
			things = append(things, thing)
		}
	}
	slices.Sort(things)
	return things
}
