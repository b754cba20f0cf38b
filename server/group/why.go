package group

import "github.com/muster-iot/muster/protocol"

// Refuses reports whether a group matches a thing that has no room for it.
func (m *Matcher) Refuses(name protocol.ThingGroupName, thing protocol.ThingName) bool {
	e := m.groups[name]
	return e != nil && m.bound.refuses(thing, e)
}
