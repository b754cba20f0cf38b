package engine

import (
	"fmt"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/presence"
)

// Connect is that a client opened a session. It answers when the presence is
// durable; the client must not be told that it is connected before.
type Connect struct {
	ClientID string
	// Session is unique among the sessions of this run of the server.
	Session uint64
	// Principal identifies the client's credential, if any; IP its address.
	Principal, IP string
}

func (in Connect) step(t *tx) (struct{}, error) {
	e := t.name(protocol.ThingName(in.ClientID))
	if e.presence.Connected {
		t.presenceEvent(in.ClientID, "", event.Disconnected, e.presence, presence.Duplicate)
	}
	if e.thing == nil && e.presence.Version == 0 {
		// What came before is not remembered; later sessions must have larger versions.
		e.presence.Version = int64(in.Session) - 1
	}
	e.presence = e.presence.Connect(presence.Session{Boot: t.boot, Number: in.Session}, in.IP, t.now)
	t.presenceEvent(in.ClientID, in.Principal, event.Connected, e.presence, "")
	t.connectivityChanged(protocol.ThingName(in.ClientID), e)
	return struct{}{}, nil
}

// Disconnect is that a session ended. It is nothing when a newer session of
// the client has taken over.
type Disconnect struct {
	ClientID  string
	Session   uint64
	Principal string
	Reason    presence.Reason
}

func (in Disconnect) step(t *tx) (struct{}, error) {
	n := protocol.ThingName(in.ClientID)
	if e := t.names[n]; e != nil {
		t.disconnect(n, e, presence.Session{Boot: t.boot, Number: in.Session}, in.Principal, in.Reason)
	}
	return struct{}{}, nil
}

func (t *tx) disconnect(n protocol.ThingName, e *entry, s presence.Session, principal string, r presence.Reason) {
	next, applied := e.presence.Disconnect(s, r, t.now)
	if !applied {
		return
	}
	e.presence = next
	t.presenceEvent(string(n), principal, event.Disconnected, next, r)
	t.connectivityChanged(n, e)
	t.tidy(n)
}

// connectivityChanged stores and indexes the connectivity of a registered
// thing; the sessions of other clients are remembered only while they last.
func (t *tx) connectivityChanged(n protocol.ThingName, e *entry) {
	if e.thing == nil {
		return
	}
	t.putThing(n, kindPresence, string(n), e.presence)
	t.reconnected(n)
}

func (t *tx) presenceEvent(clientID, principal, kind string, p presence.Presence, r presence.Reason) {
	if !nameable(clientID) {
		return
	}
	m := event.Presence{
		ClientID: clientID, Timestamp: t.now.UnixMilli(), EventType: kind,
		SessionIdentifier:   sessionIdentifier(p.Session),
		PrincipalIdentifier: principal, VersionNumber: p.Version,
	}
	if kind == event.Connected {
		m.IPAddress = p.IP
	} else {
		initiated := r == presence.ClientInitiated
		m.ClientInitiatedDisconnect, m.DisconnectReason = &initiated, string(r)
	}
	t.announce(topic.Presence(clientID, kind), func() []byte { return marshal(m) })
}

func sessionIdentifier(s presence.Session) string { return fmt.Sprintf("%s-%d", s.Boot, s.Number) }

// sweepSessions ends the sessions of an earlier run of the server whose
// clients have not come back within the grace (AWS IoT reference 10.3).
func (t *tx) sweepSessions() {
	for _, o := range t.things.items {
		e := t.names[o.key]
		if e.presence.Connected && e.presence.Session.Boot != t.boot {
			t.disconnect(o.key, e, e.presence.Session, "", presence.ServerError)
		}
	}
}
