package broker

import (
	"math"
	"slices"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/protocol"
)

// Deliver sends a message to all subscribers of its topic, at its QoS or that
// of the subscription, whichever is lower; with the retain flag only to those
// who asked for it. It never waits for a client and never fails: a client that
// cannot take its messages is disconnected. The payload must not change
// afterwards.
func (b *Broker) Deliver(m protocol.Message) {
	if usable(m.Topic) {
		b.fanOut(m)
	}
}

// Publish is Deliver for a plain message of QoS 1.
func (b *Broker) Publish(topic string, payload []byte) { b.Deliver(simple(topic, payload, 1)) }

// Heard reports whether a topic has subscribers, so that a message for it would
// be delivered to somebody.
func (b *Broker) Heard(topic string) bool {
	return usable(topic) && len(b.mqtt.Topics.Subscribers(topic).Subscriptions) > 0
}

// Send sends a message to one session at QoS 0, whether it has subscribed or
// not; before its CONNACK the message waits for it. It is dropped when the
// session is gone. Like Publish it never waits.
func (b *Broker) Send(session uint64, topic string, payload []byte) {
	if !usable(topic) {
		return
	}
	b.mu.RLock()
	s := b.sessions[session]
	b.mu.RUnlock()
	if s != nil {
		s.box.deliver(packetOf(simple(topic, payload, 0)))
	}
}

// PublishAnd is Publish, and Send to the session unless that has got the
// message as a subscriber.
func (b *Broker) PublishAnd(topic string, payload []byte, session uint64) {
	if !usable(topic) {
		return
	}
	b.mu.RLock()
	s := b.sessions[session]
	b.mu.RUnlock()
	got := b.fanOut(simple(topic, payload, 1))
	if s != nil && !slices.Contains(got, s.box) {
		s.box.deliver(packetOf(simple(topic, payload, 0)))
	}
}

func usable(topic string) bool { return topic != "" && len(topic) <= math.MaxUint16 }

func simple(topic string, payload []byte, qos byte) protocol.Message {
	return protocol.Message{Topic: topic, Payload: payload, QoS: qos}
}

// fanOut delivers a message to every subscriber and returns their mailboxes.
func (b *Broker) fanOut(m protocol.Message) []*mailbox {
	subscribers := b.mqtt.Topics.Subscribers(m.Topic).Subscriptions
	if len(subscribers) == 0 {
		return nil
	}
	pk := packetOf(m)
	got := make([]*mailbox, 0, len(subscribers))
	for id, sub := range subscribers {
		sub, ok := b.subscription(id, sub, pk)
		if !ok {
			continue
		}
		if box := b.mailboxOf(id); box != nil {
			box.deliver(forSubscription(pk, sub))
			got = append(got, box)
		}
	}
	return got
}

// subscription is what a client's subscriptions that match a message come to:
// the highest QoS and the identifiers of those that the message is really for.
// found is what mochi makes of them; it is taken as it is when it stands for
// a single one, for mochi matches a/# with a and lets one NoLocal speak for all.
func (b *Broker) subscription(id string, found packets.Subscription, pk packets.Packet) (packets.Subscription, bool) {
	cl, ok := b.mqtt.Clients.Get(id)
	if !ok {
		return found, false
	}
	meant := func(sub packets.Subscription) bool {
		return matches(sub.Filter, pk.TopicName) && !(sub.NoLocal && pk.Origin == id)
	}
	if cl.State.Subscriptions.Len() == 1 {
		return found, meant(found)
	}
	sum := packets.Subscription{Identifiers: map[string]int{}}
	ok = false
	for filter, sub := range cl.State.Subscriptions.GetAll() {
		if !meant(sub) {
			continue
		}
		ok = true
		sum.Qos = max(sum.Qos, sub.Qos)
		sum.RetainAsPublished = sum.RetainAsPublished || sub.RetainAsPublished
		sum.Identifiers[filter] = sub.Identifier
	}
	return sum, ok
}

func (b *Broker) mailboxOf(id string) *mailbox {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.boxes[id]
}

// forSubscription is the message as one subscription gets it.
func forSubscription(pk packets.Packet, sub packets.Subscription) packets.Packet {
	pk.FixedHeader.Qos = min(pk.FixedHeader.Qos, sub.Qos)
	if !sub.RetainAsPublished {
		pk.FixedHeader.Retain = false
	}
	for _, id := range sub.Identifiers {
		if id > 0 {
			pk.Properties.SubscriptionIdentifier = append(pk.Properties.SubscriptionIdentifier, id)
		}
	}
	slices.Sort(pk.Properties.SubscriptionIdentifier)
	return pk
}
