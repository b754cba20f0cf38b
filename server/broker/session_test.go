package broker_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

func TestReasons(t *testing.T) {
	limits := broker.Limits{MinKeepAlive: time.Second, PublishRate: -1}
	disconnect := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}}
	withWill := disconnect
	withWill.ReasonCode = 4
	for _, tc := range []struct {
		name string
		act  func(s *server, w *wire)
		want broker.Reason
		will bool
	}{
		{"disconnect packet", func(_ *server, w *wire) { w.send(disconnect) }, broker.ClientInitiatedDisconnect, false},
		{"connection lost", func(_ *server, w *wire) { _ = w.Close() }, broker.ConnectionLost, true},
		{"keep-alive", func(*server, *wire) {}, broker.KeepAliveTimeout, true},
		{"second CONNECT", func(_ *server, w *wire) { w.send(connectPacket("dev", 4)) }, broker.ClientError, true},
		{"malformed packet", func(_ *server, w *wire) { w.raw([]byte{0x82, 2, 0, 1}) }, broker.ClientError, true},
		{"packet of a server", func(_ *server, w *wire) { w.raw([]byte{0x20, 2, 0, 0}) }, broker.ClientError, true},
		{"QoS 2", func(_ *server, w *wire) { w.publish("a/b", "x", 2, 1) }, broker.ClientError, true},
		{"kick", func(s *server, _ *wire) { s.Kick("dev", broker.APIInitiatedDisconnect) }, broker.APIInitiatedDisconnect, true},
		{"taken over", func(s *server, _ *wire) { connect(t, s.addr, "dev", 4) }, broker.DuplicateClientID, true},
	} {
		for _, version := range []byte{4, 5} {
			t.Run(tc.name+map[byte]string{4: " v4", 5: " v5"}[version], func(t *testing.T) {
				s := start(t, limits)
				watcher := connect(t, s.addr, "watcher", 4)
				watcher.subscribe(0, "wills/dev")
				w := dial(t, s.addr)
				hello := connectPacket("dev", version)
				hello.Connect.Keepalive = 1
				hello.Connect.WillFlag, hello.Connect.WillTopic, hello.Connect.WillPayload = true, "wills/dev", []byte("gone")
				w.hello(hello)
				tc.act(s, w)
				wantReasons(t, s, "dev", tc.want)
				w.wantClosed(patience)
				if tc.will {
					watcher.wantPublish("wills/dev", "gone")
				}
				watcher.wantNothing()
				if got := len(s.of("connect", "dev")) - len(s.reasons("dev")); got != s.Connected()-1 {
					t.Errorf("%d open sessions reported, %d connected", got, s.Connected()-1)
				}
			})
		}
	}
}

// TestWillAtDisconnect: an MQTT 5 client that disconnects with any code but 0
// leaves its will. Clients send the code with and without (empty) properties.
func TestWillAtDisconnect(t *testing.T) {
	for _, c := range []struct {
		name    string
		goodbye []byte
		sent    bool
	}{
		{"no code", []byte{0xe0, 0}, false},
		{"normal, alone", []byte{0xe0, 1, 0}, false},
		{"normal, with properties", []byte{0xe0, 2, 0, 0}, false},
		{"with will, alone", []byte{0xe0, 1, 4}, true},
		{"with will, with properties", []byte{0xe0, 2, 4, 0}, true},
		{"failure, alone", []byte{0xe0, 1, 0x80}, true},
		{"failure, with properties", []byte{0xe0, 2, 0x82, 0}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, broker.Limits{})
			watcher := connect(t, s.addr, "watcher", 4)
			watcher.subscribe(0, "wills/dev")
			hello := connectPacket("dev", 5)
			hello.Connect.WillFlag, hello.Connect.WillTopic, hello.Connect.WillPayload = true, "wills/dev", []byte("gone")
			w := dial(t, s.addr)
			w.hello(hello)
			w.raw(c.goodbye)
			wantReasons(t, s, "dev", broker.ClientInitiatedDisconnect)
			if c.sent {
				watcher.wantPublish("wills/dev", "gone")
			} else {
				watcher.wantNothing()
			}
		})
	}
	t.Run("all in one segment", func(t *testing.T) {
		s := start(t, broker.Limits{})
		watcher := connect(t, s.addr, "watcher", 4)
		watcher.subscribe(0, "wills/dev")
		hello := connectPacket("dev", 5)
		hello.Connect.WillFlag, hello.Connect.WillTopic, hello.Connect.WillPayload = true, "wills/dev", []byte("gone")
		w := dial(t, s.addr)
		w.raw(append(encode(t, hello), 0xe0, 1, 4))
		watcher.wantPublish("wills/dev", "gone")
	})
}

