package mqtt_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/agent/mqtt"
)

// broker is a real MQTT server that remembers how its clients connect.
type broker struct {
	*mochi.Server
	mochi.HookBase
	address string
	once    sync.Once

	mu       sync.Mutex
	connects []packets.Packet
	filters  []int // filters per SUBSCRIBE
	refuse   bool
}

func (b *broker) ID() string { return "test" }
func (b *broker) Provides(h byte) bool {
	return h == mochi.OnConnect || h == mochi.OnSubscribe || h == mochi.OnConnectAuthenticate || h == mochi.OnACLCheck
}

func (b *broker) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return !b.refuse }
func (b *broker) OnACLCheck(*mochi.Client, string, bool) bool              { return true }
func (b *broker) OnConnect(_ *mochi.Client, pk packets.Packet) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connects = append(b.connects, pk)
	return nil
}

func (b *broker) OnSubscribe(_ *mochi.Client, pk packets.Packet) packets.Packet {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.filters = append(b.filters, len(pk.Filters))
	return pk
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{
		Server:  mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}),
		address: listener.Addr().String(),
	}
	if err := errors.Join(b.AddHook(b, nil), b.AddListener(listeners.NewNet("tcp", listener)), b.Serve()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	return b
}

func (b *broker) stop() { b.once.Do(func() { _ = b.Server.Close() }) }

func client(t *testing.T, cfg mqtt.Config) *mqtt.Client {
	t.Helper()
	cfg.ClientID = "pump-17"
	c, err := mqtt.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type message struct{ topic, payload string }

func inbox() (chan message, func(string, []byte)) {
	box := make(chan message, 100)
	return box, func(topic string, payload []byte) { box <- message{topic, string(payload)} }
}

func TestSession(t *testing.T) {
	b := startBroker(t)
	box, deliver := inbox()
	filters := []string{"a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8", "b/+/c", "d"}
	s, err := client(t, mqtt.Config{Servers: []string{b.address}}).Connect(t.Context(), filters, deliver)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	if pk := b.connects[0]; pk.Connect.ClientIdentifier != "pump-17" || !pk.Connect.Clean || pk.Connect.Keepalive != 60 || pk.ProtocolVersion != 4 {
		t.Errorf("connect: %+v", pk.Connect)
	}
	if len(b.filters) != 2 || b.filters[0] != 8 || b.filters[1] != 2 {
		t.Errorf("filters per SUBSCRIBE: %v", b.filters)
	}
	b.mu.Unlock()
	if err := s.Publish(t.Context(), "b/x/c", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if m := <-box; m != (message{"b/x/c", "hello"}) {
		t.Errorf("got %v", m)
	}
	select {
	case <-s.Done():
		t.Error("done before the end")
	default:
	}
	s.Close()
	s.Close()
	<-s.Done()
	if err := s.Publish(t.Context(), "d", nil); err == nil {
		t.Error("a closed session publishes")
	}
}

func TestServerGoesAway(t *testing.T) {
	b := startBroker(t)
	_, deliver := inbox()
	s, err := client(t, mqtt.Config{Servers: []string{b.address}}).Connect(t.Context(), []string{"a"}, deliver)
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	select {
	case <-s.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the end of the connection is not noticed")
	}
	if err := s.Publish(t.Context(), "a", nil); err == nil {
		t.Error("a lost session publishes")
	}
	s.Close()
}

func TestAddressesInTurn(t *testing.T) {
	b := startBroker(t)
	_, deliver := inbox()
	var dialled []string
	dialer := net.Dialer{}
	c := client(t, mqtt.Config{
		Servers: []string{"127.0.0.1:1", b.address},
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			return dialer.DialContext(ctx, "tcp", address)
		},
	})
	for range 2 {
		s, err := c.Connect(t.Context(), []string{"a"}, deliver)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	if want := "127.0.0.1:1 " + b.address + " " + b.address; strings.Join(dialled, " ") != want {
		t.Errorf("dialled %v, want the good one first the second time", dialled)
	}
}

func TestCannotConnect(t *testing.T) {
	b := startBroker(t)
	b.refuse = true
	silent := silentServer(t)
	_, deliver := inbox()
	for _, row := range []struct{ name, address, want string }{
		{"nobody listens", "127.0.0.1:1", "cannot connect to 127.0.0.1:1: dial tcp"},
		{"refused", b.address, "not Authorized"},
		{"no answer", silent, "cannot connect to " + silent},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := client(t, mqtt.Config{Servers: []string{row.address}, ConnectTimeout: 300 * time.Millisecond})
			if _, err := c.Connect(t.Context(), []string{"a"}, deliver); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	begun := time.Now()
	if _, err := client(t, mqtt.Config{Servers: []string{silent, silent}}).Connect(ctx, []string{"a"}, deliver); err == nil || time.Since(begun) > 5*time.Second {
		t.Errorf("canceled: %v after %s", err, time.Since(begun))
	}
}

// silentServer accepts connections and says nothing.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	return l.Addr().String()
}

// TestStalledConnection: a server that stops reading holds nobody up for
// longer than the caller waits.
func TestStalledConnection(t *testing.T) {
	b := startBroker(t)
	_, deliver := inbox()
	var stalled atomic.Bool
	dialer := net.Dialer{}
	c := client(t, mqtt.Config{
		Servers: []string{b.address}, WriteTimeout: time.Second,
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, "tcp", address)
			return &stallingConn{Conn: conn, stalled: &stalled, closed: make(chan struct{})}, err
		},
	})
	s, err := c.Connect(t.Context(), []string{"a"}, deliver)
	if err != nil {
		t.Fatal(err)
	}
	stalled.Store(true)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := s.Publish(ctx, "a", make([]byte, 1000)); err == nil {
			t.Error("published into a stalled connection")
		}
		cancel()
	}
	begun := time.Now()
	s.Close()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("closing took %s", took)
	}
}

// stallingConn blocks writes while stalled, as a full socket does.
type stallingConn struct {
	net.Conn
	stalled *atomic.Bool
	once    sync.Once
	closed  chan struct{}
}

func (c *stallingConn) Write(p []byte) (int, error) {
	if c.stalled.Load() {
		<-c.closed
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

func (c *stallingConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func TestNew(t *testing.T) {
	for _, cfg := range []mqtt.Config{{Servers: []string{"x:1"}}, {ClientID: "x"}, {ClientID: "x", Servers: []string{"no-port"}}} {
		if _, err := mqtt.New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
