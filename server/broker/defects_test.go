package broker_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

// The nine defects that mochi 2.7.9 is known for, one test each. Numbers 4
// (expired sessions keep their subscriptions) and 9 (sessions never expire)
// need virtual time: see virtual_test.go.

// stall subscribes a client that never reads again, with a small receive
// buffer so that it is felt soon.
func stall(t *testing.T, s *reachable, qos byte) *wire {
	nc := s.raw(t)
	_ = nc.SetReadBuffer(4096)
	w := s.above(t, nc)
	w.hello(connectPacket("stalled", 4))
	w.subscribe(qos, "load")
	return w
}

// TestDefect1StalledReader: in mochi a subscriber that stops reading blocks
// every QoS 1 publisher until its keep-alive is over. Here every publish is
// done while the subscriber is still there, nobody else misses a message, and
// the subscriber is disconnected by the bound of its queue alone.
func TestDefect1StalledReader(t *testing.T) {
	const n, size, queue = 400, 16 << 10, 10 << 20 // the stalled client can hold all n
	payload := bytes.Repeat([]byte("x"), size)
	onTransports(t, func(t *testing.T, via transport) {
		for _, qos := range []byte{0, 1} {
			if qos == 1 && via.name != "TCP" {
				continue // its messages wait above the transport
			}
			t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
				s := via.start(t, broker.Limits{
					PublishRate: -1, PublishBytesRate: -1, QueueBytes: queue, WriteTimeout: time.Hour,
				})
				device, reader := s.connect(t, "device", 4), s.connect(t, "reader", 4)
				reader.subscribe(qos, "load")
				var read atomic.Int64
				go consume(reader, &read)
				stall(t, s, qos)
				for i := range n {
					if i%2 == 0 {
						s.Publish("load", payload)
					} else {
						device.publish("load", string(payload), 1, 1)
						if ack := device.receive(); ack.FixedHeader.Type != packets.Puback {
							t.Fatalf("got packet type %d, want PUBACK", ack.FixedHeader.Type)
						}
					}
				}
				eventually(t, "reader got everything", func() bool { return read.Load() == n })
				if got := s.reasons("stalled"); len(got) != 0 {
					t.Fatalf("the stalled client has ended (%v): publishers may have waited for that", got)
				}
				if s.Queued() == 0 {
					t.Fatal("nothing is queued: the client did not stall")
				}
				for sent := int64(n); len(s.reasons("stalled")) == 0; { // now more than it can hold
					s.Publish("load", payload)
					sent++
					eventually(t, "reader keeps up", func() bool { return read.Load() > sent-100 })
				}
				wantReasons(t, s.server, "stalled", broker.ServerInitiatedDisconnect)
				eventually(t, "queues empty", func() bool { return s.Queued() == 0 })
				if s.Connected() != 2 {
					t.Errorf("%d connected, want 2", s.Connected())
				}
			})
		}
	})
}

// flakyListener fails every other Accept.
type flakyListener struct {
	net.Listener
	mu    sync.Mutex
	fails int
	calls int
}