func TestTakeOver(t *testing.T) {
	s := start(t, broker.Limits{})
	old := connect(t, s.addr, "dev", 5)
	first := s.of("connect", "dev")[0].client.Session
	fresh := connect(t, s.addr, "dev", 4)

	bye := old.wantClosed(patience)
	if len(bye) != 1 || bye[0].FixedHeader.Type != packets.Disconnect || bye[0].ReasonCode != packets.ErrSessionTakenOver.Code {
		t.Errorf("the old MQTT 5 client was told %v, want DISCONNECT 0x8e", bye)
	}
	ended := s.of("disconnect", "dev")
	if len(ended) != 1 || ended[0].client.Session != first || ended[0].reason != broker.DuplicateClientID {
		t.Fatalf("ended sessions: %+v", ended)
	}
	second := s.of("connect", "dev")[1].client.Session
	if second <= first {
		t.Errorf("session numbers %d, %d do not grow", first, second)
	}
	fresh.subscribe(0, "a")
	s.Publish("a", []byte("still here"))
	fresh.wantPublish("a", "still here")
	if s.Connected() != 1 {
		t.Errorf("%d connected, want 1", s.Connected())
	}
}

// TestTakeOverOrder holds the report of the old session's end: the new one has
// been reported before, and gets its CONNACK after.
func TestTakeOverOrder(t *testing.T) {
	s := start(t, broker.Limits{})
	entered, release := make(chan struct{}), make(chan struct{})
	s.onEnd = func(broker.Client) {
		close(entered)
		<-release
	}
	connect(t, s.addr, "dev", 4)
	fresh := dial(t, s.addr)
	fresh.send(connectPacket("dev", 4))
	<-entered
	if n := len(s.of("connect", "dev")); n != 2 {
		t.Errorf("%d sessions reported when the old one ends, want 2", n)
	}
	if pk, err := fresh.next(100 * time.Millisecond); err == nil {
		t.Errorf("got packet type %d while the old session is still there", pk.FixedHeader.Type)
	}
	s.onEnd = nil
	close(release)
	if ack := fresh.receive(); ack.FixedHeader.Type != packets.Connack {
		t.Errorf("got packet type %d", ack.FixedHeader.Type)
	}
}

// TestTakeOverStorm opens many sessions of one client id at once: they end
// one after the other, and exactly one is left.
func TestTakeOverStorm(t *testing.T) {
	const n = 40
	s := start(t, broker.Limits{})
	results := make(chan *wire, n)
	for range n {
		go func() {
			w := dial(t, s.addr)
			pk := connectPacket("dev", 4)
			_, _ = w.Write(encode(t, pk))
			_, _ = w.next(patience)
			results <- w
		}()
	}
	for range n {
		<-results
	}
	eventually(t, "all but one ended", func() bool { return len(s.reasons("dev")) == n-1 && s.Connected() == 1 })
	for _, r := range s.reasons("dev") {
		if r != broker.DuplicateClientID {
			t.Errorf("a session ended with %s", r)
		}
	}
	if !s.Kick("dev", broker.APIInitiatedDisconnect) {
		t.Error("nobody is left")
	}
	eventually(t, "the last one ended", func() bool { return s.Connected() == 0 })
}

func TestKickNobody(t *testing.T) {
	s := start(t, broker.Limits{})
	if s.Kick("nobody", broker.APIInitiatedDisconnect) {
		t.Error("kicked somebody")
	}
}

