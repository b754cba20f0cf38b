package broker

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/protocol"
)

// largestProperties bounds the user properties of a message that comes over
// HTTP; over MQTT the packet's limit does.
const largestProperties = 8 << 10

// Admit checks a message that comes another way than MQTT by the broker's
// limits and cuts its time to what they allow. Errors are InvalidRequests.
func (b *Broker) Admit(m protocol.Message) (protocol.Message, error) {
	if last := time.Now().Add(b.limits.MessageExpiry); m.Expires.After(last) {
		m.Expires = last
	}
	return m, b.limits.refuseMessage(m)
}

func (l Limits) refuseMessage(m protocol.Message) error {
	switch {
	case !printable(m.Topic) || !l.validTopic(m.Topic):
		return protocol.Errorf(protocol.InvalidRequest,
			"topic %q is not usable: a topic is 1 to %d bytes of UTF-8 with at most %d slashes and no wildcard", m.Topic, l.TopicBytes, l.TopicSlashes)
	case len(m.Payload) > l.PayloadBytes:
		return protocol.Errorf(protocol.InvalidRequest, "the payload for topic %q has %d bytes, more than %d", m.Topic, len(m.Payload), l.PayloadBytes)
	case m.ResponseTopic != "" && (!printable(m.ResponseTopic) || !l.validTopic(m.ResponseTopic)):
		return protocol.Errorf(protocol.InvalidRequest, "response topic %q is not usable as a topic", m.ResponseTopic)
	case !printable(m.ContentType) || m.Size()-len(m.Topic)-len(m.Payload) > largestProperties:
		return protocol.Errorf(protocol.InvalidRequest, "the properties of the message for topic %q have more than %d bytes or characters that MQTT forbids", m.Topic, largestProperties)
	}
	for _, p := range m.UserProperties {
		if !printable(p.Key) || !printable(p.Value) {
			return protocol.Errorf(protocol.InvalidRequest, "user property %q has characters that MQTT forbids", p.Key)
		}
	}
	return nil
}

// printable reports whether MQTT can carry a text.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// messageOf is the message of a client's PUBLISH packet or, with the
// properties of a will, of its CONNECT packet.
func messageOf(c Client, topic string, payload []byte, p *packets.Properties) protocol.Message {
	m := protocol.Message{
		Topic: topic, Payload: payload, Origin: c.ID,
		UTF8:        p.PayloadFormatFlag && p.PayloadFormat == 1,
		ContentType: p.ContentType, ResponseTopic: p.ResponseTopic, CorrelationData: p.CorrelationData,
	}
	for _, u := range p.User {
		m.UserProperties = append(m.UserProperties, protocol.UserProperty{Key: u.Key, Value: u.Val})
	}
	return m
}

// expires is when a message of now goes stale by its sender's wish, in seconds.
func (l Limits) expires(interval uint32, now time.Time) time.Time {
	if interval == 0 {
		return time.Time{}
	}
	return now.Add(min(time.Duration(interval)*time.Second, l.MessageExpiry))
}

// packetOf is the PUBLISH packet of a message.
func packetOf(m protocol.Message) packets.Packet {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: min(m.QoS, 1), Retain: m.Retain},
		TopicName:   m.Topic,
		Payload:     m.Payload, // shared: nobody changes it
		Created:     time.Now().Unix(),
		Origin:      m.Origin,
		Properties: packets.Properties{
			ContentType: m.ContentType, ResponseTopic: m.ResponseTopic, CorrelationData: m.CorrelationData,
		},
	}
	if m.UTF8 {
		pk.Properties.PayloadFormat, pk.Properties.PayloadFormatFlag = 1, true
	}
	if !m.Expires.IsZero() {
		pk.Expiry = m.Expires.Unix()
	}
	for _, u := range m.UserProperties {
		pk.Properties.User = append(pk.Properties.User, packets.UserProperty{Key: u.Key, Val: u.Value})
	}
	return pk
}
