package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/broker"
)

const patience = 10 * time.Second

// record is what a handler was told.
type record struct {
	what    string // "connect", "disconnect", "publish"
	client  broker.Client
	reason  broker.Reason
	topic   string
	payload string
}

// recorder keeps what a handler is told; the hooks change its answers.
type recorder struct {
	onConnect func(broker.Client) error
	onPublish func(c broker.Client, topic string, payload []byte) (bool, error)
	onMessage func(m protocol.Message) (bool, error)
	onFilters func(filters []string, retained func(protocol.Message)) error
	onEnd     func(broker.Client)

	mu      sync.Mutex
	records []record
}

// tap is the handler side of a recorder.
type tap struct{ *recorder }

func (r *recorder) add(rec record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, rec)
}

func (r tap) Connect(_ context.Context, c broker.Client) error {
	if r.onConnect != nil {
		if err := r.onConnect(c); err != nil {
			return err
		}
	}
	r.add(record{what: "connect", client: c})
	return nil
}

func (r tap) Disconnect(_ context.Context, c broker.Client, reason broker.Reason) {
	if r.onEnd != nil {
		r.onEnd(c)
	}
	r.add(record{what: "disconnect", client: c, reason: reason})
}

func (r tap) Publish(_ context.Context, c broker.Client, m protocol.Message) (bool, error) {
	r.add(record{what: "publish", client: c, topic: m.Topic, payload: string(m.Payload)})
	if r.onMessage != nil {
		return r.onMessage(m)
	}
	if r.onPublish != nil {
		return r.onPublish(c, m.Topic, m.Payload)
	}
	return false, nil
}

func (r tap) Refused(_ context.Context, c broker.Client, why broker.Reason) {
	r.add(record{what: "refused", client: c, reason: why})
}

func (r tap) Subscribed(_ context.Context, c broker.Client, filters []string, retained func(protocol.Message)) error {
	r.add(record{what: "subscribed", client: c, topic: strings.Join(filters, " ")})
	if r.onFilters != nil {
		return r.onFilters(filters, retained)
	}
	return nil
}

func (r tap) Unsubscribed(_ context.Context, c broker.Client, filters []string) {
	r.add(record{what: "unsubscribed", client: c, topic: strings.Join(filters, " ")})
}

// of returns the records about a client id ("" for all) of the given kind.
func (r *recorder) of(what, id string) []record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.records), func(rec record) bool {
		return rec.what != what || id != "" && rec.client.ID != id
	})
}

// reasons are those of the ended sessions of a client id, in order.
func (r *recorder) reasons(id string) []broker.Reason {
	var out []broker.Reason
	for _, rec := range r.of("disconnect", id) {
		out = append(out, rec.reason)
	}
	return out
}

// server is a broker on loopback with its recorder.
type server struct {
	*broker.Broker
	*recorder
	addr string
	stop func() // ends Run and waits for it
}

func start(t testing.TB, limits broker.Limits, change ...func(*broker.Config)) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{recorder: &recorder{}, addr: listener.Addr().String()}
	cfg := broker.Config{Listeners: []net.Listener{listener}, Handler: tap{s.recorder}, Authorizer: broker.AllowAll{}, Limits: limits}
	if os.Getenv("BROKER_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	for _, f := range change {
		f(&cfg)
	}
	if s.Broker, err = broker.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not return")
		}
	})
	t.Cleanup(s.stop)
	return s
}

// eventually polls until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func wantReasons(t testing.TB, s *server, id string, want ...broker.Reason) {
	t.Helper()
	eventually(t, "session end of "+id, func() bool { return len(s.reasons(id)) >= len(want) })
	if got := s.reasons(id); !slices.Equal(got, want) {
		t.Errorf("reasons of %q: got %v, want %v", id, got, want)
	}
}

// wire is a raw MQTT client.
type wire struct {
	net.Conn
	t       testing.TB
	in      *bufio.Reader
	version byte
}

