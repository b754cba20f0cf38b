package broker_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

// attack is something that harmed mochi or another broker. What it may cost
// is asserted by counters, so that a loaded machine changes nothing.
type attack struct {
	name   string
	limits broker.Limits
	do     func(t *testing.T, s *reachable)
	alloc  uint64 // bytes that it may make the process allocate; 0: not asserted
	heavy  bool   // on TCP only, to save time: it is above all transports
}

// hostile is a client id of the attacks.
const hostile = "hostile"

func attacks() []attack {
	const claim = "\xff\xff\xff\x7f" // 256 MiB
	return []attack{
		{name: "first packet is no CONNECT", do: func(t *testing.T, s *reachable) {
			for kind := range byte(16) {
				if kind == packets.Connect {
					continue
				}
				w := s.dial(t)
				w.raw([]byte{kind << 4, 0})
				w.wantClosed(patience)
			}
			wantStrangers(t, s)
		}},
		{name: "CONNECT claims 256 MiB", alloc: 64 << 20, do: func(t *testing.T, s *reachable) {
			for range 20 {
				w := s.dial(t)
				w.raw([]byte("\x10" + claim))
				w.wantClosed(patience)
			}
			wantStrangers(t, s)
		}},
		{name: "first PUBLISH claims 256 MiB", alloc: 64 << 20, do: func(t *testing.T, s *reachable) {
			for range 20 {
				w := s.dial(t)
				w.raw([]byte("\x30" + claim))
				w.wantClosed(patience)
			}
			wantStrangers(t, s)
		}},
		{name: "every packet of a session claims 256 MiB", alloc: 64 << 20, do: func(t *testing.T, s *reachable) {
			for _, first := range []byte{0x30, 0x40, 0x82, 0xa2, 0xc0, 0xe0, 0xf0} {
				w := s.connect(t, hostile, 5)
				w.raw([]byte(string([]byte{first}) + claim))
				w.wantClosed(patience)
			}
		}},
		{name: "PUBLISH of 200 MB", alloc: 64 << 20, do: func(t *testing.T, s *reachable) {
			w := s.connect(t, hostile, 4)
			w.raw([]byte{0x30, 0x80, 0x84, 0xaf, 0x5f}) // 200,000,000
			chunk, written := make([]byte, 64<<10), 0
			_ = w.SetWriteDeadline(time.Now().Add(patience))
			for written < 200_000_000 {
				n, err := w.Write(chunk)
				written += n
				if err != nil {
					break
				}
			}
			if written >= 200_000_000 {
				t.Error("all of it was taken")
			}
			wantReasons(t, s.server, hostile, broker.ClientError)
		}},
		{name: "filters of many levels", do: func(t *testing.T, s *reachable) {
			w := s.connect(t, hostile, 5)
			for _, levels := range []int{1000, 8000, 32_000} {
				if got := w.subscribe(1, strings.Repeat("a/", levels)); got[0] != packets.ErrTopicFilterInvalid.Code {
					t.Errorf("SUBACK %#x for %d levels", got[0], levels)
				}
			}
			w.wantNothing()
		}},
		{name: "200 filters of 30,000 levels", heavy: true, do: func(t *testing.T, s *reachable) {
			w := s.connect(t, hostile, 4)
			deep := strings.Repeat("a/", 30_000)
			for range 100 {
				if got := w.subscribe(1, deep, deep); !bytes.Equal(got, []byte{0x80, 0x80}) {
					t.Fatalf("SUBACK %v", got)
				}
			}
		}},
		{name: "65,400 slashes", do: func(t *testing.T, s *reachable) {
			slashes := strings.Repeat("/", 65_400)
			w := s.connect(t, hostile, 4)
			if got := w.subscribe(1, slashes); got[0] != 0x80 {
				t.Errorf("SUBACK %#x", got[0])
			}
			w.unsubscribe(slashes)
			w.publish(slashes, "", 0, 0)
			w.wantClosed(patience)
		}},
		{name: "every filter that a packet can hold", heavy: true, do: func(t *testing.T, s *reachable) {
			w := s.connect(t, hostile, 4)
			codes := w.subscribe(0, strings.Split(strings.Repeat("a", 30_000), "")...)
			if granted := bytes.Count(codes, []byte{0}); granted != 8 || len(codes) != 30_000 {
				t.Errorf("%d of %d filters granted", granted, len(codes))
			}
			w.unsubscribe(strings.Split(strings.Repeat("a", 30_000), "")...)
		}},
		{name: "overlapping wildcards", do: func(t *testing.T, s *reachable) {
			w := s.connect(t, hostile, 4)
			for i := range 50 { // 6 levels, each a name or a wildcard
				levels := strings.Split("a/b/c/d/e/f", "/")
				for bit := range levels {
					if i>>bit&1 == 1 {
						levels[bit] = "+"
					}
				}
				w.subscribe(0, strings.Join(levels, "/"))
			}
			s.Publish("a/b/c/d/e/f", []byte("once"))
			w.wantPublish("a/b/c/d/e/f", "once")
			w.wantNothing()
		}},
		{name: "filters that hold on to large packets", heavy: true, do: func(t *testing.T, s *reachable) {
			w := s.connect(t, hostile, 5)
			ballast := []packets.UserProperty{{Key: strings.Repeat("k", 60_000), Val: strings.Repeat("v", 60_000)}}
			before := heap()
			for i := range 50 {
				w.send(packets.Packet{
					FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, PacketID: 7,
					Filters:    packets.Subscriptions{{Filter: fmt.Sprint("f", i)}},
					Properties: packets.Properties{User: ballast},
				})
				w.receive()
			}
			if grown := int64(heap()) - int64(before); grown > 2<<20 {
				t.Errorf("50 subscriptions hold %d bytes", grown)
			}
		}},
		{name: "subscribing and leaving for ever", do: func(t *testing.T, s *reachable) {
			w := s.connect(t, hostile, 4)
			for i := range 500 {
				w.subscribe(0, fmt.Sprint("churn/", i))
				w.unsubscribe(fmt.Sprint("churn/", i))
			}
			if got := w.subscribe(0, "churn/0"); got[0] != 0 {
				t.Errorf("SUBACK %#x", got[0])
			}
			if got := s.SubscribersOf("churn/1"); len(got) != 0 {
				t.Errorf("left in the tree: %v", got)
			}
		}},
		{name: "empty topic and filter", do: func(t *testing.T, s *reachable) {
			w := s.connect(t, hostile, 4)
			if got := w.subscribe(0, "", "a"); !bytes.Equal(got, []byte{0x80, 0}) {
				t.Errorf("SUBACK %v", got)
			}
			w.publish("", "x", 0, 0)
			w.wantClosed(patience)
		}},
		{
			name: "questions without reading the answers", limits: broker.Limits{QueueBytes: 256 << 10},
			do: func(t *testing.T, s *reachable) {
				s.onPublish = func(c broker.Client, _ string, _ []byte) (bool, error) {
					s.Send(c.Session, "answer", make([]byte, 100_000))
					return true, nil
				}
				nc := s.raw(t)
				_ = nc.SetReadBuffer(4096)
				w := s.above(t, nc)
				w.hello(connectPacket(hostile, 4))
				question := encode(t, publication("question", "", 0))
				_ = w.SetWriteDeadline(time.Now().Add(patience))
				for len(s.reasons(hostile)) == 0 {
					if _, err := w.Write(question); err != nil {
						break
					}
					if q := s.Queued(); q > 256<<10 {
						t.Fatalf("%d bytes queued", q)
					}
				}
				wantReasons(t, s.server, hostile, broker.ServerInitiatedDisconnect)
				s.onPublish = nil
			},
		},
		{name: "acknowledgements of nothing", do: func(t *testing.T, s *reachable) {
			w := s.connect(t, hostile, 4)
			for _, kind := range []byte{0x40, 0x50, 0x62, 0x70} { // PUBACK to PUBCOMP
				for id := range byte(50) {
					w.raw([]byte{kind, 2, 0, id + 1})
				}
			}
			s.Send(s.of("connect", hostile)[0].client.Session, "still", []byte("there"))
			for pk := w.receive(); pk.FixedHeader.Type != packets.Publish; pk = w.receive() {
				if pk.FixedHeader.Type == packets.Disconnect {
					t.Fatal("disconnected")
				}
			}
		}},
		{name: "a SUBSCRIBE that kills mochi", do: func(t *testing.T, s *reachable) {
			w := s.connect(t, hostile, 5)
			w.raw([]byte{0x82, 6, 0, 1, 0, 0, 1, 'a'})
			w.wantClosed(patience)
			wantReasons(t, s.server, hostile, broker.ClientError)
		}},
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// wantStrangers asserts that nobody has got a session.
func wantStrangers(t *testing.T, s *reachable) {
	t.Helper()
	if got := s.of("connect", ""); len(got) != 0 {
		t.Errorf("sessions: %v", got)
	}
}

// TestAttacks runs the attacks one after the other, so that nothing else
// allocates. Afterwards nothing is left of them and others are served.
func TestAttacks(t *testing.T) {
	onTransports(t, func(t *testing.T, via transport) {
		for _, a := range attacks() {
			if a.heavy && via.name != "TCP" {
				continue
			}
			t.Run(a.name, func(t *testing.T) {
				a.limits.PublishRate, a.limits.PublishBytesRate = -1, -1
				s := via.start(t, a.limits)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				a.do(t, s)
				runtime.ReadMemStats(&after)
				if grown := after.TotalAlloc - before.TotalAlloc; a.alloc > 0 && grown > a.alloc {
					t.Errorf("%d bytes were allocated, more than %d", grown, a.alloc)
				}
				s.Kick(hostile, broker.APIInitiatedDisconnect)
				s.wantHealthy(t)
				eventually(t, "connections, sessions and queues gone", func() bool {
					return s.Connections() == 0 && s.Connected() == 0 && s.Queued() == 0
				})
			})
		}
	})
}

// TestConnectionCaps: connections count from the moment that they are
// accepted, so handshakes that never end cannot be more than the cap either.
func TestConnectionCaps(t *testing.T) {
	onTransports(t, func(t *testing.T, via transport) {
		for name, limits := range map[string]broker.Limits{
			"in total": {Connections: 2}, "per address": {ConnectionsPerIP: 2},
		} {
			t.Run(name, func(t *testing.T) {
				s := via.start(t, limits)
				first := s.connect(t, "one", 4)
				second := s.dial(t) // has not said CONNECT
				eventually(t, "both are counted", func() bool { return s.Connections() == 2 || via.tls && !via.socket })
				if via.tls && !via.socket { // its handshake happens when the client writes
					go func() { _, _ = second.Write(nil) }()
					eventually(t, "both are counted", func() bool { return s.Connections() == 2 })
				}
				if w, err := s.tryAbove(t, s.raw(t)); err == nil {
					_, _ = w.Write(encode(t, connectPacket("three", 4)))
					w.wantClosed(patience)
				}
				if got := s.of("connect", "three"); len(got) != 0 || s.Connections() != 2 {
					t.Errorf("%d connections, sessions of the third: %v", s.Connections(), got)
				}
				_ = first.Close()
				wantReasons(t, s.server, "one", broker.ConnectionLost)
				eventually(t, "room for another one", func() bool {
					w, err := s.tryAbove(t, s.raw(t))
					if err != nil {
						return false
					}
					_, _ = w.Write(encode(t, connectPacket("three", 4)))
					_, err = w.next(patience)
					return err == nil
				})
			})
		}
	})
}

// TestHandshakesThatNeverEnd: the deadline of CONNECT counts from accepting,
// whatever stands before MQTT.
func TestHandshakesThatNeverEnd(t *testing.T) {
	const hello = "\x16\x03\x01\x02\x00\x01\x00" // of TLS: 512 bytes are to come
	const upgrade = "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
	for _, via := range allTransports() {
		half := map[string]string{"TLS": hello, "WebSocket": upgrade, "WebSocket over TLS": hello}[via.name]
		if half == "" {
			continue
		}
		t.Run(via.name, func(t *testing.T) {
			s := via.start(t, broker.Limits{ConnectTimeout: 300 * time.Millisecond})
			var open []*wire
			for range 20 {
				w := newWire(t, s.raw(t))
				w.raw([]byte(half))
				open = append(open, w)
			}
			s.wantHealthy(t)
			for _, w := range open {
				w.wantClosed(patience)
			}
			eventually(t, "connections forgotten", func() bool { return s.Connections() == 0 })
		})
	}
}
