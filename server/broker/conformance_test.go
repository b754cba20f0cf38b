package broker_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

// behaviour is one row of the interoperability table: what the Paho
// interoperability suites ask of a broker, in our own words. Rows whose names
// begin with "deviation" assert what we do instead, as docs/mqtt.md says.
type behaviour struct {
	name string
	test func(t *testing.T, s *server)
}

// conform runs rows on a broker each.
func conform(t *testing.T, rows []behaviour) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { row.test(t, startRetaining(t, broker.Limits{})) })
	}
}

func subscription(filter string, qos byte) packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, PacketID: 7,
		Filters: packets.Subscriptions{{Filter: filter, Qos: qos}},
	}
}

func publication(topic, payload string, qos byte) packets.Packet {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos},
		TopicName:   topic, Payload: []byte(payload),
	}
	if qos > 0 {
		pk.PacketID = 1
	}
	return pk
}

// grant sends a SUBSCRIBE packet and wants its filters granted.
func (w *wire) grant(pk packets.Packet) {
	w.t.Helper()
	w.send(pk)
	if ack := w.receive(); ack.FixedHeader.Type != packets.Suback || slices.Max(ack.ReasonCodes) > 1 {
		w.t.Fatalf("SUBSCRIBE answered by type %d, codes %#x", ack.FixedHeader.Type, ack.ReasonCodes)
	}
}

// ack acknowledges a QoS 1 message.
func (w *wire) ack(pk packets.Packet) {
	w.t.Helper()
	w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
}

// leave says goodbye and waits until the session has ended.
func (w *wire) leave(s *server, id string) {
	w.t.Helper()
	n := len(s.reasons(id))
	w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
	eventually(w.t, "session end of "+id, func() bool { return len(s.reasons(id)) > n })
}

// retain publishes a QoS 1 message as a retained one.
func retain(t *testing.T, s *server, pk packets.Packet) {
	t.Helper()
	w := connect(t, s.addr, "keeper", 5)
	pk.FixedHeader.Retain = true
	w.send(pk)
	if ack := w.receive(); ack.FixedHeader.Type != packets.Puback || ack.ReasonCode >= 0x80 {
		t.Fatalf("got packet type %d, code %#x", ack.FixedHeader.Type, ack.ReasonCode)
	}
	_ = w.Close()
}

// come connects with a packet and returns the CONNACK.
func come(t *testing.T, s *server, hello packets.Packet) (*wire, packets.Packet) {
	t.Helper()
	w := dial(t, s.addr)
	return w, w.hello(hello)
}

// TestConformance311 is the table for MQTT 3.1.1.
func TestConformance311(t *testing.T) {
	conform(t, basics311())
	conform(t, sessions311())
	conform(t, subscriptions311())
	conform(t, deviations311())
}

func basics311() []behaviour {
	return []behaviour{
		{"basic: connect, leave, connect, publish and receive", func(t *testing.T, s *server) {
			connect(t, s.addr, "a", 4).leave(s, "a")
			w := connect(t, s.addr, "a", 4)
			w.subscribe(1, "TopicA")
			w.publish("TopicA", "qos 0", 0, 0)
			if pk := w.wantPublish("TopicA", "qos 0"); pk.FixedHeader.Qos != 0 {
				t.Errorf("QoS %d", pk.FixedHeader.Qos)
			}
			w.publish("TopicA", "qos 1", 1, 1)
			var got []byte
			for range 2 { // PUBACK and the message, in either order
				got = append(got, w.receive().FixedHeader.Type)
			}
			if slices.Sort(got); !bytes.Equal(got, []byte{packets.Publish, packets.Puback}) {
				t.Errorf("packet types %v", got)
			}
		}},
		{"basic: a second CONNECT ends the connection", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.send(connectPacket("a", 4))
			w.wantClosed(patience)
		}},
		{"basic: a wrong protocol name is not served", func(t *testing.T, s *server) {
			w := dial(t, s.addr)
			hello := connectPacket("a", 4)
			hello.Connect.ProtocolName = []byte("hj")
			w.send(hello)
			for _, pk := range w.wantClosed(patience) {
				if pk.FixedHeader.Type != packets.Connack || pk.ReasonCode == 0 {
					t.Errorf("got packet type %d, code %d", pk.FixedHeader.Type, pk.ReasonCode)
				}
			}
		}},
		{"basic: MQTT 3.1 is served too", func(t *testing.T, s *server) {
			hello := connectPacket("a", 3)
			hello.Connect.ProtocolName = []byte("MQIsdp")
			w, _ := come(t, s, hello)
			w.subscribe(0, "a")
			s.Publish("a", []byte("x"))
			w.wantPublish("a", "x")
		}},
		{"order: messages of a publisher stay in order", func(t *testing.T, s *server) {
			a, b := connect(t, s.addr, "a", 4), connect(t, s.addr, "b", 4)
			b.subscribe(1, "n")
			for i := range uint16(50) {
				a.publish("n", string(rune('A'+i)), 1, i+1)
			}
			for i := range 50 {
				b.ack(b.wantPublish("n", string(rune('A'+i))))
			}
		}},
	}
}

