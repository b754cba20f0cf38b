package broker

import (
	"slices"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/protocol"
)

// grant is a filter that a SUBSCRIBE packet was granted.
type grant struct {
	packets.Subscription
	again bool // the client had it before
}

// wants reports whether a retained message goes to the new subscription.
func (g grant) wants(m protocol.Message, c Client) bool {
	switch {
	case g.Filter != m.Topic, g.NoLocal && m.Origin == c.ID:
		return false
	case g.RetainHandling == 0: // MQTT 3 has no other
		return true
	}
	return g.RetainHandling == 1 && !g.again
}

// OnSubscribed notes what was granted; it comes before SUBACK.
func (h *hook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, codes []byte) {
	s := connOf(cl).session
	s.grants = s.grants[:0]
	for i, sub := range pk.Filters {
		if codes[i] < packets.ErrUnspecifiedError.Code {
			s.grants = append(s.grants, grant{sub, s.again[i]})
		}
	}
}

// subscribed tells the handler about the filters of a SUBSCRIBE packet, after
// its SUBACK, and passes on the retained messages that it finds.
func (s *session) subscribed() {
	grants := slices.Clone(s.grants)
	if len(grants) == 0 {
		return
	}
	var filters []string
	for _, g := range grants {
		if !slices.Contains(filters, g.Filter) {
			filters = append(filters, g.Filter)
		}
	}
	s.inHandler = true
	err := s.b.handler.Subscribed(s.b.ctx, s.client, filters, func(m protocol.Message) {
		for _, g := range grants {
			if g.wants(m, s.client) {
				s.box.deliver(retainedFor(g, m))
			}
		}
	})
	s.inHandler = false
	if err != nil { // connecting and subscribing again finds the messages
		s.b.log.Warn("subscribe failed, connection closed", "client", s.client.ID, "error", err)
		s.drop(ServerError)
	}
}

// retainedFor is a retained message as a new subscription gets it.
func retainedFor(g grant, m protocol.Message) packets.Packet {
	pk := packetOf(m)
	pk.FixedHeader.Qos = min(pk.FixedHeader.Qos, g.Qos)
	pk.FixedHeader.Retain = true
	if g.Identifier > 0 {
		pk.Properties.SubscriptionIdentifier = []int{g.Identifier}
	}
	return pk
}

// OnUnsubscribe notes which of the filters the client has.
func (h *hook) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	s := connOf(cl).session
	s.leaving, s.stranger = nil, make([]bool, len(pk.Filters))
	for i, sub := range pk.Filters {
		if _, has := cl.State.Subscriptions.Get(sub.Filter); has && !slices.Contains(s.leaving, sub.Filter) {
			s.leaving = append(s.leaving, sub.Filter)
		} else {
			s.stranger[i] = true
		}
	}
	return pk
}

// unsubscribed tells the handler about the filters of an UNSUBSCRIBE packet.
func (s *session) unsubscribed() {
	if len(s.leaving) == 0 {
		return
	}
	s.inHandler = true
	s.b.handler.Unsubscribed(s.b.ctx, s.client, s.leaving)
	s.inHandler = false
}
