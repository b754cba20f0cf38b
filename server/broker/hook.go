package broker

import (
	"errors"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/protocol"
)

// hook is where mochi calls us. Every method runs on the goroutine of the
// client's connection.
type hook struct {
	mqtt.HookBase
	b *Broker
}

// ID names the hook in mochi's logs.
func (h *hook) ID() string { return "guard" }

// Provides says which of the methods mochi calls.
func (h *hook) Provides(method byte) bool {
	switch method {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnSessionEstablished,
		mqtt.OnPacketRead, mqtt.OnPacketEncode, mqtt.OnPacketProcessed,
		mqtt.OnSubscribe, mqtt.OnACLCheck, mqtt.OnSubscribed, mqtt.OnUnsubscribe, mqtt.OnPublish:
		return true
	}
	return false
}

func connOf(cl *mqtt.Client) *conn { return cl.Net.Conn.(*conn) }

// OnConnect decides about a CONNECT packet that mochi finds valid. mochi
// closes the connection on an error but leaves the CONNACK to us.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	cl.Properties.Will = mqtt.Will{} // we send it
	if connOf(cl).emptyWill {
		pk.Connect.WillPayload = nil
	}
	cl.State.Keepalive = h.b.limits.keepAlive(pk.Connect.Keepalive)
	cl.State.ServerKeepalive = pk.ProtocolVersion == 5
	err := h.b.open(cl, connOf(cl), pk)
	if code, ok := errors.AsType[packets.Code](err); ok {
		_ = h.b.mqtt.SendConnack(cl, connackCode(code, pk.ProtocolVersion), false, nil) // closing anyway
		h.b.reportRefusal(cl, pk, code)
	}
	return err
}

// connackCode is the code as a client of the protocol version understands it:
// MQTT 3 knows five of them, and mochi translates only some.
func connackCode(code packets.Code, version byte) packets.Code {
	if version == 5 {
		return code
	}
	switch code {
	case packets.ErrClientIdentifierNotValid, packets.ErrServerUnavailable:
		return code
	case packets.ErrServerShuttingDown:
		return packets.ErrServerUnavailable
	}
	return packets.ErrBadUsernameOrPassword // sent as 5, not authorized
}

// OnConnectAuthenticate permits what OnConnect let through.
func (h *hook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnSessionEstablished comes after CONNACK.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	connOf(cl).session.ready()
}

// OnPacketEncode adds to CONNACK what mochi leaves out, and corrects the code
// of a CONNECT packet that mochi refused by itself. MQTT 5 clients are told by
// SUBACK why each filter was refused, and by UNSUBACK which they did not have.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	version5 := cl.Properties.ProtocolVersion == 5
	switch {
	case pk.FixedHeader.Type == packets.Connack:
		return h.connack(cl, pk)
	case pk.FixedHeader.Type == packets.Suback && version5:
		for i, code := range connOf(cl).session.refused {
			if code != packets.CodeSuccess {
				pk.ReasonCodes[i] = code.Code
			}
		}
	case pk.FixedHeader.Type == packets.Unsuback && version5:
		for i, stranger := range connOf(cl).session.stranger {
			if stranger {
				pk.ReasonCodes[i] = packets.CodeNoSubscriptionExisted.Code
			}
		}
	}
	return pk
}

func (h *hook) connack(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.ReasonCode == packets.CodeSuccess.Code {
		pk.Properties.MaximumPacketSize = uint32(h.b.limits.PacketBytes)
		pk.Properties.TopicAliasMaximum = uint16(h.b.limits.TopicAliases)
		pk.Properties.SharedSubAvailable, pk.Properties.SharedSubAvailableFlag = 0, true
	}
	pk.ReasonCode = knownCode(pk.ReasonCode, cl.Properties.ProtocolVersion)
	return pk
}

// knownCode puts one of MQTT 3's return codes in the place of MQTT 5's, for
// every protocol version but 5: a client that we do not speak the version of
// is answered so too.
func knownCode(code, version byte) byte {
	switch {
	case version == 5 || code < packets.ErrUnspecifiedError.Code:
		return code
	case version != 3 && version != 4:
		return packets.Err3UnsupportedProtocolVersion.Code
	case code == packets.ErrUnspecifiedError.Code: // mochi's for a kept session without client id
		return packets.Err3ClientIdentifierNotValid.Code
	}
	return packets.Err3NotAuthorized.Code
}