func sessions311() []behaviour {
	return []behaviour{
		{"offline message queueing: QoS 1 waits for a kept session", func(t *testing.T, s *server) {
			w, _ := come(t, s, persistent("a", 4, 0))
			w.subscribe(1, "+/+")
			w.leave(s, "a")
			b := connect(t, s.addr, "b", 4)
			b.publish("Topic/C", "qos 0", 0, 0)
			b.publish("Topic/C", "qos 1", 1, 1)
			b.receive()
			w, ack := come(t, s, persistent("a", 4, 0))
			if !ack.SessionPresent {
				t.Error("no session present")
			}
			w.wantPublish("Topic/C", "qos 1")
			w.wantNothing() // QoS 0 is not kept
		}},
		{"clean session: nothing is left of the one before", func(t *testing.T, s *server) {
			w, _ := come(t, s, persistent("a", 4, 0))
			w.subscribe(1, "n")
			w.leave(s, "a")
			w, ack := come(t, s, connectPacket("a", 4))
			if ack.SessionPresent {
				t.Error("session present")
			}
			s.Publish("n", []byte("x"))
			w.wantNothing()
			w.leave(s, "a")
			if _, ack := come(t, s, persistent("a", 4, 0)); ack.SessionPresent {
				t.Error("the clean session was kept")
			}
		}},
		{"will message: sent when the connection breaks", func(t *testing.T, s *server) {
			watcher := connect(t, s.addr, "watcher", 4)
			watcher.subscribe(1, "wills")
			w, _ := come(t, s, withWill(connectPacket("a", 4), "wills", "gone"))
			_ = w.Close()
			watcher.wantPublish("wills", "gone")
		}},
		{"will message: not sent after DISCONNECT", func(t *testing.T, s *server) {
			watcher := connect(t, s.addr, "watcher", 4)
			watcher.subscribe(1, "wills")
			w, _ := come(t, s, withWill(connectPacket("a", 4), "wills", "gone"))
			w.leave(s, "a")
			watcher.wantNothing()
		}},
		{"will message: at its QoS", func(t *testing.T, s *server) {
			watcher := connect(t, s.addr, "watcher", 4)
			watcher.subscribe(1, "wills")
			for _, qos := range []byte{0, 1} {
				hello := withWill(connectPacket("a", 4), "wills", "gone")
				hello.Connect.WillQos = qos
				w, _ := come(t, s, hello)
				_ = w.Close()
				pk := watcher.wantPublish("wills", "gone")
				if pk.FixedHeader.Qos != qos {
					t.Errorf("QoS %d, want %d", pk.FixedHeader.Qos, qos)
				}
				if qos == 1 {
					watcher.ack(pk)
				}
			}
		}},
		{"will message: may be empty", func(t *testing.T, s *server) {
			watcher := connect(t, s.addr, "watcher", 4)
			watcher.subscribe(1, "wills")
			w, _ := come(t, s, withWill(connectPacket("a", 4), "wills", ""))
			_ = w.Close()
			watcher.wantPublish("wills", "")
		}},
		{"password: may be empty", func(t *testing.T, s *server) {
			hello := connectPacket("a", 4)
			hello.Connect.UsernameFlag, hello.Connect.PasswordFlag = true, true
			hello.Connect.Username = []byte("user")
			come(t, s, hello)
		}},
	}
}

