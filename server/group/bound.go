package group

import (
	"cmp"
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
)

// bound limits how many dynamic groups a thing may be in (AWS IoT reference
// 4.3, rule 6 there). Of the groups that match it the thing is a member of the
// oldest: that is what joining below the limit, making room for an older group
// and being refused by a newer one come to. The others are kept as refused, so
// that they are there when a place becomes free.
type bound struct {
	room    func(protocol.ThingName) int // nil is no bound
	created func(protocol.ThingGroupName) time.Time
	refused map[protocol.ThingName][]*entry
}

// Bound makes a thing a member of at most room(thing) groups, the oldest by
// created. It is called once, before Put. Room may change with any Apply of
// the thing, which then makes up for it, whatever the change was.
func (m *Matcher) Bound(room func(protocol.ThingName) int, created func(protocol.ThingGroupName) time.Time) {
	m.bound = bound{room: room, created: created, refused: map[protocol.ThingName][]*entry{}}
}

// Recall finds out which groups refuse a thing, after its memberships were
// restored. Only a thing without room has such.
func (m *Matcher) Recall(doc *index.Document) {
	thing := doc.Thing()
	if m.bound.room == nil || len(m.byThing[thing]) < m.bound.room(thing) {
		return
	}
	waiting := m.debounce.waiting[thing]
	refused := m.bound.refused[thing]
	for _, e := range m.groups {
		if !e.members.Has(thing) && !slices.Contains(waiting, e) && e.query.Match(doc) {
			refused = append(refused, e)
		}
	}
	m.bound.refuse(thing, refused)
}

// Settle makes the memberships of a thing right whatever they were, for a bound
// that is not the one under which they came to be, and returns who joined and
// left, in order of group name. The document must be the thing's current one.
func (m *Matcher) Settle(doc *index.Document) []Membership {
	return m.Apply(index.Change{Thing: doc.Thing(), New: doc})
}

// admit carries out that groups began or ceased to match a thing, and returns
// the memberships that this changes, in order of group name.
func (m *Matcher) admit(thing protocol.ThingName, flips []Membership) []Membership {
	if m.bound.room == nil {
		for _, f := range flips {
			m.record(m.groups[f.Group], f)
		}
		return flips
	}
	room := max(0, m.bound.room(thing))
	members, refused := m.byThing[thing], m.bound.refused[thing]
	if len(flips) == 0 && len(refused) == 0 && len(members) <= room {
		return nil
	}
	matching := slices.Concat(members, refused)
	for _, f := range flips {
		if e := m.groups[f.Group]; f.Joined {
			matching = append(matching, e)
		} else {
			i := slices.Index(matching, e)
			matching = slices.Delete(matching, i, i+1)
		}
	}
	slices.SortFunc(matching, m.bound.older)
	room = min(room, len(matching))
	m.bound.refuse(thing, matching[room:])
	return m.become(thing, matching[:room])
}

// become makes a thing a member of exactly these groups.
func (m *Matcher) become(thing protocol.ThingName, groups []*entry) []Membership {
	var changed []Membership
	for _, e := range m.byThing[thing] {
		if !slices.Contains(groups, e) {
			changed = append(changed, Membership{Thing: thing, Group: e.name})
		}
	}
	for _, e := range groups {
		if !slices.Contains(m.byThing[thing], e) {
			changed = append(changed, Membership{Thing: thing, Group: e.name, Joined: true})
		}
	}
	slices.SortFunc(changed, compareGroup)
	for _, ms := range changed {
		m.record(m.groups[ms.Group], ms)
	}
	return changed
}

func (b *bound) older(x, y *entry) int {
	return cmp.Or(b.created(x.name).Compare(b.created(y.name)), cmp.Compare(x.name, y.name))
}

func (b *bound) refuse(thing protocol.ThingName, refused []*entry) {
	if len(refused) == 0 {
		delete(b.refused, thing)
		return
	}
	b.refused[thing] = slices.Clone(refused)
}

// refuses reports whether a group matches the thing, which has no room for it.
func (b *bound) refuses(thing protocol.ThingName, e *entry) bool {
	return slices.Contains(b.refused[thing], e)
}

// forget drops a group that is gone.
func (b *bound) forget(e *entry) {
	for thing, refused := range b.refused {
		if i := slices.Index(refused, e); i >= 0 {
			b.refuse(thing, slices.Delete(refused, i, i+1))
		}
	}
}
