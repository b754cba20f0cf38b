package protocol

import "time"

// Message is an MQTT message with everything of it that is forwarded to
// subscribers (AWS IoT reference 10.1 and 10.5). Its slices must not change once it
// has been handed on. The JSON form is the one in which retained messages are
// stored.
type Message struct {
	Topic   string `json:"topic"`
	Payload []byte `json:"payload"`
	// QoS is 0 or 1.
	QoS byte `json:"qos,omitempty"`
	// Retain asks to keep the message for later subscribers; with an empty
	// payload, to keep none any more.
	Retain bool `json:"retain,omitempty"`
	// Origin is the client id of the sender, empty for the server and HTTP: a
	// client can ask not to get its own messages back.
	Origin string `json:"origin,omitempty"`
	// Expires is when the message is no longer worth delivering; zero is never.
	Expires time.Time `json:"expires,omitzero"`

	// What follows is known to MQTT 5 only.

	// UTF8 says that the payload is text.
	UTF8            bool           `json:"utf8,omitempty"`
	ContentType     string         `json:"contentType,omitempty"`
	ResponseTopic   string         `json:"responseTopic,omitempty"`
	CorrelationData []byte         `json:"correlationData,omitempty"`
	UserProperties  []UserProperty `json:"userProperties,omitempty"`
}

// UserProperty is a pair that a sender adds to a message; keys may repeat and
// their order counts.
type UserProperty struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Expired reports whether the message's time has passed.
func (m Message) Expired(now time.Time) bool {
	return !m.Expires.IsZero() && !now.Before(m.Expires)
}

// Size is the number of bytes that the sender chose: topic, payload and properties.
func (m Message) Size() int {
	n := len(m.Topic) + len(m.Payload) + len(m.ContentType) + len(m.ResponseTopic) + len(m.CorrelationData)
	for _, p := range m.UserProperties {
		n += len(p.Key) + len(p.Value)
	}
	return n
}
