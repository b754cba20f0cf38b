package broker_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

func subscriptions5() []behaviour {
	return []behaviour{
		{"no local: not to the publisher", func(t *testing.T, s *server) {
			a, b := connect(t, s.addr, "a", 5), connect(t, s.addr, "b", 5)
			for _, w := range []*wire{a, b} {
				pk := subscription("n", 1)
				pk.Filters[0].NoLocal = true
				w.grant(pk)
			}
			a.publish("n", "x", 0, 0)
			b.wantPublish("n", "x")
			a.wantNothing()
		}},
		{"no local: another subscription of the client delivers", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			pk := subscription("n", 1)
			pk.Filters[0].NoLocal = true
			w.grant(pk)
			w.grant(subscription("+", 0))
			w.send(publication("n", "x", 1))
			for pk := w.receive(); pk.FixedHeader.Type != packets.Publish; pk = w.receive() {
				if pk.FixedHeader.Type != packets.Puback {
					t.Fatalf("got packet type %d", pk.FixedHeader.Type)
				}
			}
		}},
		{"retain as published: the mark is passed on", func(t *testing.T, s *server) {
			for _, asPublished := range []bool{false, true} {
				w := connect(t, s.addr, "a", 5)
				pk := subscription("n", 0)
				pk.Filters[0].RetainAsPublished, pk.Filters[0].RetainHandling = asPublished, 2
				w.grant(pk)
				for _, mark := range []bool{false, true} {
					pk := publication("n", "x", 0)
					pk.FixedHeader.Retain = mark
					w.send(pk)
					if got := w.wantPublish("n", "x").FixedHeader.Retain; got != (mark && asPublished) {
						t.Errorf("retain as published %v: %v came as %v", asPublished, mark, got)
					}
				}
			}
		}},
		{"subscription identifiers: of all that match", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			for filter, id := range map[string]int{"n/a": 456789, "n/#": 2, "+/a": 1, "other": 9} {
				pk := subscription(filter, 1)
				pk.Properties.SubscriptionIdentifier = []int{id}
				w.grant(pk)
			}
			w.grant(subscription("+/+", 0)) // without one
			s.Publish("n/a", []byte("x"))
			if got := w.wantPublish("n/a", "x").Properties.SubscriptionIdentifier; !slices.Equal(got, []int{1, 2, 456789}) {
				t.Errorf("identifiers %v", got)
			}
			w.wantNothing()
		}},
		{"subscription identifiers: only of those that match by our rules", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			parent := subscription("n/#", 1)
			parent.Properties.SubscriptionIdentifier = []int{1}
			w.grant(parent)
			w.grant(subscription("n", 0))
			s.Publish("n", []byte("x"))
			pk := w.wantPublish("n", "x")
			if len(pk.Properties.SubscriptionIdentifier) != 0 || pk.FixedHeader.Qos != 0 {
				t.Errorf("identifiers %v, QoS %d", pk.Properties.SubscriptionIdentifier, pk.FixedHeader.Qos)
			}
		}},
		{"unsubscribe: says what was there", func(t *testing.T, s *server) {
			w, other := connect(t, s.addr, "a", 5), connect(t, s.addr, "other", 5)
			w.subscribe(0, "mine")
			other.subscribe(0, "theirs")
			want := []byte{0, packets.CodeNoSubscriptionExisted.Code, packets.CodeNoSubscriptionExisted.Code}
			if ack := w.unsubscribe("mine", "nobodys", "theirs"); !bytes.Equal(ack.ReasonCodes, want) {
				t.Errorf("UNSUBACK %#x, want %#x", ack.ReasonCodes, want)
			}
		}},
		{"subscribe failure: each filter says why", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			got := w.subscribe(1, "ok", "a+", "a/#/b", "$SYS/#", "$share/g/a", strings.Repeat("x", 257))
			if want := []byte{1, 0x8f, 0x8f, 0x87, 0x9e, 0x8f}; !bytes.Equal(got, want) {
				t.Errorf("SUBACK %#x, want %#x", got, want)
			}
		}},
		{"deviation: shared subscriptions are refused", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			if got := w.subscribe(1, "$share/group/n"); got[0] != packets.ErrSharedSubscriptionsNotSupported.Code {
				t.Errorf("SUBACK %#x", got)
			}
			s.Publish("n", []byte("x"))
			w.wantNothing()
		}},
	}
}

