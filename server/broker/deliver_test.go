package broker_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

func TestSendReachesUnsubscribed(t *testing.T) {
	s := start(t, broker.Limits{})
	w := connect(t, s.addr, "dev", 4)
	session := s.of("connect", "dev")[0].client.Session
	s.Send(session, "$aws/things/dev/jobs/get/accepted", []byte("{}"))
	if pk := w.wantPublish("$aws/things/dev/jobs/get/accepted", "{}"); pk.FixedHeader.Qos != 0 {
		t.Errorf("QoS %d", pk.FixedHeader.Qos)
	}
	again := connect(t, s.addr, "dev", 4)
	s.Send(session, "a", []byte("for the old session"))
	s.Send(session+1000, "a", []byte("for nobody"))
	again.wantNothing()
}

func TestPublishAnd(t *testing.T) {
	for _, tc := range []struct {
		name      string
		subscribe string // by the asking client
	}{
		{"not subscribed", ""}, {"subscribed", "shadow/+"}, {"subscribed to another topic", "jobs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := start(t, broker.Limits{})
			asker, other := connect(t, s.addr, "asker", 4), connect(t, s.addr, "other", 4)
			connect(t, s.addr, "third", 4).wantNothing()
			other.subscribe(1, "shadow/accepted")
			if tc.subscribe != "" {
				asker.subscribe(1, tc.subscribe)
			}
			s.PublishAnd("shadow/accepted", []byte("v1"), s.of("connect", "asker")[0].client.Session)
			for _, w := range []*wire{asker, other} {
				w.wantPublish("shadow/accepted", "v1")
				w.wantNothing()
			}
		})
	}
}

func TestHeard(t *testing.T) {
	s := start(t, broker.Limits{})
	w := connect(t, s.addr, "dev", 4)
	w.subscribe(1, "a/+/c")
	for topic, want := range map[string]bool{"a/b/c": true, "a/b": false, "$aws/events/x": false, "": false, strings.Repeat("x", 70_000): false} {
		if got := s.Heard(topic); got != want {
			t.Errorf("%.20q is heard: %v, want %v", topic, got, want)
		}
	}
}

func TestPubackWaitsForHandler(t *testing.T) {
	s := start(t, broker.Limits{})
	commit := make(chan struct{})
	s.onPublish = func(_ broker.Client, topic string, _ []byte) (bool, error) {
		<-commit
		return topic == "$aws/things/dev/shadow/update", nil
	}
	watcher := connect(t, s.addr, "watcher", 4)
	watcher.subscribe(0, "#", "$aws/#")
	w := connect(t, s.addr, "dev", 4)
	w.publish("$aws/things/dev/shadow/update", "{}", 1, 9)
	if pk, err := w.next(100 * time.Millisecond); err == nil {
		t.Fatalf("got packet type %d before the commit", pk.FixedHeader.Type)
	}
	close(commit)
	if ack := w.receive(); ack.FixedHeader.Type != packets.Puback || ack.PacketID != 9 {
		t.Errorf("got packet type %d, id %d", ack.FixedHeader.Type, ack.PacketID)
	}
	watcher.wantNothing() // a handled request is not passed on
	w.publish("telemetry", "1", 1, 10)
	watcher.wantPublish("telemetry", "1")
}

func TestWildcards(t *testing.T) {
	for _, tc := range []struct {
		filters []string
		topic   string
		want    bool
	}{
		{[]string{"#"}, "a/b", true},
		{[]string{"#"}, "$aws/things/dev/shadow/get", false},
		{[]string{"+/things/dev/shadow/get"}, "$aws/things/dev/shadow/get", false},
		{[]string{"$aws/#"}, "$aws/things/dev/shadow/get", true},
		{[]string{"$aws/things/+/shadow/get"}, "$aws/things/dev/shadow/get", true},
		{[]string{"a/#"}, "a/b/c", true},
		{[]string{"a/#"}, "a/", true},
		{[]string{"a/#"}, "a", false}, // on AWS, unlike elsewhere
		{[]string{"a/#", "a"}, "a", true},
		{[]string{"a/#", "+"}, "a", true},
		{[]string{"a/#", "+/#"}, "a", false},
		{[]string{"+/b/#"}, "a/b", false},
		{[]string{"a/+"}, "a/b/c", false},
		{[]string{"a/+"}, "a/", true},
	} {
		t.Run(fmt.Sprint(tc.filters, tc.topic), func(t *testing.T) {
			s := start(t, broker.Limits{})
			w := connect(t, s.addr, "dev", 4)
			w.subscribe(0, tc.filters...)
			s.Publish(tc.topic, []byte("x"))
			if tc.want {
				w.wantPublish(tc.topic, "x")
			}
			w.wantNothing()
		})
	}
}

func TestNothingIsRetained(t *testing.T) {
	s := start(t, broker.Limits{})
	w := connect(t, s.addr, "dev", 4)
	for _, topic := range []string{"$aws/things/dev/shadow/get", "state"} {
		w.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true},
			TopicName:   topic, Payload: []byte("x"),
		})
		w.subscribe(1, topic)
		w.wantNothing()
	}
}

