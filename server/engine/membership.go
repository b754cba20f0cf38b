package engine

import (
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/registry"
)

// document builds what the index knows of a registered thing.
func (s *state) document(e *entry) *index.Document {
	src := index.Source{
		ThingName: e.thing.Name, ThingID: e.thing.ID, ThingTypeName: string(e.thing.TypeName), Version: e.thing.Version,
		GroupNames:   namesOf(s.tree.AllGroupsOf(e.thing.Name)),
		Attributes:   e.thing.Attributes,
		Shadows:      make(map[string]index.ShadowState, len(e.shadows)),
		Connectivity: e.connectivity(),
	}
	for name, d := range e.shadows {
		if d.Exists() {
			src.Shadows[name] = d
		}
	}
	return index.Flatten(src, s.indexing.Thing)
}

func (e *entry) connectivity() index.Connectivity {
	return index.Connectivity{
		Connected: e.presence.Connected, Timestamp: milliseconds(e.presence.At), DisconnectReason: string(e.presence.Reason),
		Version: e.presence.Version,
	}
}

// dynamicGroupsOf lists the dynamic groups that a thing is in, by name.
func (s *state) dynamicGroupsOf(n protocol.ThingName) []protocol.ThingGroupName {
	return s.matcher.GroupsOf(s.index.Get(n))
}

// reindex brings the index up to date with a thing, and with it the dynamic
// groups and the jobs that target them: the way of every change.
func (t *tx) reindex(n protocol.ThingName) {
	e := t.names[n]
	if e == nil || e.thing == nil || t.indexing.Status == IndexOff {
		return
	}
	t.indexed(e, t.document(e))
}

// reconnected is reindex for a change of the connectivity alone, which is
// most of them: the rest of the document is kept.
func (t *tx) reconnected(n protocol.ThingName) {
	e := t.names[n]
	if doc := t.index.Get(n); doc != nil {
		t.indexed(e, doc.WithConnectivity(e.connectivity()))
	}
}

func (t *tx) indexed(e *entry, doc *index.Document) {
	change := t.index.Put(doc)
	t.moved(*e.thing, t.matcher.Apply(change), change.OnlyConnectivity())
}

// reindexDeleted takes a deleted thing out of the index and its groups.
func (t *tx) reindexDeleted(th registry.Thing) {
	flips := flips{}
	for _, g := range t.tree.GroupsOf(th.Name) {
		t.moveStatic(flips, th, group.Membership{Thing: th.Name, Group: g})
	}
	t.moveDynamic(flips, th, t.matcher.Apply(t.index.Delete(th.Name)))
	t.retarget(th.Name, flips, false)
}

// moved is moveDynamic for a change that touches nothing else.
func (t *tx) moved(th registry.Thing, moves []group.Membership, byConnectivity bool) {
	flips := flips{}
	t.moveDynamic(flips, th, moves)
	t.retarget(th.Name, flips, byConnectivity)
}

// flips are the groups that a change made a thing join (true) or leave, as
// far as jobs know of it.
type flips map[protocol.ThingGroupName]bool

// moveDynamic stores the memberships in dynamic groups that one change of a
// thing brought about, publishes them and adds them to the flips.
func (t *tx) moveDynamic(flips flips, th registry.Thing, moves []group.Membership) {
	if len(moves) == 0 {
		return
	}
	t.showMoves(th.Name, moves)
	for _, m := range moves {
		g := t.groups[m.Group]
		held := g.Status != group.Active
		switch {
		case m.Joined && held:
			g.hold(th.Name)
		case !m.Joined && g.held[th.Name]:
			delete(g.held, th.Name)
		default:
			flips[m.Group] = m.Joined
			held = false
		}
		t.putMember(g, th, m.Joined, held)
	}
}

// showMoves lets searches see the memberships in dynamic groups.
func (s *state) showMoves(n protocol.ThingName, moves []group.Membership) {
	doc := s.index.Get(n)
	if doc == nil {
		return // the thing is gone, and what the index knew of it
	}
	for _, m := range moves {
		if m.Joined {
			s.index.Join(doc.ID(), m.Group)
		} else {
			s.index.Leave(doc.ID(), m.Group)
		}
	}
}

// putMember stores and publishes one membership.
func (t *tx) putMember(g *groupEntry, th registry.Thing, joined, held bool) {
	row := key(string(th.Name), string(g.Name))
	if joined {
		t.putThing(th.Name, kindMember, row, memberRow{Held: held})
	} else {
		t.delThing(th.Name, kindMember, row)
	}
	t.membershipEvent(g.Group, th, joined)
}

func (g *groupEntry) hold(n protocol.ThingName) {
	if g.held == nil {
		g.held = map[protocol.ThingName]bool{}
	}
	g.held[n] = true
}

func (t *tx) membershipEvent(g group.Group, th registry.Thing, joined bool) {
	if !t.events.Enabled[event.ThingGroupMembership] {
		return
	}
	operation, word := "REMOVED", "removed"
	if joined {
		operation, word = "ADDED", "added"
	}
	m := event.MembershipChange{
		EventType: "THING_GROUP_MEMBERSHIP_EVENT", EventID: t.cfg.NewID(), Timestamp: t.now.UnixMilli(), Operation: operation,
		AccountID: t.cfg.Account, GroupID: g.ID, ThingID: th.ID,
	}
	groupName, thing, arn := string(g.Name), string(th.Name), t.arn
	t.announce(topic.Membership(g.Name, th.Name, word), func() []byte {
		m.GroupARN, m.ThingARN = arn(protocol.KindThingGroup, groupName), arn(protocol.KindThing, thing)
		m.MembershipID = m.GroupID + ":" + m.ThingID
		return marshal(m)
	})
}
