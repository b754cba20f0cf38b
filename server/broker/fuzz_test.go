package broker_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/broker"
)

// counter is a handler that counts open sessions.
type counter struct{ open atomic.Int64 }

func (c *counter) Connect(context.Context, broker.Client) error {
	c.open.Add(1)
	return nil
}
func (c *counter) Disconnect(context.Context, broker.Client, broker.Reason) { c.open.Add(-1) }
func (c *counter) Refused(context.Context, broker.Client, broker.Reason)    {}
func (c *counter) Unsubscribed(context.Context, broker.Client, []string)    {}
func (c *counter) Subscribed(context.Context, broker.Client, []string, func(protocol.Message)) error {
	return nil
}

func (c *counter) Publish(_ context.Context, _ broker.Client, m protocol.Message) (bool, error) {
	topic := m.Topic
	return len(topic)%2 == 0, nil
}

// FuzzPackets sends random bytes to the broker, as the first packet (version
// 0) or after a valid CONNECT: the connection must end, its session be
// reported, and a healthy client be served as before.
func FuzzPackets(f *testing.F) {
	hello := encode(f, connectPacket("other", 5))
	publish := encode(f, packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, ProtocolVersion: 5,
		TopicName: "a/b", Payload: []byte("x"), PacketID: 1,
	})
	subscribe := encode(f, packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, ProtocolVersion: 5, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: "a/+", Qos: 1}, {Filter: "#"}},
	})
	bye := encode(f, packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ProtocolVersion: 5})
	for _, seed := range [][]byte{
		hello, publish, subscribe, bye,
		hello[:len(hello)-3], publish[:5], subscribe[:6],
		append(append([]byte{}, subscribe...), publish...),
		{0x82, 6, 0, 1, 0, 0, 1, 'a'}, // kills mochi 2.7.9
		{0xa2, 5, 0, 1, 0, 0, 1},      // UNSUBSCRIBE, cut
		{0x40, 2, 0, 1},
		{0x50, 2, 0, 1},
		{0x62, 2, 0, 1},
		{0x70, 2, 0, 1}, // acknowledgements
		{0xc0, 0},
		{0xf0, 2, 0x18, 0},
		{0xe0, 2, 4, 0},
		{0x00, 0},
		{0x20, 2, 0, 0},
		{0x30, 0xff, 0xff, 0xff, 0x7f},
		{0x30, 0x80, 0x80, 0x80, 0x80, 0x80},
	} {
		for _, version := range []byte{0, 4, 5} {
			f.Add(version, seed)
		}
	}

	sessions := &counter{}
	s := start(f, broker.Limits{PublishRate: -1, PublishBytesRate: -1, MinKeepAlive: time.Hour, MaxKeepAlive: time.Hour},
		func(cfg *broker.Config) { cfg.Handler = sessions })
	const topic = "$aws/events/only/the/server/publishes/here"
	healthy := connect(f, s.addr, "healthy-client-of-the-fuzz-test", 4)
	healthy.subscribe(1, topic)

	f.Fuzz(func(t *testing.T, version byte, data []byte) {
		near, far := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.Serve(far)
		}()
		go func() { _, _ = io.Copy(io.Discard, near) }()
		_ = near.SetWriteDeadline(time.Now().Add(patience))
		if version%3 > 0 {
			_, _ = near.Write(encode(t, connectPacket("fuzz", 3+version%3)))
		}
		_, _ = near.Write(data) // may fail: the broker hangs up
		_ = near.Close()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("the connection does not end")
		}
		if n := sessions.open.Load(); n != 1 {
			t.Fatalf("%d sessions open, want that of the healthy client", n)
		}
		healthy.t = t
		s.Publish(topic, data)
		id := healthy.wantPublish(topic, string(data)).PacketID
		healthy.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: id})
	})
}
