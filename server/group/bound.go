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
	Bound
	refused map[uint32][]*entry // by the number of the thing
}

// Bound is what limits how many dynamic groups a thing may be in. Without Room
// nothing does.
type Bound struct {
	// Room is how many dynamic groups a thing may be in. It may change with any
	// Apply of the thing, which then makes up for it, whatever the change was.
	Room func(protocol.ThingName) int
	// Created is when a group was made: older ones go first.
	Created func(protocol.ThingGroupName) time.Time
	// Refused hears, in the course of Apply, Scan and Remove, that a group has
	// begun to match a thing that has no room for it, or that the thing left it
	// for an older one.
	Refused func(protocol.ThingName, protocol.ThingGroupName)
}

// Bound makes a thing a member of the oldest groups only. It is called once,
// before Put.
func (m *Matcher) Bound(b Bound) { m.bound = bound{Bound: b, refused: map[uint32][]*entry{}} }

// Recall finds out which groups refuse a thing, after its memberships were
// restored. Only a thing without room has such.
func (m *Matcher) Recall(doc *index.Document) {
	if m.bound.Room == nil {
		return
	}
	t := m.things.at(doc)
	if len(t.groups) < m.bound.Room(t.name) {
		return
	}
	id := doc.ID()
	for _, e := range m.groups {
		if !t.in(e) && !slices.Contains(m.debounce.waiting[id], e) && e.query.Match(doc) {
			m.bound.refused[id] = append(m.bound.refused[id], e)
		}
	}
}

// Settle makes the memberships of a thing right for a bound that is not the one
// under which they came to be, and returns who joined and left, in order of
// group name. The document must be the thing's current one. The answer is the
// caller's until the next call.
func (m *Matcher) Settle(doc *index.Document) []Membership {
	return m.Apply(index.Change{Thing: doc.Thing(), New: doc, Fields: doc.Fields()})
}

// settle carries out that groups began or ceased to match a thing: it is the
// one place where the answer of a query becomes a membership. It adds to the
// answer what this changes, in order of group name.
func (m *Matcher) settle(id uint32, flips []decision) {
	t, before := &m.things[id], m.bound.refused[id]
	moves, refused := m.moves(t, before, flips)
	if len(before)+len(refused) > 0 {
		m.bound.refuse(id, t.name, refused)
	}
	for _, move := range moves {
		if move.matches {
			move.join(id, t)
		} else {
			move.leave(id, t)
		}
		m.changed = append(m.changed, Membership{Thing: t.name, Group: move.name, Joined: move.matches})
	}
}

// moves returns which groups a thing joins and leaves when some have flipped,
// and which refuse it then.
func (m *Matcher) moves(t *thing, refused []*entry, flips []decision) (moves []decision, refusing []*entry) {
	if m.bound.Room == nil {
		return flips, nil
	}
	room := max(0, m.bound.Room(t.name))
	if len(flips) == 0 && len(refused) == 0 && len(t.groups) <= room {
		return nil, nil
	}
	matching := slices.Clone(refused)
	for _, number := range t.groups {
		matching = append(matching, m.entries[number])
	}
	for _, f := range flips {
		if f.matches {
			matching = append(matching, f.entry)
		} else {
			matching = without(matching, f.entry)
		}
	}
	slices.SortFunc(matching, m.bound.older)
	room = min(room, len(matching))
	return m.become(t, matching[:room]), matching[room:]
}

// become returns the moves that make a thing a member of exactly these groups.
func (m *Matcher) become(t *thing, groups []*entry) []decision {
	var moves []decision
	for _, number := range t.groups {
		if e := m.entries[number]; !slices.Contains(groups, e) {
			moves = append(moves, decision{e, false})
		}
	}
	for _, e := range groups {
		if !t.in(e) {
			moves = append(moves, decision{e, true})
		}
	}
	slices.SortFunc(moves, byName)
	return moves
}

func (b *bound) older(x, y *entry) int {
	return cmp.Or(b.Created(x.name).Compare(b.Created(y.name)), cmp.Compare(x.name, y.name))
}

// refuse takes down which groups refuse a thing, and says which of them did
// not before.
func (b *bound) refuse(id uint32, name protocol.ThingName, refused []*entry) {
	before := b.refused[id]
	if len(refused) == 0 {
		delete(b.refused, id)
	} else {
		b.refused[id] = refused
	}
	for _, e := range refused {
		if b.Refused != nil && !slices.Contains(before, e) {
			b.Refused(name, e.name)
		}
	}
}

// forget drops a group that is gone.
func (b *bound) forget(e *entry) {
	for id, refused := range b.refused {
		if !slices.Contains(refused, e) {
			continue
		}
		if b.refused[id] = without(refused, e); len(b.refused[id]) == 0 {
			delete(b.refused, id)
		}
	}
}
