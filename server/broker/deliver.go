package broker

import (
	"math"
	"slices"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Publish sends a message to all subscribers of the topic, at the QoS of each
// subscription. It never waits for a client and never fails: a client that
// cannot take its messages is disconnected. The payload must not change
// afterwards.
func (b *Broker) Publish(topic string, payload []byte) {
	if usable(topic) {
		b.fanOut(message(topic, payload, 1))
	}
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
		s.box.deliver(message(topic, payload, 0))
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
	got := b.fanOut(message(topic, payload, 1))
	if s != nil && !slices.Contains(got, s.box) {
		s.box.deliver(message(topic, payload, 0))
	}
}

func usable(topic string) bool { return topic != "" && len(topic) <= math.MaxUint16 }

func message(topic string, payload []byte, qos byte) packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos},
		TopicName:   topic,
		Payload:     payload,
		Created:     time.Now().Unix(),
	}
}

// fanOut delivers a message to every subscriber and returns their mailboxes.
func (b *Broker) fanOut(pk packets.Packet) []*mailbox {
	subscribers := b.mqtt.Topics.Subscribers(pk.TopicName).Subscriptions
	if len(subscribers) == 0 {
		return nil
	}
	out := pk.Copy(false)
	out.Payload = pk.Payload // shared: nobody changes it
	if out.Properties.MessageExpiryInterval > 0 {
		out.Expiry = out.Created + int64(out.Properties.MessageExpiryInterval)
	}
	got := make([]*mailbox, 0, len(subscribers))
	for id, sub := range subscribers {
		if box := b.recipient(id, sub, pk); box != nil {
			box.deliver(forSubscription(out, sub))
			got = append(got, box)
		}
	}
	return got
}

// recipient is the mailbox of a subscriber that the message is really for.
func (b *Broker) recipient(id string, sub packets.Subscription, pk packets.Packet) *mailbox {
	if sub.NoLocal && pk.Origin == id {
		return nil
	}
	if matchesParent(sub.Filter, pk.TopicName) && !b.matchesOther(id, pk.TopicName) {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.boxes[id]
}

// matchesOther looks for a subscription of the client that matches the topic
// by AWS's rules.
func (b *Broker) matchesOther(id, topic string) bool {
	cl, ok := b.mqtt.Clients.Get(id)
	if !ok {
		return false
	}
	for filter := range cl.State.Subscriptions.GetAll() {
		if matches(filter, topic) {
			return true
		}
	}
	return false
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