func subscriptions311() []behaviour {
	return []behaviour{
		{"overlapping subscriptions: one message at the highest QoS", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.subscribe(1, "TopicA/#")
			w.subscribe(0, "TopicA/+")
			s.Publish("TopicA/C", []byte("x"))
			if pk := w.wantPublish("TopicA/C", "x"); pk.FixedHeader.Qos != 1 {
				t.Errorf("QoS %d, want 1", pk.FixedHeader.Qos)
			}
			w.wantNothing()
		}},
		{"subscribing again: the new QoS holds", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.subscribe(1, "n")
			w.subscribe(0, "n")
			s.Publish("n", []byte("x"))
			if pk := w.wantPublish("n", "x"); pk.FixedHeader.Qos != 0 {
				t.Errorf("QoS %d, want 0", pk.FixedHeader.Qos)
			}
			w.wantNothing()
		}},
		{"redelivery on reconnect: same id, marked as duplicate", func(t *testing.T, s *server) {
			w, _ := come(t, s, persistent("a", 4, 0))
			w.subscribe(1, "TopicA/#")
			s.Publish("TopicA/B", []byte("one"))
			s.Publish("TopicA/C", []byte("two"))
			one, two := w.wantPublish("TopicA/B", "one"), w.wantPublish("TopicA/C", "two")
			w.ack(one)
			w.wantNothing()
			w.leave(s, "a")
			w, _ = come(t, s, persistent("a", 4, 0))
			if again := w.wantPublish("TopicA/C", "two"); !again.FixedHeader.Dup || again.PacketID != two.PacketID {
				t.Errorf("dup %v, id %d, want id %d", again.FixedHeader.Dup, again.PacketID, two.PacketID)
			}
			w.wantNothing()
		}},
		{"duplicate from the client: acknowledged again", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			pk := publication("n", "x", 1)
			w.send(pk)
			w.receive()
			pk.FixedHeader.Dup = true
			w.send(pk)
			if ack := w.receive(); ack.FixedHeader.Type != packets.Puback || ack.PacketID != 1 {
				t.Errorf("got packet type %d", ack.FixedHeader.Type)
			}
		}},
		{"subscribe failure: 0x80", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			if got := w.subscribe(1, "$SYS/#", "ok"); !bytes.Equal(got, []byte{0x80, 1}) {
				t.Errorf("SUBACK %#x", got)
			}
		}},
		{"dollar topics: a wildcard in front does not match them", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.subscribe(1, "#", "+/+")
			s.Publish("$aws/x", []byte("x"))
			w.wantNothing()
		}},
		{"unsubscribe: the others stay", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.subscribe(1, "one", "two", "three")
			w.unsubscribe("one")
			for _, topic := range []string{"one", "two", "three"} {
				s.Publish(topic, []byte("x"))
			}
			w.wantPublish("two", "x")
			w.wantPublish("three", "x")
			w.wantNothing()
		}},
		{"unsubscribe: of what was never subscribed is acknowledged", func(t *testing.T, s *server) {
			connect(t, s.addr, "a", 4).unsubscribe("never")
		}},
		{"zero length client id: a clean session gets a name", func(t *testing.T, s *server) {
			come(t, s, connectPacket("", 4))
			if got := s.of("connect", ""); len(got) != 1 || got[0].client.ID == "" {
				t.Errorf("sessions %v", got)
			}
		}},
		{"zero length client id: refused for a kept session", func(t *testing.T, s *server) {
			w := dial(t, s.addr)
			if ack := w.try(persistent("", 4, 0)); ack.ReasonCode != 2 {
				t.Errorf("code %d, want 2", ack.ReasonCode)
			}
			w.wantClosed(patience)
		}},
		{"large messages: 128 KiB pass", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.subscribe(0, "n")
			large := strings.Repeat("x", 128<<10)
			w.publish("n", large, 0, 0)
			w.wantPublish("n", large)
		}},
		{"empty messages pass", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.subscribe(0, "n")
			w.publish("n", "", 0, 0)
			w.wantPublish("n", "")
		}},
		{"take-over: the second connection wins", func(t *testing.T, s *server) {
			old := connect(t, s.addr, "a", 4)
			fresh := connect(t, s.addr, "a", 4)
			old.wantClosed(patience)
			fresh.wantNothing()
		}},
		{"retained messages: a new subscription gets the handler's", func(t *testing.T, s *server) {
			retain(t, s, publication("n", "kept", 1))
			w := connect(t, s.addr, "a", 4)
			w.subscribe(1, "n")
			if pk := w.wantPublish("n", "kept"); !pk.FixedHeader.Retain {
				t.Error("not marked as retained")
			}
		}},
		{"retained messages: passed on to old subscriptions without the mark", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.subscribe(0, "n")
			pk := publication("n", "x", 0)
			pk.FixedHeader.Retain = true
			w.send(pk)
			if pk := w.wantPublish("n", "x"); pk.FixedHeader.Retain {
				t.Error("marked as retained")
			}
		}},
	}
}

func deviations311() []behaviour {
	return []behaviour{
		{"deviation: retained messages do not come to wildcards", func(t *testing.T, s *server) {
			retain(t, s, publication("n/a", "kept", 1))
			w := connect(t, s.addr, "a", 4)
			w.subscribe(1, "n/+", "n/#", "#")
			w.wantNothing()
		}},
		{"deviation: QoS 2 is granted as 1", func(t *testing.T, s *server) {
			if got := connect(t, s.addr, "a", 4).subscribe(2, "n"); !bytes.Equal(got, []byte{1}) {
				t.Errorf("SUBACK %v", got)
			}
		}},
		{"deviation: a QoS 2 publish ends the connection", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.publish("n", "x", 2, 1)
			w.wantClosed(patience)
			wantReasons(t, s, "a", broker.ClientError)
		}},
		{"deviation: a/# does not match a", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.subscribe(1, "n/#")
			s.Publish("n", []byte("x"))
			w.wantNothing()
			s.Publish("n/", []byte("x"))
			w.wantPublish("n/", "x")
		}},
		{"deviation: publishing to $ topics of the server ends the connection", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 4)
			w.publish("$TopicA/B", "x", 1, 1)
			w.wantClosed(patience)
			wantReasons(t, s, "a", broker.ForbiddenAccess)
		}},
	}
}

func withWill(hello packets.Packet, topic, payload string) packets.Packet {
	hello.Connect.WillFlag, hello.Connect.WillTopic, hello.Connect.WillPayload = true, topic, []byte(payload)
	return hello
}