func dial(t testing.TB, addr string) *wire {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newWire(t, nc)
}

func newWire(t testing.TB, nc net.Conn) *wire {
	t.Cleanup(func() { _ = nc.Close() })
	return &wire{Conn: nc, t: t, in: bufio.NewReader(nc), version: 4}
}

// connectPacket is a clean CONNECT.
func connectPacket(id string, version byte) packets.Packet {
	return packets.Packet{
		FixedHeader:     packets.FixedHeader{Type: packets.Connect},
		ProtocolVersion: version,
		Connect: packets.ConnectParams{
			ProtocolName:     []byte("MQTT"),
			ClientIdentifier: id,
			Clean:            true,
			Keepalive:        60,
		},
	}
}

// connect dials and connects a raw client.
func connect(t testing.TB, addr, id string, version byte) *wire {
	t.Helper()
	w := dial(t, addr)
	w.hello(connectPacket(id, version))
	return w
}

// hello sends CONNECT and expects success; it returns the CONNACK.
func (w *wire) hello(pk packets.Packet) packets.Packet {
	w.t.Helper()
	ack := w.try(pk)
	if ack.FixedHeader.Type != packets.Connack || ack.ReasonCode != 0 {
		w.t.Fatalf("CONNECT of %q answered by type %d, code %#x", pk.Connect.ClientIdentifier, ack.FixedHeader.Type, ack.ReasonCode)
	}
	return ack
}

// try sends CONNECT and returns the answer.
func (w *wire) try(pk packets.Packet) packets.Packet {
	w.t.Helper()
	w.version = pk.ProtocolVersion
	w.send(pk)
	return w.receive()
}

func encode(t testing.TB, pk packets.Packet) []byte {
	t.Helper()
	var buf bytes.Buffer
	var err error
	switch pk.FixedHeader.Type {
	case packets.Connect:
		err = pk.ConnectEncode(&buf)
	case packets.Publish:
		err = pk.PublishEncode(&buf)
	case packets.Puback:
		err = pk.PubackEncode(&buf)
	case packets.Subscribe:
		pk.FixedHeader.Qos = 1
		err = pk.SubscribeEncode(&buf)
	case packets.Unsubscribe:
		pk.FixedHeader.Qos = 1
		err = pk.UnsubscribeEncode(&buf)
	case packets.Auth:
		err = pk.AuthEncode(&buf)
	case packets.Pingreq:
		err = pk.PingreqEncode(&buf)
	case packets.Disconnect:
		err = pk.DisconnectEncode(&buf)
	default:
		t.Fatalf("cannot encode type %d", pk.FixedHeader.Type)
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func (w *wire) send(pk packets.Packet) {
	w.t.Helper()
	pk.ProtocolVersion = w.version
	pk.Mods.AllowResponseInfo = true
	w.raw(encode(w.t, pk))
}

func (w *wire) raw(b []byte) {
	w.t.Helper()
	if _, err := w.Write(b); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) publish(topic, payload string, qos byte, id uint16) {
	w.t.Helper()
	w.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos},
		TopicName:   topic, Payload: []byte(payload), PacketID: id,
	})
}

// subscribe returns the codes of the SUBACK.
func (w *wire) subscribe(qos byte, filters ...string) []byte {
	w.t.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, PacketID: 7}
	for _, f := range filters {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f, Qos: qos})
	}
	w.send(pk)
	ack := w.receive()
	if ack.FixedHeader.Type != packets.Suback || ack.PacketID != 7 {
		w.t.Fatalf("SUBSCRIBE answered by type %d", ack.FixedHeader.Type)
	}
	return ack.ReasonCodes
}

// unsubscribe returns the UNSUBACK.
func (w *wire) unsubscribe(filters ...string) packets.Packet {
	w.t.Helper()
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 8}
	for _, f := range filters {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f})
	}
	w.send(pk)
	ack := w.receive()
	if ack.FixedHeader.Type != packets.Unsuback || ack.PacketID != 8 {
		w.t.Fatalf("UNSUBSCRIBE answered by type %d", ack.FixedHeader.Type)
	}
	return ack
}

