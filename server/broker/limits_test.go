package broker_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

// TestPublishLimits is every limit of a publish at its edge: what is within is
// acknowledged, what is not ends the connection; MQTT 5 is told why by
// DISCONNECT, except where the packet cannot be read at all.
func TestPublishLimits(t *testing.T) {
	const (
		refused      = 0x87
		badTopic     = 0x90
		tooLarge     = 0x95
		unreadable   = 1
		withinLimits = 0
	)
	publish := func(topic string) func(w *wire) {
		return func(w *wire) { w.publish(topic, "", 1, 1) }
	}
	payload := func(n int) func(w *wire) {
		return func(w *wire) { w.publish("a", strings.Repeat("x", n), 1, 1) }
	}
	raw := func(b ...byte) func(w *wire) {
		return func(w *wire) { _, _ = w.Write(b) }
	}
	deepest := strings.Repeat("/x", 7) // 7 slashes
	for _, c := range []struct {
		name string
		send func(w *wire)
		want byte // code of DISCONNECT
	}{
		{"payload of 128 KiB", payload(128 << 10), withinLimits},
		{"payload of 128 KiB and a byte", payload(128<<10 + 1), tooLarge},
		{"packet of 144 KiB and a byte", raw(0x30, 0x80, 0x80, 0x09), unreadable},
		{"packet of 256 MiB", raw(0x30, 0xff, 0xff, 0xff, 0x7f), unreadable},
		{"topic of 256 bytes", publish(strings.Repeat("x", 256)), withinLimits},
		{"topic of 257 bytes", publish(strings.Repeat("x", 257)), badTopic},
		{"topic of 256 bytes in fewer characters", publish(strings.Repeat("é", 128)), withinLimits},
		{"topic of 258 bytes in fewer characters", publish(strings.Repeat("é", 129)), badTopic},
		{"topic with 7 slashes", publish(deepest), withinLimits},
		{"topic with 8 slashes", publish(deepest + "/"), badTopic},
		{"basic ingest with 7 slashes behind its prefix", publish("$aws/rules/r/x" + deepest), withinLimits},
		{"basic ingest with 8 slashes behind its prefix", publish("$aws/rules/r/x" + deepest + "/"), badTopic},
		{"the deepest topic of AWS", publish("$aws/things/dev/shadow/name/s/update"), withinLimits},
		{"empty topic", publish(""), badTopic},
		{"topic with +", publish("a/+"), badTopic},
		{"topic with #", publish("a/#"), badTopic},
		{"topic with NUL", publish("a\x00"), unreadable},
		{"topic not UTF-8", publish("a\xff"), unreadable},
		{"topic of events", publish("$aws/events/presence/connected/x"), refused},
		{"topic of accepted answers", publish("$aws/things/dev/shadow/get/accepted"), refused},
		{"topic of rejected answers", publish("$aws/things/dev/shadow/get/rejected"), refused},
		{"topic of $SYS", publish("$SYS/broker/version"), refused},
		{"topic of $share", publish("$share/g/a"), refused},
		{"topic of requests", publish("$aws/things/dev/shadow/get"), withinLimits},
		{"topic of a user that ends like an answer", publish("orders/accepted"), withinLimits},
		{"topic without permission", publish("forbidden/a"), refused},
		{"QoS 2", func(w *wire) { w.publish("a", "", 2, 1) }, 0x9b},
	} {
		for _, version := range []byte{4, 5} {
			t.Run(fmt.Sprint(c.name, ", v", version), func(t *testing.T) {
				s := start(t, broker.Limits{}, except)
				w := connect(t, s.addr, "dev", version)
				c.send(w)
				if c.want == withinLimits {
					if ack := w.receive(); ack.FixedHeader.Type != packets.Puback || ack.ReasonCode != 0 {
						t.Errorf("got packet type %d, code %#x, want PUBACK", ack.FixedHeader.Type, ack.ReasonCode)
					}
					return
				}
				if version == 5 && c.want != unreadable {
					w.wantGoodbye(c.want)
				} else if got := w.wantClosed(patience); len(got) != 0 {
					t.Errorf("got %v before the end", got)
				}
				reason := broker.ClientError
				if c.want == refused {
					reason = broker.ForbiddenAccess
				}
				wantReasons(t, s, "dev", reason)
				if got := s.of("publish", ""); len(got) != 0 {
					t.Errorf("the handler got %v", got)
				}
			})
		}
	}
}