func (l *flakyListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	l.calls++
	fail := l.calls%2 == 1
	if fail {
		l.fails++
	}
	l.mu.Unlock()
	if fail {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// TestDefect2AcceptErrors: an error of Accept, such as no file descriptor left,
// ends mochi's listener for good.
func TestDefect2AcceptErrors(t *testing.T) {
	onTransports(t, func(t *testing.T, via transport) {
		var flaky *flakyListener
		s := via.start(t, broker.Limits{}, func(cfg *broker.Config) {
			flaky = &flakyListener{Listener: cfg.Listeners[0]}
			cfg.Listeners[0] = flaky
		})
		for range 4 {
			s.wantHealthy(t)
		}
		flaky.mu.Lock()
		defer flaky.mu.Unlock()
		if flaky.fails < 4 {
			t.Errorf("only %d errors", flaky.fails)
		}
	})
}

// TestDefect3NoConnect: mochi waits for a CONNECT packet for ever, with two
// goroutines for each connection. Here all are gone after the deadline, from
// the first byte of the transport on.
func TestDefect3NoConnect(t *testing.T) {
	const n = 40
	onTransports(t, func(t *testing.T, via transport) {
		before := runtime.NumGoroutine()
		s := via.start(t, broker.Limits{ConnectTimeout: 300 * time.Millisecond})
		s.wantHealthy(t)
		var silent []*wire
		for i := range n {
			if i%2 == 0 {
				silent = append(silent, newWire(t, s.raw(t))) // not even a handshake
				continue
			}
			w, err := s.tryAbove(t, s.raw(t))
			if err != nil {
				t.Fatal(err)
			}
			silent = append(silent, w)
		}
		for _, w := range silent {
			w.wantClosed(patience)
		}
		eventually(t, "connections forgotten", func() bool { return s.Connections() == 0 })
		if got := s.of("connect", ""); len(got) != 1 {
			t.Errorf("sessions: %v", got)
		}
		s.stop()
		eventually(t, "goroutines gone", func() bool { return runtime.NumGoroutine() <= before+2 }) // the web server's
	})
}

// TestDefect5OfflineQueue: mochi redelivers out of order what it kept for a
// session without connection. Here the first messages are kept, as many as the
// window is wide, in their order, and nothing depends on the others.
func TestDefect5OfflineQueue(t *testing.T) {
	const sent, kept = 200, 64
	s := start(t, broker.Limits{Inflight: kept})
	w := dial(t, s.addr)
	w.hello(persistent("dev", 4, 0))
	w.subscribe(1, "n")
	_ = w.Close()
	wantReasons(t, s, "dev", broker.ConnectionLost)
	for i := range sent {
		s.Publish("n", []byte(fmt.Sprint(i)))
	}
	w = dial(t, s.addr)
	if !w.hello(persistent("dev", 4, 0)).SessionPresent {
		t.Fatal("no session present")
	}
	for i := range kept {
		pk := w.wantPublish("n", fmt.Sprint(i))
		w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
	}
	w.wantNothing()
	eventually(t, "nothing held", func() bool { return s.Queued() == 0 })
}

// TestDefect6Burst: mochi drops QoS 1 messages for good when its channel of a
// client is full. Here a client that reads gets all of a burst, at either QoS.
func TestDefect6Burst(t *testing.T) {
	const n = 3000 // more than mochi's channel, its window and ours
	onTransports(t, func(t *testing.T, via transport) {
		for _, qos := range []byte{0, 1} {
			s := via.start(t, broker.Limits{})
			w := s.connect(t, "monitor", 4)
			w.subscribe(qos, "$aws/events/#")
			for i := range n {
				s.Publish("$aws/events/thingGroupMembership/x", []byte(fmt.Sprint(i)))
			}
			for i := range n {
				pk := w.wantPublish("$aws/events/thingGroupMembership/x", fmt.Sprint(i))
				if qos == 1 {
					w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
				}
			}
		}
	})
}

// TestDefect7Housekeeping: mochi copies all clients and their messages twice a
// second. Its loop does not run here, and idle sessions have one goroutine of
// their own and mochi's one for writing.
func TestDefect7Housekeeping(t *testing.T) {
	s := start(t, broker.Limits{})
	wantHealthy(t, s)
	idle := runtime.NumGoroutine()
	const n = 50
	for i := range n {
		connect(t, s.addr, fmt.Sprint("dev", i), 4)
	}
	eventually(t, "two goroutines for each session", func() bool { return runtime.NumGoroutine() <= idle+2*n })
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if !bytes.Contains(stacks, []byte("broker.(*Broker).Run")) {
		t.Fatal("the stacks do not show the broker")
	}
	for _, loop := range []string{"eventLoop", "publishSysTopics", "clearExpired"} {
		if strings.Contains(string(stacks), "mqtt.(*Server)."+loop) || strings.Contains(string(stacks), "v2.(*Server)."+loop) {
			t.Errorf("mochi's %s runs", loop)
		}
	}
}

// TestDefect8HandlerErrors: mochi routes and acknowledges a publish of an MQTT
// 3.1.1 client although the hook has failed. Here an error means no PUBACK, no
// delivery, and the end of the connection.
func TestDefect8HandlerErrors(t *testing.T) {
	onTransports(t, func(t *testing.T, via transport) {
		for _, version := range []byte{4, 5} {
			s := via.start(t, broker.Limits{})
			s.onPublish = func(broker.Client, string, []byte) (bool, error) { return false, errors.New("disk full") }
			watcher := s.connect(t, "watcher", 4)
			watcher.subscribe(0, "#")
			w := s.connect(t, "dev", version)
			w.publish("a", "x", 1, 1)
			for _, pk := range w.wantClosed(patience) {
				if pk.FixedHeader.Type == packets.Puback {
					t.Error("PUBACK in spite of the error")
				}
			}
			wantReasons(t, s.server, "dev", broker.ServerError)
			watcher.wantNothing()
		}
	})
}

// TestDefect9SessionExpiry: mochi's sessions live for 136 years. Here nobody
// gets more than the limit, and an MQTT 5 client is told so.
func TestDefect9SessionExpiry(t *testing.T) {
	for _, c := range []struct {
		asked, told uint32 // told 0: what was asked for is granted
	}{
		{0, 0}, {1, 0}, {3600, 0}, {3601, 3600}, {0xffffffff, 3600},
	} {
		s := start(t, broker.Limits{})
		p := dial(t, s.addr).hello(persistent("dev", 5, c.asked)).Properties
		if p.SessionExpiryIntervalFlag != (c.told > 0) || p.SessionExpiryInterval != c.told {
			t.Errorf("expiry %d: told %v, %d; want %d", c.asked, p.SessionExpiryIntervalFlag, p.SessionExpiryInterval, c.told)
		}
	}
}

// TestAllQueuesTogether: when all queues together are full, each connection
// is held to a small queue.
func TestAllQueuesTogether(t *testing.T) {
	onTransports(t, func(t *testing.T, via transport) {
		s := via.start(t, broker.Limits{TotalQueueBytes: 1 << 20})
		stall(t, s, 0)
		payload := bytes.Repeat([]byte("x"), 64<<10)
		eventually(t, "stalled client disconnected", func() bool {
			s.Publish("load", payload)
			if q := s.Queued(); q > 2<<20 {
				t.Fatalf("%d bytes queued", q)
			}
			return len(s.reasons("stalled")) == 1
		})
	})
}

// TestHeldMessagesTogether: QoS 1 messages that nobody acknowledges count, with
// their properties, towards the bound of all connections.
func TestHeldMessagesTogether(t *testing.T) {
	s := start(t, broker.Limits{TotalQueueBytes: 1 << 20, PublishRate: -1})
	const clients = 40
	var lazy []*wire
	for i := range clients {
		w := connect(t, s.addr, fmt.Sprint("lazy", i), 5)
		w.subscribe(1, "n")
		go consumeOnly(w)
		lazy = append(lazy, w)
	}
	device := connect(t, s.addr, "device", 5)
	properties := packets.Properties{User: slices.Repeat([]packets.UserProperty{{Key: strings.Repeat("k", 1000), Val: "v"}}, 10)}
	for id := range uint16(50) {
		device.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, PacketID: id + 1,
			TopicName: "n", Properties: properties,
		})
		device.receive()
		if q := s.Queued(); q > 1<<20+clients*(64<<10) {
			t.Fatalf("%d bytes held", q)
		}
	}
	// The few that are left may hold what the bound allows for all.
	eventually(t, "most of the clients disconnected", func() bool { return s.Connected() <= 1+clients/10 })
	for _, w := range lazy {
		_ = w.Close()
	}
	eventually(t, "nothing held", func() bool { return s.Queued() == 0 })
	for _, r := range s.of("disconnect", "") {
		if r.reason != broker.ServerInitiatedDisconnect && r.reason != broker.ConnectionLost {
			t.Errorf("%s ended with %s", r.client.ID, r.reason)
		}
	}
}

// consumeOnly reads until the end and acknowledges nothing.
func consumeOnly(w *wire) {
	for {
		if _, err := w.next(time.Hour); err != nil {
			return
		}
	}
}
