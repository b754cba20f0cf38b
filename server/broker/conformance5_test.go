package broker_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

// TestConformance5 is the table for MQTT 5; what takes time is in
// TestVirtualConformance5.
func TestConformance5(t *testing.T) {
	conform(t, sessions5())
	conform(t, messages5())
	conform(t, subscriptions5())
	conform(t, flow5())
	conform(t, retained5())
}

func sessions5() []behaviour {
	return []behaviour{
		{"basic: connect, publish and receive at QoS 0 and 1", func(t *testing.T, s *server) {
			a, b := connect(t, s.addr, "a", 5), connect(t, s.addr, "b", 5)
			a.subscribe(1, "TopicA")
			for _, qos := range []byte{0, 1} {
				b.send(publication("TopicA", "x", qos))
				pk := a.wantPublish("TopicA", "x")
				if pk.FixedHeader.Qos != qos {
					t.Errorf("QoS %d, want %d", pk.FixedHeader.Qos, qos)
				}
				if qos == 1 {
					a.ack(pk)
					if ack := b.receive(); ack.FixedHeader.Type != packets.Puback || ack.ReasonCode != 0 {
						t.Errorf("packet type %d, code %#x", ack.FixedHeader.Type, ack.ReasonCode)
					}
				}
			}
		}},
		{"basic: a second CONNECT is a protocol error", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			w.send(connectPacket("a", 5))
			w.wantGoodbye(packets.ErrProtocolViolationSecondConnect.Code)
		}},
		{"CONNACK says what the server can", func(t *testing.T, s *server) {
			_, ack := come(t, s, connectPacket("a", 5))
			p := ack.Properties
			if p.ReceiveMaximum != 100 || p.MaximumPacketSize != 144<<10 || p.TopicAliasMaximum != 8 || p.ServerKeepAlive != 60 ||
				!p.MaximumQosFlag || p.MaximumQos != 1 || !p.SharedSubAvailableFlag || p.SharedSubAvailable != 0 || p.RetainAvailableFlag {
				t.Errorf("properties %+v", p)
			}
		}},
		{"assigned client id: told and unique", func(t *testing.T, s *server) {
			_, one := come(t, s, connectPacket("", 5))
			_, two := come(t, s, connectPacket("", 5))
			if a, b := one.Properties.AssignedClientID, two.Properties.AssignedClientID; a == "" || a == b {
				t.Errorf("client ids %q and %q", a, b)
			}
		}},
		{"assigned client id: none for a client that has one", func(t *testing.T, s *server) {
			if _, ack := come(t, s, connectPacket("a", 5)); ack.Properties.AssignedClientID != "" {
				t.Errorf("assigned %q", ack.Properties.AssignedClientID)
			}
		}},
		{"session expiry: 0 ends the session with the connection", func(t *testing.T, s *server) {
			w, _ := come(t, s, persistent("a", 5, 0))
			w.subscribe(1, "n")
			w.leave(s, "a")
			if _, ack := come(t, s, persistent("a", 5, 0)); ack.SessionPresent {
				t.Error("session present")
			}
		}},
		{"session expiry: a clean start keeps its session afterwards", func(t *testing.T, s *server) {
			hello := persistent("a", 5, 600)
			hello.Connect.Clean = true
			w, _ := come(t, s, hello)
			w.subscribe(1, "n")
			w.leave(s, "a")
			if _, ack := come(t, s, persistent("a", 5, 600)); !ack.SessionPresent {
				t.Error("no session present")
			}
		}},
		{"session expiry: shortened by DISCONNECT", func(t *testing.T, s *server) {
			w, _ := come(t, s, persistent("a", 5, 600))
			w.send(disconnectWith(0))
			wantReasons(t, s, "a", broker.ClientInitiatedDisconnect)
			if _, ack := come(t, s, persistent("a", 5, 600)); ack.SessionPresent {
				t.Error("session present")
			}
		}},
		{"session expiry: DISCONNECT cannot make one of 0 longer", func(t *testing.T, s *server) {
			w, _ := come(t, s, persistent("a", 5, 0))
			w.send(disconnectWith(600))
			w.wantGoodbye(packets.ErrProtocolViolation.Code)
		}},
		{"will: its properties are passed on", func(t *testing.T, s *server) {
			watcher := connect(t, s.addr, "watcher", 5)
			watcher.subscribe(0, "wills")
			hello := withWill(connectPacket("a", 5), "wills", "gone")
			hello.Connect.WillProperties = packets.Properties{
				ContentType: "text/plain", ResponseTopic: "r", CorrelationData: []byte("c"),
				User: []packets.UserProperty{{Key: "k", Val: "v"}},
			}
			w, _ := come(t, s, hello)
			_ = w.Close()
			p := watcher.wantPublish("wills", "gone").Properties
			if p.ContentType != "text/plain" || p.ResponseTopic != "r" || string(p.CorrelationData) != "c" || len(p.User) != 1 {
				t.Errorf("properties %+v", p)
			}
		}},
		{"will: may be empty", func(t *testing.T, s *server) {
			watcher := connect(t, s.addr, "watcher", 5)
			watcher.subscribe(0, "wills")
			w, _ := come(t, s, withWill(connectPacket("a", 5), "wills", ""))
			_ = w.Close()
			watcher.wantPublish("wills", "")
		}},
		{"will delay: none without a session to wait for", func(t *testing.T, s *server) {
			watcher := connect(t, s.addr, "watcher", 5)
			watcher.subscribe(0, "wills")
			hello := withWill(connectPacket("a", 5), "wills", "gone")
			hello.Connect.WillProperties.WillDelayInterval = 3600
			w, _ := come(t, s, hello)
			_ = w.Close()
			watcher.wantPublish("wills", "gone")
		}},
		{"DISCONNECT of the server: session taken over", func(t *testing.T, s *server) {
			old := connect(t, s.addr, "a", 5)
			connect(t, s.addr, "a", 5)
			old.wantGoodbye(packets.ErrSessionTakenOver.Code)
		}},
		{"DISCONNECT of the server: administrative action", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			s.Kick("a", broker.APIInitiatedDisconnect)
			w.wantGoodbye(packets.ErrAdministrativeAction.Code)
		}},
		{"server keep alive: told when it is not what was asked for", func(t *testing.T, s *server) {
			hello := connectPacket("a", 5)
			hello.Connect.Keepalive = 5
			if _, ack := come(t, s, hello); !ack.Properties.ServerKeepAliveFlag || ack.Properties.ServerKeepAlive != 30 {
				t.Errorf("server keep alive %d", ack.Properties.ServerKeepAlive)
			}
		}},
		{"deviation: no authentication method is known", func(t *testing.T, s *server) {
			hello := connectPacket("a", 5)
			hello.Properties.AuthenticationMethod, hello.Properties.AuthenticationData = "SCRAM-SHA-1", []byte("x")
			w := dial(t, s.addr)
			if ack := w.try(hello); ack.ReasonCode != packets.ErrBadAuthenticationMethod.Code {
				t.Errorf("code %#x", ack.ReasonCode)
			}
			w.wantClosed(patience)
		}},
		{"deviation: AUTH is a protocol error", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Auth}, ReasonCode: packets.CodeReAuthenticate.Code})
			w.wantGoodbye(packets.ErrProtocolViolation.Code)
		}},
		{"an unknown version is told the version is not supported", func(t *testing.T, s *server) {
			w := dial(t, s.addr)
			hello := encode(t, connectPacket("a", 5))
			hello[8] = 6
			w.raw(hello)
			if ack := w.receive(); ack.FixedHeader.Type != packets.Connack || ack.ReasonCode == 0 {
				t.Errorf("packet type %d, code %#x", ack.FixedHeader.Type, ack.ReasonCode)
			}
		}},
	}
}

