package broker_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/broker"
)

// shelf is a handler's store of retained messages.
type shelf struct {
	mu       sync.Mutex
	messages map[string]protocol.Message
}

func (s *shelf) publish(m protocol.Message) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Retain {
		s.messages[m.Topic] = m
	}
	return false, nil
}

func (s *shelf) find(filters []string, retained func(protocol.Message)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range filters {
		if m, ok := s.messages[f]; ok {
			retained(m)
		}
	}
	return nil
}

// startRetaining starts a broker whose handler keeps retained messages.
func startRetaining(t *testing.T, limits broker.Limits) *server {
	s := start(t, limits)
	kept := &shelf{messages: map[string]protocol.Message{}}
	s.onMessage, s.onFilters = kept.publish, kept.find
	return s
}

func retainedPublish(topic, payload string, qos byte) packets.Packet {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos, Retain: true},
		TopicName:   topic, Payload: []byte(payload),
	}
	if qos > 0 {
		pk.PacketID = 9
	}
	return pk
}

// subscribeTo sends a SUBSCRIBE packet and returns after its SUBACK.
func (w *wire) subscribeTo(subs ...packets.Subscription) {
	w.t.Helper()
	w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, PacketID: 7, Filters: subs})
	if ack := w.receive(); ack.FixedHeader.Type != packets.Suback {
		w.t.Fatalf("SUBSCRIBE answered by type %d", ack.FixedHeader.Type)
	}
}

func TestRetainedForNewSubscriptions(t *testing.T) {
	for _, c := range []struct {
		name    string
		version byte
		before  bool // the subscription exists already
		sub     packets.Subscription
		want    bool
		qos     byte
	}{
		{name: "v3", version: 4, sub: packets.Subscription{Filter: "a/b", Qos: 1}, want: true, qos: 1},
		{name: "v3, lower QoS", version: 4, sub: packets.Subscription{Filter: "a/b"}, want: true},
		{name: "v3, again", version: 4, before: true, sub: packets.Subscription{Filter: "a/b", Qos: 1}, want: true, qos: 1},
		{name: "v3, wildcard", version: 4, sub: packets.Subscription{Filter: "a/+", Qos: 1}},
		{name: "v3, all", version: 4, sub: packets.Subscription{Filter: "#", Qos: 1}},
		{name: "v3, other topic", version: 4, sub: packets.Subscription{Filter: "a/c", Qos: 1}},
		{name: "v5, send", version: 5, before: true, sub: packets.Subscription{Filter: "a/b", Qos: 1}, want: true, qos: 1},
		{name: "v5, send if new, new", version: 5, sub: packets.Subscription{Filter: "a/b", Qos: 1, RetainHandling: 1}, want: true, qos: 1},
		{name: "v5, send if new, again", version: 5, before: true, sub: packets.Subscription{Filter: "a/b", Qos: 1, RetainHandling: 1}},
		{name: "v5, do not send", version: 5, sub: packets.Subscription{Filter: "a/b", Qos: 1, RetainHandling: 2}},
		{name: "v5, no local is for own messages", version: 5, sub: packets.Subscription{Filter: "a/b", Qos: 1, NoLocal: true}, want: true, qos: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startRetaining(t, broker.Limits{})
			w := dial(t, s.addr)
			w.hello(connectPacket("sub", c.version))
			if c.before {
				w.subscribe(1, "a/b")
				w.wantNothing() // and the handler has been asked
			}
			pub := connect(t, s.addr, "pub", 4)
			pub.send(retainedPublish("a/b", "kept", 1))
			pub.receive()
			if c.before {
				if live := w.wantPublish("a/b", "kept"); live.FixedHeader.Retain {
					t.Error("a live message came with the retain flag")
				}
				w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: 1})
			}
			w.subscribeTo(c.sub)
			if c.want {
				pk := w.wantPublish("a/b", "kept")
				if !pk.FixedHeader.Retain || pk.FixedHeader.Qos != c.qos {
					t.Errorf("retain %v, QoS %d; want true, %d", pk.FixedHeader.Retain, pk.FixedHeader.Qos, c.qos)
				}
			}
			w.wantNothing()
		})
	}
}