// except forbids what is below forbidden/.
func except(cfg *broker.Config) { cfg.Authorizer = forbidding{} }

type forbidding struct{}

func (forbidding) CanPublish(_ broker.Client, topic string) bool {
	return !strings.HasPrefix(topic, "forbidden/")
}

func (f forbidding) CanSubscribe(c broker.Client, filter string) bool { return f.CanPublish(c, filter) }

// TestSubscribeLimits is every limit of a subscription at its edge. MQTT 5 is
// told why, MQTT 3.1.1 sees 0x80.
func TestSubscribeLimits(t *testing.T) {
	const invalid, shared, denied, quota = 0x8f, 0x9e, 0x87, 0x97
	for _, c := range []struct {
		name    string
		filters []string
		want    []byte
	}{
		{"wildcards", []string{"a/+/b", "a/#", "#", "+", "+/a"}, []byte{1, 1, 1, 1, 1}},
		{"reserved", []string{"$aws/things/dev/#", "$aws/events/#"}, []byte{1, 1}},
		{"badly formed", []string{"a+", "a/b#", "#/a", "a/#/b", "+a/b", ""}, []byte{invalid, invalid, invalid, invalid, invalid, invalid}},
		{"shared", []string{"$share/g/a", "$SHARE/g/a", "$ShArE/g/a", "$share/g"}, []byte{shared, shared, shared, shared}},
		{"$ trees of others", []string{"$SYS/#", "$SYS", "$share", "$aws"}, []byte{denied, denied, denied, denied}},
		{"256 and 257 bytes", []string{strings.Repeat("x", 256), strings.Repeat("x", 257)}, []byte{1, invalid}},
		{"7 and 8 slashes", []string{strings.Repeat("x/", 7), strings.Repeat("x/", 8)}, []byte{1, invalid}},
		{"8 and 9 in a packet", strings.Split("abcdefghi", ""), []byte{1, 1, 1, 1, 1, 1, 1, 1, quota}},
		{"without permission", []string{"a", "forbidden/a"}, []byte{1, denied}},
		{"the same twice", []string{"a", "a"}, []byte{1, 1}},
	} {
		for _, version := range []byte{4, 5} {
			t.Run(fmt.Sprint(c.name, ", v", version), func(t *testing.T) {
				s := start(t, broker.Limits{}, except)
				w := connect(t, s.addr, "dev", version)
				want := bytes.Clone(c.want)
				for i := range want {
					if version == 4 && want[i] > 1 {
						want[i] = 0x80
					}
				}
				if got := w.subscribe(2, c.filters...); !bytes.Equal(got, want) {
					t.Errorf("SUBACK %#x, want %#x (QoS 2 is granted as 1)", got, want)
				}
			})
		}
	}
}

// TestSubscriptionsOfAConnection: 50 are granted, in packets of any size, and
// one that is given up makes room.
func TestSubscriptionsOfAConnection(t *testing.T) {
	for version, refused := range map[byte]byte{4: 0x80, 5: 0x97} {
		s := start(t, broker.Limits{})
		w := connect(t, s.addr, "dev", version)
		var filters []string
		for i := range 52 {
			filters = append(filters, fmt.Sprint("f", i))
		}
		for i := 0; i < 48; i += 6 {
			if got := w.subscribe(1, filters[i:i+6]...); !bytes.Equal(got, []byte{1, 1, 1, 1, 1, 1}) {
				t.Fatalf("v%d: SUBACK %#x", version, got)
			}
		}
		again := append(append([]string{}, filters[48:]...), "f0")
		if got, want := w.subscribe(1, again...), []byte{1, 1, refused, refused, 1}; !bytes.Equal(got, want) {
			t.Errorf("v%d: SUBACK %#x, want %#x", version, got, want)
		}
		w.unsubscribe("f0")
		if got, want := w.subscribe(1, "f50", "f51"), []byte{1, refused}; !bytes.Equal(got, want) {
			t.Errorf("v%d: SUBACK %#x, want %#x", version, got, want)
		}
	}
}