func disconnectWith(expiry uint32) packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Disconnect},
		Properties:  packets.Properties{SessionExpiryInterval: expiry, SessionExpiryIntervalFlag: true},
	}
}

// wantGoodbye expects DISCONNECT with a code, and the end.
func (w *wire) wantGoodbye(code byte) {
	w.t.Helper()
	got := w.wantClosed(patience)
	if len(got) != 1 || got[0].FixedHeader.Type != packets.Disconnect || got[0].ReasonCode != code {
		w.t.Errorf("got %+v, want DISCONNECT %#x", got, code)
	}
}

func messages5() []behaviour {
	return []behaviour{
		{"user properties: passed on in their order", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			w.subscribe(0, "n")
			pk := publication("n", "", 0)
			pk.Properties.User = []packets.UserProperty{{Key: "a", Val: "2"}, {Key: "c", Val: "3"}, {Key: "a", Val: "1"}}
			w.send(pk)
			if got := w.wantPublish("n", "").Properties.User; !slices.Equal(got, pk.Properties.User) {
				t.Errorf("user properties %v", got)
			}
		}},
		{"payload format and content type: passed on", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			w.subscribe(0, "n")
			pk := publication("n", "{}", 0)
			pk.Properties.PayloadFormat, pk.Properties.PayloadFormatFlag, pk.Properties.ContentType = 1, true, "My name"
			w.send(pk)
			if p := w.wantPublish("n", "{}").Properties; p.PayloadFormat != 1 || p.ContentType != "My name" {
				t.Errorf("properties %+v", p)
			}
		}},
		{"request and response: the answer finds its way", func(t *testing.T, s *server) {
			asker, answerer := connect(t, s.addr, "asker", 5), connect(t, s.addr, "answerer", 5)
			asker.subscribe(0, "answers")
			answerer.subscribe(0, "questions")
			pk := publication("questions", "?", 0)
			pk.Properties.ResponseTopic, pk.Properties.CorrelationData = "answers", []byte("334")
			asker.send(pk)
			p := answerer.wantPublish("questions", "?").Properties
			pk = publication(p.ResponseTopic, "!", 0)
			pk.Properties.CorrelationData = p.CorrelationData
			answerer.send(pk)
			if p := asker.wantPublish("answers", "!").Properties; string(p.CorrelationData) != "334" {
				t.Errorf("correlation data %q", p.CorrelationData)
			}
		}},
		{"message expiry: none where none was set", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			w.subscribe(0, "n")
			w.publish("n", "x", 0, 0)
			if got := w.wantPublish("n", "x").Properties.MessageExpiryInterval; got != 0 {
				t.Errorf("message expiry %d", got)
			}
		}},
		{"properties are not sent to MQTT 3.1.1", func(t *testing.T, s *server) {
			old, w := connect(t, s.addr, "old", 4), connect(t, s.addr, "a", 5)
			old.subscribe(0, "n")
			pk := publication("n", "x", 0)
			pk.Properties.User = []packets.UserProperty{{Key: "a", Val: "b"}}
			w.send(pk)
			old.wantPublish("n", "x")
		}},
		{"PUBACK carries no properties of the message", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			pk := publication("n", "x", 1)
			pk.Properties.User = []packets.UserProperty{{Key: "a", Val: "b"}}
			w.send(pk)
			if ack := w.receive(); len(ack.Properties.User) != 0 {
				t.Errorf("properties %+v", ack.Properties)
			}
		}},
		{"client topic alias: stands for its topic", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			w.subscribe(0, "one", "two")
			w.send(aliased("one", 1))
			w.send(aliased("two", 8))
			w.send(aliased("", 1))
			w.send(aliased("two", 1)) // from here on it stands for another one
			w.send(aliased("", 1))
			for _, topic := range []string{"one", "two", "one", "two", "two"} {
				pk := w.wantPublish(topic, "x")
				if pk.Properties.TopicAliasFlag {
					t.Error("the alias was passed on")
				}
			}
		}},
		{"client topic alias: unknown, 0 and above the maximum", func(t *testing.T, s *server) {
			for _, alias := range []uint16{3, 9} {
				w := connect(t, s.addr, "a", 5)
				topic := "n"
				if alias == 3 {
					topic = ""
				}
				w.send(aliased(topic, alias))
				w.wantGoodbye(packets.ErrTopicAliasInvalid.Code)
			}
			w := connect(t, s.addr, "a", 5)
			w.raw([]byte{0x30, 7, 0, 1, 'n', 3, 0x23, 0, 0})
			w.wantGoodbye(packets.ErrTopicAliasInvalid.Code)
		}},
		{"client topic alias: belongs to the connection", func(t *testing.T, s *server) {
			w, _ := come(t, s, persistent("a", 5, 600))
			w.send(aliased("n", 1))
			w.leave(s, "a")
			w, _ = come(t, s, persistent("a", 5, 600))
			w.send(aliased("", 1))
			w.wantGoodbye(packets.ErrTopicAliasInvalid.Code)
		}},
		{"client topic alias: permissions are asked for its topic", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			w.send(aliased("$aws/events/x", 1))
			w.wantGoodbye(packets.ErrNotAuthorized.Code)
		}},
		{"server topic alias: never used, whatever the client takes", func(t *testing.T, s *server) {
			hello := connectPacket("a", 5)
			hello.Properties.TopicAliasMaximum = 10
			w, _ := come(t, s, hello)
			w.subscribe(0, "n")
			for range 2 {
				s.Publish("n", []byte("x"))
				if pk := w.wantPublish("n", "x"); pk.Properties.TopicAliasFlag {
					t.Error("with an alias")
				}
			}
		}},
		{"a publish with a subscription identifier is a protocol error", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			pk := publication("n", "x", 0)
			pk.Properties.SubscriptionIdentifier = []int{1}
			w.send(pk)
			w.wantGoodbye(packets.ErrProtocolViolation.Code)
		}},
		{"deviation: QoS 2 is not supported", func(t *testing.T, s *server) {
			w := connect(t, s.addr, "a", 5)
			w.send(publication("n", "x", 2))
			w.wantGoodbye(packets.ErrQosNotSupported.Code)
		}},
	}
}