// next reads one packet.
func (w *wire) next(timeout time.Duration) (packets.Packet, error) {
	_ = w.SetReadDeadline(time.Now().Add(timeout))
	pk := packets.Packet{ProtocolVersion: w.version}
	first, err := w.in.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return pk, err
	}
	if pk.FixedHeader.Remaining, _, err = packets.DecodeLength(w.in); err != nil {
		return pk, err
	}
	body := make([]byte, pk.FixedHeader.Remaining)
	if _, err := io.ReadFull(w.in, body); err != nil {
		return pk, err
	}
	switch pk.FixedHeader.Type {
	case packets.Connack:
		err = pk.ConnackDecode(body)
	case packets.Publish:
		err = pk.PublishDecode(body)
	case packets.Puback:
		err = pk.PubackDecode(body)
	case packets.Suback:
		err = pk.SubackDecode(body)
	case packets.Unsuback:
		err = pk.UnsubackDecode(body)
	case packets.Disconnect:
		err = pk.DisconnectDecode(body)
	}
	return pk, err
}

func (w *wire) receive() packets.Packet {
	w.t.Helper()
	pk, err := w.next(patience)
	if err != nil {
		w.t.Fatalf("cannot read a packet: %v", err)
	}
	return pk
}

func (w *wire) wantPublish(topic, payload string) packets.Packet {
	w.t.Helper()
	return w.wantPublishWithin(patience, topic, payload)
}

func (w *wire) wantPublishWithin(timeout time.Duration, topic, payload string) packets.Packet {
	w.t.Helper()
	pk, err := w.next(timeout)
	if err != nil {
		w.t.Fatalf("cannot read PUBLISH %s: %v", topic, err)
	}
	if pk.FixedHeader.Type != packets.Publish || pk.TopicName != topic || string(pk.Payload) != payload {
		w.t.Fatalf("got packet type %d %s %q, want PUBLISH %s %q", pk.FixedHeader.Type, pk.TopicName, pk.Payload, topic, payload)
	}
	return pk
}

// wantNothing pings: whatever was sent before must be the answer.
func (w *wire) wantNothing() {
	w.t.Helper()
	w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
	if pk := w.receive(); pk.FixedHeader.Type != packets.Pingresp {
		w.t.Fatalf("got packet type %d %s %q, want nothing", pk.FixedHeader.Type, pk.TopicName, pk.Payload)
	}
}

// wantClosed reads until the server closes and returns the packets before.
func (w *wire) wantClosed(timeout time.Duration) []packets.Packet {
	w.t.Helper()
	var got []packets.Packet
	for {
		pk, err := w.next(timeout)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			w.t.Fatalf("connection still open after %v", timeout)
		}
		if err != nil {
			return got
		}
		got = append(got, pk)
	}
}

// pahoClient connects the MQTT library that agents use.
func pahoClient(t testing.TB, addr, id string, change ...func(*paho.ClientOptions)) paho.Client {
	t.Helper()
	opts := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(id).
		SetAutoReconnect(false).SetOrderMatters(false).SetConnectTimeout(patience)
	for _, f := range change {
		f(opts)
	}
	c := paho.NewClient(opts)
	await(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func await(t testing.TB, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatal("paho: no answer")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

// wantHealthy proves that the broker serves a new client in full.
func wantHealthy(t testing.TB, s *server) {
	t.Helper()
	w := connect(t, s.addr, "healthy", 4)
	defer w.Close()
	if codes := w.subscribe(1, "health/check"); !bytes.Equal(codes, []byte{1}) {
		t.Fatalf("SUBACK codes %v", codes)
	}
	w.publish("health/check", "ok", 0, 0)
	w.wantPublish("health/check", "ok")
}
