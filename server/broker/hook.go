package broker

import (
	"errors"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
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
		mqtt.OnSubscribe, mqtt.OnACLCheck, mqtt.OnPublish:
		return true
	}
	return false
}

func connOf(cl *mqtt.Client) *conn { return cl.Net.Conn.(*conn) }

// OnConnect decides about a CONNECT packet that mochi finds valid. mochi
// closes the connection on an error but leaves the CONNACK to us.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	cl.Properties.Will = mqtt.Will{} // we send it
	cl.State.Keepalive = h.b.limits.keepAlive(pk.Connect.Keepalive)
	cl.State.ServerKeepalive = pk.ProtocolVersion == 5
	err := h.b.open(cl, connOf(cl), pk)
	if code, ok := errors.AsType[packets.Code](err); ok {
		_ = h.b.mqtt.SendConnack(cl, connackCode(code, pk.ProtocolVersion), false, nil) // closing anyway
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
// of a CONNECT packet that mochi refused by itself.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type != packets.Connack {
		return pk
	}
	if pk.ReasonCode == packets.CodeSuccess.Code {
		pk.Properties.MaximumPacketSize = uint32(h.b.limits.PacketBytes)
		pk.Properties.RetainAvailable, pk.Properties.RetainAvailableFlag = 0, true
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
		return pk, nil
	}
	switch pk.FixedHeader.Type {
	case packets.Disconnect:
		if pk.ProtocolVersion == 5 && pk.FixedHeader.Remaining == 1 {
			pk.ReasonCode = s.conn.last // mochi skips a code without properties
		}
	case packets.Puback:
		s.box.acked(pk.PacketID)
	case packets.Publish:
		if r := s.refusePublish(pk); r != "" {
			s.drop(r)
			return pk, packets.ErrRejectPacket
		}
		s.throttle(len(pk.Payload))
	}
	return pk, nil
}

// refusePublish is the reason to end the session for a publish, or "". It
// comes before mochi and its topic tree see the topic.
func (s *session) refusePublish(pk packets.Packet) Reason {
	l := s.b.limits
	switch {
	case pk.FixedHeader.Qos > 1, len(pk.Payload) > l.PayloadBytes, !l.validTopic(pk.TopicName):
		return ClientError
	case serverTopic(pk.TopicName), !s.b.auth.CanPublish(s.client, pk.TopicName):
		return ForbiddenAccess
	}
	return ""
}

// throttle delays a client that publishes faster than it may.
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
	s.inHandler = true
	handled, err := h.b.handler.Publish(h.b.ctx, s.client, pk.TopicName, pk.Payload)
	s.inHandler = false
	if err != nil {
		h.b.log.Warn("publish failed, connection closed", "client", s.client.ID, "topic", pk.TopicName, "error", err)
		s.drop(ServerError)
		return pk, packets.ErrRejectPacket
	}
	if !handled {
		h.b.fanOut(pk)
	}
	return pk, packets.CodeSuccessIgnore
}

// OnSubscribe lowers QoS 2 to 1 and starts counting filters.
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	connOf(cl).session.filters = 0
	for i := range pk.Filters {
		pk.Filters[i].Qos = min(pk.Filters[i].Qos, 1)
	}
	return pk
}

// OnACLCheck answers, for each filter of a SUBSCRIBE packet and before it
// enters the topic tree, whether it is granted. Publishes were checked by
// OnPacketRead.
func (h *hook) OnACLCheck(cl *mqtt.Client, filter string, write bool) bool {
	if write {
		return true
	}
	s := connOf(cl).session
	l := h.b.limits
	s.filters++
	if s.filters > l.SubscribeFilters || !l.validFilter(filter) {
		return false
	}
	subscribed := s.cl.State.Subscriptions
	if _, again := subscribed.Get(filter); !again && subscribed.Len() >= l.Subscriptions {
		return false
	}
	return h.b.auth.CanSubscribe(s.client, filter)
}

// OnPacketProcessed notes how a client says goodbye. Only one that says that
// all is well takes its will along.
func (h *hook) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, err error) {
	if pk.FixedHeader.Type != packets.Disconnect {
		return
	}
	s := connOf(cl).session
	if err != nil && !errors.Is(err, packets.CodeDisconnectWillMessage) {
		return
	}
	if pk.ReasonCode == packets.CodeDisconnect.Code {
		s.will = nil
	}
	s.conn.end(ClientInitiatedDisconnect)
}