func TestConnectRefused(t *testing.T) {
	limits := broker.Limits{}
	deny := func(cfg *broker.Config) { cfg.Authorizer = only{publish: "ok/#"} }
	withWill := func(topic string) func(*packets.Packet) {
		return func(pk *packets.Packet) {
			pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, topic, []byte("x")
		}
	}
	name := func(id string) func(*packets.Packet) {
		return func(pk *packets.Packet) { pk.Connect.ClientIdentifier = id }
	}
	for _, tc := range []struct {
		name   string
		change func(*packets.Packet)
		v4, v5 byte
	}{
		{"client id with $", name("$dev"), 2, 0x85},
		{"client id too long", name(strings.Repeat("x", 129)), 2, 0x85},
		{"will nobody may publish", withWill("secret"), 5, 0x87},
		{"will with wildcard", withWill("ok/#"), 5, 0x90},
		{"will too deep", withWill("ok" + strings.Repeat("/x", 8)), 5, 0x90},
		{"handler refuses", name("refuse"), 3, 0x88},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, limits, deny)
			s.onConnect = func(c broker.Client) error {
				if c.ID == "refuse" {
					return errors.New("store is away")
				}
				return nil
			}
			for version, want := range map[byte]byte{4: tc.v4, 5: tc.v5} {
				pk := connectPacket("dev", version)
				tc.change(&pk)
				w := dial(t, s.addr)
				if ack := w.try(pk); ack.FixedHeader.Type != packets.Connack || ack.ReasonCode != want {
					t.Errorf("v%d: answer type %d code %#x, want CONNACK %#x", version, ack.FixedHeader.Type, ack.ReasonCode, want)
				}
				w.wantClosed(patience)
			}
			eventually(t, "sessions gone", func() bool { return s.Connected() == 0 })
			if got := append(s.of("connect", ""), s.of("disconnect", "")...); len(got) != 0 {
				t.Errorf("the handler was told %+v", got)
			}
		})
	}
}

// TestConnectRefusedByMochi: clients of MQTT 3 get codes that they know.
func TestConnectRefusedByMochi(t *testing.T) {
	const variable = "\x00\x04MQTT"
	for _, c := range []struct {
		name   string
		packet string // behind protocol name, from the version on
		want   string // CONNACK
	}{
		{"no client id for a kept session", "\x04\x00\x00\x3c\x00\x00", "\x20\x02\x00\x02"},
		{"unknown version", "\x09\x02\x00\x3c\x00\x03dev", "\x20\x02\x00\x01"},
		{"reserved flag", "\x04\x03\x00\x3c\x00\x03dev", "\x20\x02\x00\x05"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, broker.Limits{})
			w := dial(t, s.addr)
			body := variable + c.packet
			w.raw(append([]byte{0x10, byte(len(body))}, body...))
			_ = w.SetReadDeadline(time.Now().Add(patience))
			if got, err := io.ReadAll(w); string(got) != c.want || err != nil {
				t.Errorf("answer %x, %v; want %x and the end", got, err, c.want)
			}
			if got := s.of("connect", ""); len(got) != 0 {
				t.Errorf("the handler was told %+v", got)
			}
		})
	}
}

// only permits publishes and subscriptions below one prefix each.
type only struct{ publish, subscribe string }

func below(filter, topic string) bool {
	prefix, _ := strings.CutSuffix(filter, "#")
	return filter != "" && strings.HasPrefix(topic, prefix)
}

func (o only) CanPublish(_ broker.Client, topic string) bool    { return below(o.publish, topic) }
func (o only) CanSubscribe(_ broker.Client, filter string) bool { return below(o.subscribe, filter) }

func TestClientDetails(t *testing.T) {
	s := start(t, broker.Limits{})
	for _, version := range []byte{4, 5} {
		w := dial(t, s.addr)
		pk := connectPacket("dev", version)
		pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte("pump?SDK=JavaScript&Version=2")
		w.hello(pk)
		got := s.of("connect", "dev")
		c := got[len(got)-1].client
		if c.Username != "pump" || c.Version != version || c.Remote != w.LocalAddr().String() {
			t.Errorf("client %+v", c)
		}
	}
	w := dial(t, s.addr)
	ack := w.hello(connectPacket("", 5))
	if id := ack.Properties.AssignedClientID; id == "" || len(s.of("connect", id)) != 1 {
		t.Errorf("assigned client id %q", id)
	}
}

// TestSendBeforeConnack sends to a session while its Connect is still going
// on: the message waits for CONNACK.
func TestSendBeforeConnack(t *testing.T) {
	s := start(t, broker.Limits{})
	s.onConnect = func(c broker.Client) error {
		s.Send(c.Session, "$aws/things/dev/jobs/notify-next", []byte("job"))
		return nil
	}
	w := connect(t, s.addr, "dev", 4)
	w.wantPublish("$aws/things/dev/jobs/notify-next", "job")
}