// TestClientIDLimits: 1 to 128 bytes, no $ in front.
func TestClientIDLimits(t *testing.T) {
	for _, c := range []struct {
		name, id string
		ok       bool
	}{
		{"1 byte", "a", true},
		{"128 bytes", strings.Repeat("x", 128), true},
		{"129 bytes", strings.Repeat("x", 129), false},
		{"128 bytes in fewer characters", strings.Repeat("é", 64), true},
		{"130 bytes in fewer characters", strings.Repeat("é", 65), false},
		{"$ in front", "$a", false},
		{"$ inside", "a$", true},
		{"wildcards and spaces", "a #+/", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for version, refused := range map[byte]byte{4: 2, 5: 0x85} {
				s := start(t, broker.Limits{})
				want := refused
				if c.ok {
					want = 0
				}
				if ack := dial(t, s.addr).try(connectPacket(c.id, version)); ack.ReasonCode != want {
					t.Errorf("v%d: CONNACK %#x, want %#x", version, ack.ReasonCode, want)
				}
			}
		})
	}
}

func TestKeepAliveClamp(t *testing.T) {
	s := start(t, broker.Limits{})
	for asked, want := range map[uint16]uint16{0: 1200, 1: 30, 29: 30, 30: 30, 300: 300, 1200: 1200, 1201: 1200, 65535: 1200} {
		pk := connectPacket("dev", 5)
		pk.Connect.Keepalive = asked
		ack := dial(t, s.addr).hello(pk)
		if !ack.Properties.ServerKeepAliveFlag || ack.Properties.ServerKeepAlive != want {
			t.Errorf("keep-alive %d: server says %d, want %d", asked, ack.Properties.ServerKeepAlive, want)
		}
	}
}

// TestInflight: 100 messages to a client may wait for PUBACK, whatever more it
// would take; messages from it are done one by one, so more are never open.
func TestInflight(t *testing.T) {
	for _, receiveMaximum := range []uint16{0, 99, 100, 101, 65535} {
		s := start(t, broker.Limits{})
		hello := connectPacket("dev", 5)
		hello.Properties.ReceiveMaximum = receiveMaximum
		w := dial(t, s.addr)
		w.hello(hello)
		w.subscribe(1, "n")
		for i := range 102 {
			s.Publish("n", []byte(fmt.Sprint(i)))
		}
		want := 100
		if receiveMaximum == 99 {
			want = 99
		}
		for i := range want {
			w.wantPublish("n", fmt.Sprint(i))
		}
		w.wantNothing()
	}
}

// TestBadLimits: what the broker cannot do is refused when it is made.
func TestBadLimits(t *testing.T) {
	for name, limits := range map[string]broker.Limits{
		"Inflight":       {Inflight: 65536},
		"TopicAliases":   {TopicAliases: 65536},
		"MessageExpiry":  {MessageExpiry: 1},
		"PacketBytes":    {PacketBytes: -1},
		"SessionExpiry":  {SessionExpiry: -1},
		"keep-alive":     {MaxKeepAlive: 1},
		"keep-alive max": {MaxKeepAlive: 50_000e9},
	} {
		if _, err := broker.New(broker.Config{Limits: limits}); err == nil {
			t.Errorf("limit %s is accepted", name)
		}
	}
}
