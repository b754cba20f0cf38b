package broker

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// breachOfConnect reports whether a CONNECT packet breaks rules of MQTT that
// mochi lets pass. (Chapter 3.1 of both versions. It decodes a property that is
// twice there, or 0 where that is not allowed, like one that is absent.)
func breachOfConnect(pk packets.Packet) bool {
	c, p := pk.Connect, pk.Properties
	switch {
	case !c.WillFlag && c.WillQos != 0:
	case pk.ProtocolVersion < 5 && c.PasswordFlag && !c.UsernameFlag:
	case p.AuthenticationMethod == "" && len(p.AuthenticationData) > 0:
	case p.RequestProblemInfo > 1, p.RequestResponseInfo > 1:
	case c.WillFlag && !replyable(c.WillProperties.ResponseTopic):
	default:
		return false
	}
	return true
}

// breachOfSubscribe is breachOfConnect for SUBSCRIBE (MQTT 5, chapter 3.8).
func breachOfSubscribe(pk packets.Packet) bool {
	ids := pk.Properties.SubscriptionIdentifier
	if len(ids) > 1 || len(ids) == 1 && ids[0] == 0 {
		return true
	}
	for _, sub := range pk.Filters {
		if sub.RetainHandling > 2 {
			return true
		}
	}
	return false
}

// replyable reports whether a response topic, if any, can be published to (MQTT
// 5, chapter 3.3.2.3.5). A client that answers a request would be disconnected
// for one that cannot.
func replyable(responseTopic string) bool { return !strings.ContainsAny(responseTopic, "+#") }
