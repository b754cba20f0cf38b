package broker

import (
	"time"

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
		b.fanOut(packetOf(m, time.Now()))
	}
}

// packetOf is the PUBLISH packet of a message.
func packetOf(m protocol.Message, now time.Time) packets.Packet {
	pk := message(m.Topic, m.Payload, min(m.QoS, 1))
	pk.FixedHeader.Retain = m.Retain
	pk.Origin = m.Origin
	p := &pk.Properties
	p.ContentType, p.ResponseTopic, p.CorrelationData = m.ContentType, m.ResponseTopic, m.CorrelationData
	if m.UTF8 {
		p.PayloadFormat, p.PayloadFormatFlag = 1, true
	}
	if !m.Expires.IsZero() {
		p.MessageExpiryInterval = uint32(max(1, m.Expires.Sub(now)/time.Second))
		pk.Expiry = pk.Created + int64(p.MessageExpiryInterval)
	}
	for _, u := range m.UserProperties {
		p.User = append(p.User, packets.UserProperty{Key: u.Key, Val: u.Value})
	}
	return pk
}