// OnPacketRead sees every decoded packet first. mochi ends the connection on
// ErrRejectPacket, and only on that.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	s := connOf(cl).session
	if s == nil {
		connOf(cl).admitEmpty(&pk)
		return pk, nil
	}
	switch pk.FixedHeader.Type {
	case packets.Auth: // no method was agreed on
		return pk, s.reject(ClientError, packets.ErrProtocolViolation)
	case packets.Disconnect:
		if pk.ProtocolVersion == 5 && pk.FixedHeader.Remaining == 1 {
			pk.ReasonCode = s.conn.last // mochi skips a code without properties
		}
	case packets.Puback:
		s.box.acked(pk.PacketID)
	case packets.Publish:
		if r, code := s.refusePublish(&pk); r != "" {
			return pk, s.reject(r, code)
		}
		s.throttle(len(pk.Payload))
	case packets.Subscribe, packets.Unsubscribe, packets.Pingreq:
		if breachOfSubscribe(pk) {
			return pk, s.reject(ClientError, packets.ErrProtocolViolation)
		}
		s.throttle(pk.FixedHeader.Remaining)
	}
	return pk, nil
}

// admitEmpty makes mochi accept a CONNECT packet with an empty will message or
// password, which MQTT allows.
func (c *conn) admitEmpty(pk *packets.Packet) {
	if pk.Connect.PasswordFlag && len(pk.Connect.Password) == 0 {
		pk.Connect.PasswordFlag = false
	}
	if pk.Connect.WillFlag && len(pk.Connect.WillPayload) == 0 {
		c.emptyWill = true
		pk.Connect.WillPayload = []byte{0} // OnConnect takes it out
	}
}

// reject ends the session for a packet; code is what an MQTT 5 client is told.
func (s *session) reject(r Reason, code packets.Code) error {
	s.dropWith(r, code)
	return packets.ErrRejectPacket
}

// refusePublish is the reason to end the session for a publish, or "". It
// comes before mochi and its topic tree see the topic. A topic alias is
// resolved.
func (s *session) refusePublish(pk *packets.Packet) (Reason, packets.Code) {
	l := s.b.limits
	switch {
	case !s.resolveAlias(pk):
		return ClientError, packets.ErrTopicAliasInvalid
	case pk.FixedHeader.Qos > 1:
		return ClientError, packets.ErrQosNotSupported
	case len(pk.Payload) > l.PayloadBytes:
		return ClientError, packets.ErrPacketTooLarge
	case !l.validTopic(pk.TopicName):
		return ClientError, packets.ErrTopicNameInvalid
	case !replyable(pk.Properties.ResponseTopic):
		return ClientError, packets.ErrProtocolViolation
	case serverTopic(pk.TopicName), !s.b.auth.CanPublish(s.client, pk.TopicName):
		return ForbiddenAccess, packets.ErrNotAuthorized
	}
	return "", packets.CodeSuccess
}

// resolveAlias replaces a topic alias of MQTT 5 by its topic, and reports
// whether the alias is one.
func (s *session) resolveAlias(pk *packets.Packet) bool {
	alias := pk.Properties.TopicAlias
	if !pk.Properties.TopicAliasFlag {
		return true
	}
	if alias == 0 || int(alias) > s.b.limits.TopicAliases {
		return false
	}
	if pk.TopicName != "" {
		if s.aliases == nil {
			s.aliases = map[uint16]string{}
		}
		s.aliases[alias] = strings.Clone(pk.TopicName) // which is a part of the whole packet
	}
	pk.TopicName = s.aliases[alias]
	pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = 0, false
	return pk.TopicName != ""
}

// throttle delays a client that asks for more than it may: publishes, and
// whatever else the broker has to answer.
func (s *session) throttle(size int) {
	now := time.Now()
	wait := max(
		s.publishes.take(now, s.b.limits.PublishRate, 1),
		s.publishedSize.take(now, s.b.limits.PublishBytesRate, size),
	)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.conn.closing:
	}
}

