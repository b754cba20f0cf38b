package engine

import (
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/presence"
)

// Subscribed is that a client got new subscriptions. Each filter without
// wildcard gets the retained message of its topic (AWS IoT reference 10.1), in
// the order of the messages that leave through the gateway: a message that is
// retained later is delivered later.
type Subscribed struct {
	ClientID string
	Session  uint64
	Filters  []string
	// Deliver takes a retained message. Like the gateway it must not block.
	Deliver func(protocol.Message)
}

func (in Subscribed) step(t *tx) (struct{}, error) {
	for _, f := range in.Filters {
		if m := t.retained.live(f, t.now); m != nil && in.Deliver != nil {
			t.effects = append(t.effects, effect{message: &m.Message, to: in.Deliver})
		}
	}
	t.subscriptionEvent(event.Subscribed, in.ClientID, in.Session, in.Filters)
	return struct{}{}, nil
}

// Unsubscribed is that a client gave up subscriptions.
type Unsubscribed struct {
	ClientID string
	Session  uint64
	Filters  []string
}

func (in Unsubscribed) step(t *tx) (struct{}, error) {
	t.subscriptionEvent(event.Unsubscribed, in.ClientID, in.Session, in.Filters)
	return struct{}{}, nil
}

func (t *tx) subscriptionEvent(kind, clientID string, session uint64, filters []string) {
	if !nameable(clientID) {
		return
	}
	t.publish(topic.Subscriptions(clientID, kind), marshal(event.Subscription{
		ClientID: clientID, Timestamp: t.now.UnixMilli(), EventType: kind,
		SessionIdentifier: sessionIdentifier(presence.Session{Boot: t.boot, Number: session}),
		Topics:            filters,
	}))
}

// nameable reports whether a client id can stand in the topic of an event,
// which would be a filter otherwise (AWS IoT reference 10.2).
func nameable(clientID string) bool { return !strings.ContainsAny(clientID, "#+") }

// ConnectFailed is that a client was refused; nothing changes.
type ConnectFailed struct {
	ClientID, IP, Reason string
}

func (in ConnectFailed) step(t *tx) (struct{}, error) {
	if nameable(in.ClientID) {
		t.publish(topic.Presence(in.ClientID, event.ConnectFailed), marshal(event.ConnectFailure{
			ClientID: in.ClientID, Timestamp: t.now.UnixMilli(), EventType: event.ConnectFailed,
			IPAddress: in.IP, ConnectFailureReason: in.Reason,
		}))
	}
	return struct{}{}, nil
}