// TestRetainAsPublished: only who asks for it sees the flag of a live message;
// properties travel with a retained message, and its sender's own messages
// stay away from a subscription that wants none.
func TestRetainAsPublished(t *testing.T) {
	s := startRetaining(t, broker.Limits{})
	w := dial(t, s.addr)
	w.hello(connectPacket("dev", 5))
	w.subscribeTo(packets.Subscription{Filter: "a/b", RetainAsPublished: true})
	w.wantNothing() // and the handler has been asked
	pk := retainedPublish("a/b", "kept", 0)
	pk.Properties = packets.Properties{
		ContentType: "text/plain", ResponseTopic: "r", CorrelationData: []byte{1, 2}, MessageExpiryInterval: 600,
		PayloadFormat: 1, PayloadFormatFlag: true,
		User: []packets.UserProperty{{Key: "k", Val: "1"}, {Key: "k", Val: "2"}},
	}
	w.send(pk)
	if live := w.wantPublish("a/b", "kept"); !live.FixedHeader.Retain {
		t.Error("retain-as-published is not honoured")
	}
	other := dial(t, s.addr)
	other.hello(connectPacket("other", 5))
	other.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, PacketID: 7,
		Properties: packets.Properties{SubscriptionIdentifier: []int{5}}, Filters: []packets.Subscription{{Filter: "a/b"}},
	})
	other.receive()
	got := other.wantPublish("a/b", "kept").Properties
	if got.ContentType != "text/plain" || got.ResponseTopic != "r" || !bytes.Equal(got.CorrelationData, []byte{1, 2}) ||
		!got.PayloadFormatFlag || got.PayloadFormat != 1 || got.MessageExpiryInterval < 590 || got.MessageExpiryInterval > 600 ||
		!slices.Equal(got.User, pk.Properties.User) || !slices.Equal(got.SubscriptionIdentifier, []int{5}) {
		t.Errorf("properties %+v", got)
	}
	w.subscribeTo(packets.Subscription{Filter: "a/b", NoLocal: true})
	w.wantNothing()
}

// TestRetainedWill: a will goes the way of a publish.
func TestRetainedWill(t *testing.T) {
	s := startRetaining(t, broker.Limits{})
	hello := connectPacket("dev", 4)
	hello.Connect.WillFlag, hello.Connect.WillRetain = true, true
	hello.Connect.WillTopic, hello.Connect.WillPayload = "state/dev", []byte("offline")
	w := dial(t, s.addr)
	w.hello(hello)
	_ = w.Close()
	wantReasons(t, s, "dev", broker.ConnectionLost)
	other := connect(t, s.addr, "other", 4)
	other.subscribe(0, "state/dev")
	if pk := other.wantPublish("state/dev", "offline"); !pk.FixedHeader.Retain {
		t.Error("the retained will came without its flag")
	}
}

// TestOverQuota: a message over the handler's quota is refused in the client's
// own terms.
func TestOverQuota(t *testing.T) {
	full := func(protocol.Message) (bool, error) { return false, protocol.Errorf(protocol.LimitExceeded, "full") }
	for _, c := range []struct {
		name         string
		version, qos byte
		want         byte // code of PUBACK
		ends         bool
	}{
		{name: "v5 QoS 1 is told", version: 5, qos: 1, want: 0x97},
		{name: "v5 QoS 0 is dropped", version: 5},
		{name: "v3 QoS 0 is dropped", version: 4},
		{name: "v3 QoS 1 ends", version: 4, qos: 1, ends: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, broker.Limits{})
			s.onMessage = full
			watcher := connect(t, s.addr, "watcher", 4)
			watcher.subscribe(0, "a/b")
			w := dial(t, s.addr)
			w.hello(connectPacket("dev", c.version))
			w.send(retainedPublish("a/b", "x", c.qos))
			switch {
			case c.ends:
				w.wantClosed(patience)
				wantReasons(t, s, "dev", broker.Throttled)
			case c.want != 0:
				if ack := w.receive(); ack.FixedHeader.Type != packets.Puback || ack.ReasonCode != c.want {
					t.Errorf("answered by type %d, code %#x", ack.FixedHeader.Type, ack.ReasonCode)
				}
				w.wantNothing()
			default:
				w.wantNothing()
			}
			watcher.wantNothing()
		})
	}
}

func TestSubscriptionsAreReported(t *testing.T) {
	s := start(t, broker.Limits{})
	w := connect(t, s.addr, "dev", 4)
	w.subscribe(1, "a/b", "bad/#/x", "c/#", "a/b")
	w.raw([]byte{0xa2, 15, 0, 9, 0, 3, 'a', '/', 'b', 0, 6, 'n', 'o', ' ', 's', 'u', 'b'})
	if ack := w.receive(); ack.FixedHeader.Type != packets.Unsuback {
		t.Fatalf("UNSUBSCRIBE answered by type %d", ack.FixedHeader.Type)
	}
	w.wantNothing()
	subscribed, unsubscribed := s.of("subscribed", "dev"), s.of("unsubscribed", "dev")
	if len(subscribed) != 1 || subscribed[0].topic != "a/b c/#" || len(unsubscribed) != 1 || unsubscribed[0].topic != "a/b" {
		t.Errorf("told %+v and %+v", subscribed, unsubscribed)
	}
	w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
	wantReasons(t, s, "dev", broker.ClientInitiatedDisconnect)
	if got := s.of("unsubscribed", "dev"); len(got) != 1 {
		t.Errorf("the end of a session was told as %+v", got)
	}
}

