package broker_test

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

// latencies of one series of publishes.
type latencies []time.Duration

func (l latencies) at(p float64) time.Duration {
	sorted := slices.Sorted(slices.Values(l))
	return sorted[int(p*float64(len(sorted)-1))]
}

func (l latencies) String() string {
	return fmt.Sprintf("p50 %v, p99 %v, max %v of %d", l.at(0.5), l.at(0.99), l.at(1), len(l))
}

// consume reads, acknowledges and counts everything until the connection closes.
func consume(w *wire, read *atomic.Int64) {
	for {
		pk, err := w.next(time.Hour)
		if err != nil {
			return
		}
		read.Add(1)
		if pk.FixedHeader.Type == packets.Publish && pk.FixedHeader.Qos == 1 {
			var buf bytes.Buffer
			ack := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID}
			_ = ack.PubackEncode(&buf)
			if _, err := w.Write(buf.Bytes()); err != nil {
				return
			}
		}
	}
}

// stall subscribes a client that never reads again, with a small receive
// buffer so that it is felt soon.
func stall(t *testing.T, s *server, qos byte) *wire {
	w := dial(t, s.addr)
	_ = w.Conn.(*net.TCPConn).SetReadBuffer(4096)
	w.hello(connectPacket("stalled", 4))
	w.subscribe(qos, "load")
	return w
}

// TestStalledClientDelaysNobody: in mochi a subscriber that stops reading
// blocks every QoS 1 publisher for one and a half keep-alives. Here publishers
// must not notice, and the subscriber is disconnected.
func TestStalledClientDelaysNobody(t *testing.T) {
	const n, size = 1500, 16 << 10
	payload := bytes.Repeat([]byte("x"), size)
	for _, qos := range []byte{0, 1} {
		for _, by := range []string{"server", "device"} {
			t.Run(fmt.Sprintf("QoS %d, published by %s", qos, by), func(t *testing.T) {
				s := start(t, broker.Limits{PublishRate: -1, PublishBytesRate: -1})
				reader := connect(t, s.addr, "reader", 4)
				reader.subscribe(qos, "load")
				var sent, read atomic.Int64
				go consume(reader, &read)
				device := connect(t, s.addr, "device", 4)

				publish := func() { s.Publish("load", payload) }
				if by == "device" {
					publish = func() {
						device.publish("load", string(payload), 1, 1)
						if ack := device.receive(); ack.FixedHeader.Type != packets.Puback {
							t.Fatalf("got packet type %d", ack.FixedHeader.Type)
						}
					}
				}
				measure := func() (l latencies) {
					for i := range n {
						begin := time.Now()
						publish()
						l = append(l, time.Since(begin))
						if sent.Add(1); i%50 == 49 { // the reader is not the one under test
							eventually(t, "reader keeps up", func() bool { return read.Load() == sent.Load() })
						}
					}
					return l
				}
				floor := measure()
				stalled := stall(t, s, qos)
				got := measure()
				t.Logf("floor:   %v", floor)
				t.Logf("stalled: %v", got)
				if limit := 10*floor.at(0.99) + 20*time.Millisecond; got.at(0.99) > limit {
					t.Errorf("p99 %v with a stalled client, more than %v", got.at(0.99), limit)
				}
				if limit := 10*floor.at(1) + time.Second; got.at(1) > limit {
					t.Errorf("worst %v with a stalled client, more than %v", got.at(1), limit)
				}
				wantReasons(t, s, "stalled", broker.ServerInitiatedDisconnect)
				_ = stalled.Close()
				eventually(t, "queues empty", func() bool { return s.Queued() == 0 })
				if s.Connected() != 2 {
					t.Errorf("%d connected, want 2", s.Connected())
				}
			})
		}
	}
}

// TestAllQueuesTogether: when all queues together are full, each connection
// is held to a small queue.
func TestAllQueuesTogether(t *testing.T) {
	s := start(t, broker.Limits{TotalQueueBytes: 1 << 20})
	stall(t, s, 0)
	payload := bytes.Repeat([]byte("x"), 64<<10)
	eventually(t, "stalled client disconnected", func() bool {
		s.Publish("load", payload)
		if q := s.Queued(); q > 2<<20 {
			t.Fatalf("%d bytes queued", q)
		}
		return len(s.reasons("stalled")) == 1
	})
}

func BenchmarkPublishToOne(b *testing.B) {
	s := start(b, broker.Limits{})
	w := connect(b, s.addr, "reader", 4)
	w.subscribe(0, "load")
	go consume(w, new(atomic.Int64))
	payload := bytes.Repeat([]byte("x"), 256)
	b.ReportAllocs()
	for b.Loop() {
		for s.Queued() > 1<<20 {
			<-time.After(100 * time.Microsecond)
		}
		s.Publish("load", payload)
	}
}

// BenchmarkEcho is a QoS 1 request of 256 bytes with a direct reply.
func BenchmarkEcho(b *testing.B) {
	s := start(b, broker.Limits{PublishRate: -1, PublishBytesRate: -1})
	s.onPublish = func(c broker.Client, _ string, payload []byte) (bool, error) {
		s.Send(c.Session, "reply", payload)
		return true, nil
	}
	w := connect(b, s.addr, "dev", 4)
	payload := string(bytes.Repeat([]byte("x"), 256))
	b.ReportAllocs()
	for b.Loop() {
		w.publish("$aws/things/dev/jobs/1/update", payload, 1, 1)
		w.receive()
		w.receive()
	}
}