// TestConnackWaitsForHandler holds Connect: no CONNACK may come.
func TestConnackWaitsForHandler(t *testing.T) {
	s := start(t, broker.Limits{})
	commit := make(chan struct{})
	s.onConnect = func(broker.Client) error { <-commit; return nil }
	w := dial(t, s.addr)
	w.send(connectPacket("dev", 4))
	if pk, err := w.next(100 * time.Millisecond); err == nil {
		t.Errorf("got packet type %d before the commit", pk.FixedHeader.Type)
	}
	close(commit)
	if ack := w.receive(); ack.FixedHeader.Type != packets.Connack {
		t.Errorf("got packet type %d", ack.FixedHeader.Type)
	}
}

func TestPersistentSession(t *testing.T) {
	for _, version := range []byte{4, 5} {
		s := start(t, broker.Limits{Inflight: 5})
		hello := connectPacket("dev", version)
		hello.Connect.Clean = false
		if version == 5 {
			hello.Properties.SessionExpiryInterval, hello.Properties.SessionExpiryIntervalFlag = 600, true
		}
		w := dial(t, s.addr)
		if w.hello(hello).SessionPresent {
			t.Fatal("session present at the first connect")
		}
		w.subscribe(1, "a/+")
		s.Publish("a/0", []byte("unacknowledged"))
		id := w.wantPublish("a/0", "unacknowledged").PacketID
		_ = w.Close()
		wantReasons(t, s, "dev", broker.ConnectionLost)
		s.Publish("a/1", []byte("while away"))

		w = dial(t, s.addr)
		if !w.hello(hello).SessionPresent {
			t.Fatal("no session present")
		}
		again := w.wantPublish("a/0", "unacknowledged")
		if !again.FixedHeader.Dup || again.PacketID != id {
			t.Errorf("redelivery: dup %v, id %d, want id %d", again.FixedHeader.Dup, again.PacketID, id)
		}
		w.wantPublish("a/1", "while away")
		s.Publish("a/2", []byte("back"))
		w.wantPublish("a/2", "back")
		_ = w.Close()

		clean := dial(t, s.addr)
		if clean.hello(connectPacket("dev", version)).SessionPresent {
			t.Error("session present after a clean start")
		}
		s.Publish("a/3", []byte("no"))
		clean.wantNothing()
	}
}

func TestInheritedSubscriptionsAreChecked(t *testing.T) {
	rights := &only{subscribe: "#"}
	s := start(t, broker.Limits{}, func(cfg *broker.Config) { cfg.Authorizer = rights })
	hello := connectPacket("dev", 4)
	hello.Connect.Clean = false
	w := dial(t, s.addr)
	w.hello(hello)
	w.subscribe(1, "mine/a", "theirs/a")
	_ = w.Close()
	wantReasons(t, s, "dev", broker.ConnectionLost)
	rights.subscribe = "mine/#"
	w = dial(t, s.addr)
	w.hello(hello)
	s.Publish("theirs/a", []byte("secret"))
	s.Publish("mine/a", []byte("ok"))
	w.wantPublish("mine/a", "ok")
}

func TestPahoLifeCycle(t *testing.T) {
	s := start(t, broker.Limits{})
	got := make(chan string, 10)
	c := pahoClient(t, s.addr, "dev", func(o *paho.ClientOptions) { o.SetKeepAlive(30 * time.Second) })
	await(t, c.Subscribe("a/b", 1, func(_ paho.Client, m paho.Message) { got <- string(m.Payload()) }))
	await(t, c.Publish("a/b", 1, false, "one"))
	s.Publish("a/b", []byte("two"))
	var all []string
	for range 2 {
		select {
		case m := <-got:
			all = append(all, m)
		case <-time.After(patience):
			t.Fatal("no message")
		}
	}
	slices.Sort(all)
	if !slices.Equal(all, []string{"one", "two"}) {
		t.Errorf("got %v", all)
	}
	c.Disconnect(100)
	wantReasons(t, s, "dev", broker.ClientInitiatedDisconnect)
}