// TestSubscribeFails: a client whose retained messages cannot be looked up must
// not believe that there are none.
func TestSubscribeFails(t *testing.T) {
	s := start(t, broker.Limits{})
	s.onFilters = func([]string, func(protocol.Message)) error { return errors.New("disk full") }
	w := connect(t, s.addr, "dev", 4)
	w.subscribe(1, "a/b")
	w.wantClosed(patience)
	wantReasons(t, s, "dev", broker.ServerError)
}

func TestRefusalsAreReported(t *testing.T) {
	withWill := func(topic string) packets.Packet {
		pk := connectPacket("dev", 4)
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, topic, []byte("x")
		return pk
	}
	for _, c := range []struct {
		name  string
		hello packets.Packet
		want  []broker.Reason
	}{
		{"accepted", withWill("may/x"), nil},
		{"will where the client may not publish", withWill("other/x"), []broker.Reason{broker.AuthorizationFailed}},
		{"will to a filter", withWill("may/+"), []broker.Reason{broker.ClientError}},
		{"no client id", connectPacket("$dev", 4), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, broker.Limits{}, func(cfg *broker.Config) { cfg.Authorizer = only{publish: "may/", subscribe: "may/"} })
			w := dial(t, s.addr)
			ack := w.try(c.hello)
			if refused := ack.ReasonCode != 0; refused == (c.name == "accepted") {
				t.Fatalf("CONNACK code %d", ack.ReasonCode)
			}
			if c.want != nil {
				w.wantClosed(patience)
			}
			var got []broker.Reason
			for _, r := range s.of("refused", "") {
				got = append(got, r.reason)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("told %v, want %v", got, c.want)
			}
		})
	}
}

// TestVirtualRetainedExpiry: what remains of a message's time travels with it.
func TestVirtualRetainedExpiry(t *testing.T) {
	virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
		w := s.pipe(t)
		w.hello(connectPacket("dev", 5))
		s.onFilters = func(_ []string, retained func(protocol.Message)) error {
			retained(protocol.Message{Topic: "a", Payload: []byte("x"), Expires: time.Now().Add(90 * time.Second)})
			return nil
		}
		w.subscribeTo(packets.Subscription{Filter: "a"})
		pk := w.wantPublish("a", "x")
		if got := pk.Properties.MessageExpiryInterval; got != 90 || !pk.FixedHeader.Retain {
			t.Errorf("expires in %d s, retain %v; want 90, true", got, pk.FixedHeader.Retain)
		}
	})
}

func TestAdmit(t *testing.T) {
	b, err := broker.New(broker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	property := func(k, v string) protocol.Message {
		return protocol.Message{Topic: "a", UserProperties: []protocol.UserProperty{{Key: k, Value: v}}}
	}
	for _, c := range []struct {
		name    string
		message protocol.Message
		ok      bool
	}{
		{"plain", protocol.Message{Topic: "a/b", Payload: make([]byte, 128<<10)}, true},
		{"seven slashes", protocol.Message{Topic: "a/b/c/d/e/f/g/h"}, true},
		{"256 bytes", protocol.Message{Topic: strings.Repeat("x", 256)}, true},
		{"property", property("k", "v"), true},
		{"empty topic", protocol.Message{}, false},
		{"eight slashes", protocol.Message{Topic: "a/b/c/d/e/f/g/h/i"}, false},
		{"257 bytes", protocol.Message{Topic: strings.Repeat("x", 257)}, false},
		{"wildcard", protocol.Message{Topic: "a/+"}, false},
		{"hash", protocol.Message{Topic: "#"}, false},
		{"NUL", protocol.Message{Topic: "a\x00"}, false},
		{"not UTF-8", protocol.Message{Topic: "a\xff"}, false},
		{"payload", protocol.Message{Topic: "a", Payload: make([]byte, 128<<10+1)}, false},
		{"response topic", protocol.Message{Topic: "a", ResponseTopic: "b/#"}, false},
		{"content type", protocol.Message{Topic: "a", ContentType: "\x00"}, false},
		{"property with NUL", property("k", "\x00"), false},
		{"too many properties", property("k", strings.Repeat("v", 8<<10)), false},
	} {
		_, err := b.Admit(c.message)
		if (err == nil) != c.ok || err != nil && protocol.CodeOf(err) != protocol.InvalidRequest {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