// TestWindow publishes more QoS 1 messages than a client may have in flight:
// none is lost, none comes too early, the order stays.
func TestWindow(t *testing.T) {
	for _, receiveMaximum := range []uint16{0, 3} {
		s := start(t, broker.Limits{Inflight: 10})
		window := 10
		hello := connectPacket("dev", 5)
		if receiveMaximum > 0 {
			window, hello.Properties.ReceiveMaximum = int(receiveMaximum), receiveMaximum
		}
		w := dial(t, s.addr)
		w.hello(hello)
		w.subscribe(1, "n")
		for i := range 50 {
			s.Publish("n", []byte(fmt.Sprint(i)))
		}
		var ids []uint16
		for i := range 50 {
			if len(ids) == window {
				w.wantNothing()
				w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: ids[0]})
				ids = ids[1:]
			}
			id := w.wantPublish("n", fmt.Sprint(i)).PacketID
			if id == 0 || slices.Contains(ids, id) {
				t.Fatalf("packet id %d is in use: %v", id, ids)
			}
			ids = append(ids, id)
		}
	}
}

// TestPacketIDsOfBothDirections: mochi refuses a SUBSCRIBE whose packet id is
// that of a message in flight the other way.
func TestPacketIDsOfBothDirections(t *testing.T) {
	s := start(t, broker.Limits{})
	w := connect(t, s.addr, "dev", 4)
	w.subscribe(1, "n")
	for i := range 10 {
		s.Publish("n", []byte(fmt.Sprint(i)))
		w.wantPublish("n", fmt.Sprint(i)) // and no PUBACK
	}
	if got := w.subscribe(1, "m"); got[0] != 1 { // its packet id is 7
		t.Errorf("SUBACK %#x", got[0])
	}
	w.publish("x", "y", 1, 3)
	if ack := w.receive(); ack.FixedHeader.Type != packets.Puback {
		t.Errorf("got packet type %d", ack.FixedHeader.Type)
	}
	s.Publish("n", []byte("more"))
	w.wantPublish("n", "more")
}

func TestSubscriptionOptionsOfMQTT5(t *testing.T) {
	s := start(t, broker.Limits{})
	w := connect(t, s.addr, "dev", 5)
	w.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, PacketID: 1,
		Filters:    packets.Subscriptions{{Filter: "own", NoLocal: true}, {Filter: "a/+"}, {Filter: "#"}},
		Properties: packets.Properties{SubscriptionIdentifier: []int{5}},
	})
	if ack := w.receive(); !bytes.Equal(ack.ReasonCodes, []byte{0, 0, 0}) {
		t.Fatalf("SUBACK %v", ack.ReasonCodes)
	}
	other := connect(t, s.addr, "other", 5)
	other.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "a/b", Payload: []byte("x"),
		Properties: packets.Properties{
			ContentType: "text/plain", ResponseTopic: "r", CorrelationData: []byte("c"), MessageExpiryInterval: 60,
			User: []packets.UserProperty{{Key: "k", Val: "v"}},
		},
	})
	p := w.wantPublish("a/b", "x").Properties
	if p.ContentType != "text/plain" || p.ResponseTopic != "r" || string(p.CorrelationData) != "c" ||
		p.MessageExpiryInterval == 0 || len(p.User) != 1 || !slices.Contains(p.SubscriptionIdentifier, 5) {
		t.Errorf("properties %+v", p)
	}
	w.publish("own", "x", 0, 0) // "#" gives what NoLocal keeps back from "own"
	if ids := w.wantPublish("own", "x").Properties.SubscriptionIdentifier; !slices.Equal(ids, []int{5}) {
		t.Errorf("subscription identifiers %v", ids)
	}
	w.wantNothing()
}

// TestRate: a client above the rate is slowed down, not cut off.
func TestRate(t *testing.T) {
	ping := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}
	for name, ask := range map[string]func(w *wire){
		"PUBLISH":     func(w *wire) { w.publish("a", "x", 1, 1); w.receive() },
		"SUBSCRIBE":   func(w *wire) { w.subscribe(0, "a") },
		"UNSUBSCRIBE": func(w *wire) { w.unsubscribe("a") },
		"PINGREQ":     func(w *wire) { w.send(ping); w.receive() },
		"payload":     func(w *wire) { w.publish("a", strings.Repeat("x", 20_000), 1, 1); w.receive() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, broker.Limits{PublishRate: 50, PublishBytesRate: 1_000_000})
			w := connect(t, s.addr, "dev", 4)
			begin := time.Now()
			for range 60 { // 50 of them at once; or 1 MB of 1.2 MB
				ask(w)
			}
			if took := time.Since(begin); took < 150*time.Millisecond {
				t.Errorf("60 of them, at 50 a second and 50 at once, took %v", took)
			}
		})
	}
}