func flow5() []behaviour {
	return []behaviour{
		{"flow control 1: no more than the receive maximum unacknowledged", func(t *testing.T, s *server) {
			hello := connectPacket("a", 5)
			hello.Properties.ReceiveMaximum = 2
			w, _ := come(t, s, hello)
			w.subscribe(1, "n")
			for i := range 5 {
				s.Publish("n", []byte(fmt.Sprint(i)))
			}
			one, _ := w.wantPublish("n", "0"), w.wantPublish("n", "1")
			w.wantNothing()
			w.ack(one)
			w.wantPublish("n", "2")
			w.wantNothing()
		}},
		{"flow control 1: QoS 0 is not held back", func(t *testing.T, s *server) {
			hello := connectPacket("a", 5)
			hello.Properties.ReceiveMaximum = 1
			w, _ := come(t, s, hello)
			w.grant(subscription("one", 1))
			w.grant(subscription("zero", 0))
			s.Publish("one", []byte("x"))
			s.Publish("one", []byte("held"))
			s.Publish("zero", []byte("y"))
			w.wantPublish("one", "x")
			w.wantPublish("zero", "y")
			w.wantNothing()
		}},
		{"flow control 2: more than the server's receive maximum at once", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5) // each is done before the next is read
			var all []byte
			for id := range uint16(130) {
				pk := publication("n", "x", 1)
				pk.PacketID, pk.ProtocolVersion = id+1, 5
				all = append(all, encode(t, pk)...)
			}
			w.raw(all)
			for id := range uint16(130) {
				if ack := w.receive(); ack.FixedHeader.Type != packets.Puback || ack.PacketID != id+1 {
					t.Fatalf("packet type %d, id %d", ack.FixedHeader.Type, ack.PacketID)
				}
			}
		}},
		{"maximum packet size of the client: larger ones are left out", func(t *testing.T, s *server) {
			hello := connectPacket("a", 5)
			hello.Properties.MaximumPacketSize = 64
			w, _ := come(t, s, hello)
			w.subscribe(1, "n")
			for _, payload := range []string{strings.Repeat("x", 100), "fits", strings.Repeat("x", 100), "too"} {
				s.Publish("n", []byte(payload))
			}
			w.wantPublish("n", "fits")
			w.wantPublish("n", "too")
			w.wantNothing()
			if s.Queued() > 2*1024 {
				t.Errorf("%d bytes are held", s.Queued())
			}
		}},
		{"redelivery on reconnect: same id, marked, with its properties", func(t *testing.T, s *server) {
			w, _ := come(t, s, persistent("a", 5, 600))
			w.subscribe(1, "n")
			b := connect(t, s.addr, "b", 5)
			pk := publication("n", "x", 1)
			pk.Properties.ContentType = "text/plain"
			b.send(pk)
			first := w.wantPublish("n", "x")
			_ = w.Close()
			wantReasons(t, s, "a", broker.ConnectionLost)
			w, _ = come(t, s, persistent("a", 5, 600))
			again := w.wantPublish("n", "x")
			if !again.FixedHeader.Dup || again.PacketID != first.PacketID || again.Properties.ContentType != "text/plain" {
				t.Errorf("dup %v, id %d, want %d, type %q", again.FixedHeader.Dup, again.PacketID, first.PacketID, again.Properties.ContentType)
			}
		}},
		{"a refused message is acknowledged by its code", func(t *testing.T, s *server) {
			w, _ := come(t, s, persistent("a", 5, 600))
			w.subscribe(1, "n")
			s.Publish("n", []byte("x"))
			w.send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Puback}, ReasonCode: packets.ErrQuotaExceeded.Code,
				PacketID: w.wantPublish("n", "x").PacketID,
			})
			w.wantNothing()
			w.leave(s, "a")
			w, _ = come(t, s, persistent("a", 5, 600))
			w.wantNothing()
		}},
	}
}

func retained5() []behaviour {
	return []behaviour{
		{"retained messages: with their properties", func(t *testing.T, s *server) {
			pk := publication("n", "kept", 1)
			pk.Properties.User = []packets.UserProperty{{Key: "a", Val: "2"}, {Key: "c", Val: "3"}}
			retain(t, s, pk)
			w := connect(t, s.addr, "a", 5)
			w.subscribe(1, "n")
			got := w.wantPublish("n", "kept")
			if !got.FixedHeader.Retain || got.FixedHeader.Qos != 1 || !slices.Equal(got.Properties.User, pk.Properties.User) {
				t.Errorf("retain %v, QoS %d, properties %+v", got.FixedHeader.Retain, got.FixedHeader.Qos, got.Properties)
			}
		}},
		{"retain handling: at each subscribe, at new ones, never", func(t *testing.T, s *server) {
			retain(t, s, publication("n", "kept", 1))
			for handling, want := range [][]bool{{true, true}, {true, false}, {false, false}} {
				w := connect(t, s.addr, "a", 5)
				for _, comes := range want {
					pk := subscription("n", 0)
					pk.Filters[0].RetainHandling = byte(handling)
					w.grant(pk)
					if comes {
						w.wantPublish("n", "kept")
					}
					w.wantNothing()
				}
			}
		}},
		{"retain handling: beside a filter that is refused", func(t *testing.T, s *server) {
			retain(t, s, publication("n", "kept", 1))
			w := connect(t, s.addr, "a", 5)
			w.subscribe(0, "n")
			w.wantPublish("n", "kept")
			pk := subscription("$SYS/#", 0)
			pk.Filters = append(pk.Filters, packets.Subscription{Filter: "n", RetainHandling: 1})
			w.send(pk)
			if ack := w.receive(); !bytes.Equal(ack.ReasonCodes, []byte{0x87, 0}) {
				t.Errorf("SUBACK %#x", ack.ReasonCodes)
			}
			w.wantNothing()
		}},
		{"deviation: retained messages do not come to wildcards", func(t *testing.T, s *server) {
			retain(t, s, publication("n/a", "kept", 1))
			w := connect(t, s.addr, "a", 5)
			w.subscribe(1, "n/+", "n/#", "#")
			w.wantNothing()
		}},
	}
}