// OnPublish hands a publish to the handler and then to the subscribers. mochi
// sends PUBACK for CodeSuccessIgnore, nothing for ErrRejectPacket, and must
// not see any other error: it would route the message.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	s := connOf(cl).session
	m := messageOf(s.client, pk.TopicName, pk.Payload, &pk.Properties)
	m.QoS, m.Retain = pk.FixedHeader.Qos, pk.FixedHeader.Retain
	m.Expires = h.b.limits.expires(pk.Properties.MessageExpiryInterval, time.Now())
	s.inHandler = true
	s.conn.hold()
	handled, err := h.b.handler.Publish(h.b.ctx, s.client, m)
	s.inHandler = false
	if err != nil {
		return pk, s.publishFailed(m, err)
	}
	if !handled {
		h.b.fanOut(m)
	}
	return pk, packets.CodeSuccessIgnore
}

// publishFailed is what mochi is told about a message that the handler did
// not take. One over a quota is refused alone where the client can be told so;
// a client of MQTT 3 that waits for PUBACK learns it by losing its connection.
func (s *session) publishFailed(m protocol.Message, err error) error {
	full := protocol.CodeOf(err) == protocol.LimitExceeded
	s.b.log.Warn("message refused", "client", s.client.ID, "topic", m.Topic, "error", err)
	switch {
	case full && m.QoS == 0:
		return packets.ErrRejectPacket
	case full && s.client.Version == 5:
		return packets.ErrQuotaExceeded // the code of PUBACK
	case full:
		return s.reject(Throttled, packets.ErrQuotaExceeded)
	}
	return s.reject(ServerError, disconnectCode(ServerError))
}

// OnSubscribe lowers QoS 2 to 1 and decides about each filter before it enters
// the topic tree. mochi does not see the ones that are refused, for its checks
// take quadratic time: it gets an empty filter, which it refuses.
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	s := connOf(cl).session
	s.refused, s.again = make([]packets.Code, len(pk.Filters)), make([]bool, len(pk.Filters))
	added := map[string]bool{} // subscriptions that are new with this packet
	for i := range pk.Filters {
		sub := &pk.Filters[i]
		sub.Qos = min(sub.Qos, 1)
		sub.Filter = strings.Clone(sub.Filter) // which is a part of the whole packet
		_, known := s.cl.State.Subscriptions.Get(sub.Filter)
		if s.again[i] = known || added[sub.Filter]; !known {
			added[sub.Filter] = true
		}
		if s.refused[i] = s.refuseFilter(i, sub.Filter, len(added)); s.refused[i] != packets.CodeSuccess {
			delete(added, sub.Filter)
			sub.Filter = ""
		}
	}
	return pk
}

// refuseFilter is why the i-th filter of a SUBSCRIBE packet is not granted, or
// CodeSuccess. added counts the packet's new subscriptions so far, with it.
func (s *session) refuseFilter(i int, filter string, added int) packets.Code {
	l := s.b.limits
	if i >= l.SubscribeFilters {
		return packets.ErrQuotaExceeded
	}
	if code := l.refuseFilter(filter); code != packets.CodeSuccess {
		return code
	}
	switch {
	case s.cl.State.Subscriptions.Len()+added > l.Subscriptions:
		return packets.ErrQuotaExceeded
	case !s.b.auth.CanSubscribe(s.client, filter):
		return packets.ErrNotAuthorized
	}
	return packets.CodeSuccess
}

// OnACLCheck permits what OnPacketRead and OnSubscribe let through.
func (h *hook) OnACLCheck(*mqtt.Client, string, bool) bool { return true }

// OnPacketProcessed is what follows a packet that has been answered.
func (h *hook) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, err error) {
	s := connOf(cl).session
	switch {
	case pk.FixedHeader.Type == packets.Publish:
		s.conn.release()
	case pk.FixedHeader.Type == packets.Disconnect:
		s.goodbye(pk, err)
	case err == nil && pk.FixedHeader.Type == packets.Subscribe:
		s.subscribed()
	case err == nil && pk.FixedHeader.Type == packets.Unsubscribe:
		s.unsubscribed()
	}
}

// goodbye notes how a client leaves. Only one that says that all is well takes
// its will along.
func (s *session) goodbye(pk packets.Packet, err error) {
	if err != nil && !errors.Is(err, packets.CodeDisconnectWillMessage) {
		return
	}
	if pk.ReasonCode == packets.CodeDisconnect.Code {
		s.will = nil
	}
	s.conn.end(ClientInitiatedDisconnect)
}