func aliased(topic string, alias uint16) packets.Packet {
	pk := publication(topic, "x", 0)
	pk.Properties.TopicAlias, pk.Properties.TopicAliasFlag = alias, true
	return pk
}

// TestVirtualConformance5 is what takes time.
func TestVirtualConformance5(t *testing.T) {
	for _, row := range []behaviour{
		{"publication expiry: what waited too long is left out, the rest says how long it has", func(t *testing.T, s *server) {
			w := s.pipe(t)
			w.hello(persistent("a", 5, 600))
			w.subscribe(1, "n")
			_ = w.Close()
			synctest.Wait()
			b := s.pipe(t)
			b.hello(connectPacket("b", 5))
			for i, seconds := range []uint32{1, 60, 0} {
				pk := publication("n", fmt.Sprint(seconds), 1)
				pk.PacketID, pk.Properties.MessageExpiryInterval = uint16(i+1), seconds
				b.send(pk)
				b.receive()
			}
			<-time.After(30 * time.Second)
			w = s.pipe(t)
			w.hello(persistent("a", 5, 600))
			if got := w.wantPublish("n", "60").Properties.MessageExpiryInterval; got != 30 {
				t.Errorf("expiry %d, want 30", got)
			}
			if got := w.wantPublish("n", "0").Properties.MessageExpiryInterval; got != 0 {
				t.Errorf("expiry %d, want none", got)
			}
			w.wantNothing()
			_, _ = w.Close(), b.Close()
		}},
		{"publication expiry: at most seven days", func(t *testing.T, s *server) {
			w := s.pipe(t)
			w.hello(connectPacket("a", 5))
			w.subscribe(0, "n")
			pk := publication("n", "x", 0)
			pk.Properties.MessageExpiryInterval = 7*24*3600 + 1
			w.send(pk)
			if got := w.wantPublish("n", "x").Properties.MessageExpiryInterval; got != 7*24*3600 {
				t.Errorf("expiry %d", got)
			}
			_ = w.Close()
		}},
		{"session expiry: made longer by DISCONNECT", func(t *testing.T, s *server) {
			w := s.pipe(t)
			w.hello(persistent("a", 5, 1))
			w.send(disconnectWith(60))
			<-time.After(30 * time.Second)
			w = s.pipe(t)
			if !w.hello(persistent("a", 5, 1)).SessionPresent {
				t.Error("no session present")
			}
			w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
			<-time.After(30 * time.Second)
			w = s.pipe(t)
			if w.hello(persistent("a", 5, 1)).SessionPresent {
				t.Error("session present")
			}
			_ = w.Close()
		}},
		{"will delay: a session that ends first takes the will with it", func(t *testing.T, s *server) {
			watcher := s.pipe(t)
			watcher.hello(connectPacket("watcher", 5))
			watcher.subscribe(0, "wills")
			hello := withWill(persistent("a", 5, 20), "wills", "gone")
			hello.Connect.WillProperties.WillDelayInterval = 300
			w := s.pipe(t)
			w.hello(hello)
			begin := time.Now()
			_ = w.Close()
			watcher.wantPublishWithin(time.Hour, "wills", "gone")
			if took := time.Since(begin); took < 19*time.Second || took > 22*time.Second {
				t.Errorf("the will came after %v, want about 20 s", took)
			}
			_ = watcher.Close()
		}},
		{"keepalive: the will is sent after one and a half times", func(t *testing.T, s *server) {
			watcher := s.pipe(t)
			watcher.hello(connectPacket("watcher", 5))
			watcher.subscribe(0, "wills")
			w := s.pipe(t)
			hello := withWill(connectPacket("a", 5), "wills", "expired")
			hello.Connect.Keepalive = 40
			w.hello(hello)
			begin := time.Now()
			watcher.wantPublishWithin(time.Hour, "wills", "expired")
			if took := time.Since(begin); took != 60*time.Second {
				t.Errorf("the will came after %v, want 60 s", took)
			}
			_ = watcher.Close()
		}},
	} {
		t.Run(row.name, func(t *testing.T) { virtual(t, broker.Limits{}, row.test) })
	}
}
