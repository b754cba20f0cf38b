package broker_test

import (
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

// helloBytes is a CONNECT packet of client id "a", byte by byte: what no
// well-behaved encoder makes.
func helloBytes(version, flags byte, properties, rest string) []byte {
	body := "\x00\x04MQTT" + string([]byte{version, flags, 0, 60})
	if version == 5 {
		body += string([]byte{byte(len(properties))}) + properties
	}
	body += "\x00\x01a" + rest
	return append([]byte{0x10, byte(len(body))}, body...)
}

// TestBreachOfConnect: CONNECT packets that mochi would accept and MQTT forbids,
// each beside the nearest that is fine.
func TestBreachOfConnect(t *testing.T) {
	const refused3, refused5 = 5, 0x82
	for _, c := range []struct {
		name  string
		hello []byte
		want  byte
	}{
		{"a will's QoS without will", helloBytes(4, 2|1<<3, "", ""), refused3},
		{"the same, MQTT 5", helloBytes(5, 2|1<<3, "", ""), refused5},
		{"a will's QoS with will", helloBytes(4, 2|4|1<<3, "", "\x00\x01w\x00\x01x"), 0},
		{"a password without user name", helloBytes(4, 2|0x40, "", "\x00\x01p"), refused3},
		{"the same, MQTT 5", helloBytes(5, 2|0x40, "", "\x00\x01p"), 0},
		{"a password with user name", helloBytes(4, 2|0xc0, "", "\x00\x01u\x00\x01p"), 0},
		{"authentication data without method", helloBytes(5, 2, "\x16\x00\x01x", ""), refused5},
		{"request problem information 2", helloBytes(5, 2, "\x17\x02", ""), refused5},
		{"request problem information 1", helloBytes(5, 2, "\x17\x01", ""), 0},
		{"request response information 2", helloBytes(5, 2, "\x19\x02", ""), refused5},
		{"request response information 1", helloBytes(5, 2, "\x19\x01", ""), 0},
		{"a will's response topic with wildcard", helloBytes(5, 2|4, "", "\x06\x08\x00\x03r/#\x00\x01w\x00\x01x"), refused5},
		{"a will's response topic", helloBytes(5, 2|4, "", "\x06\x08\x00\x03r/a\x00\x01w\x00\x01x"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, broker.Limits{})
			w := dial(t, s.addr)
			w.version = c.hello[8]
			w.raw(c.hello)
			if ack := w.receive(); ack.FixedHeader.Type != packets.Connack || ack.ReasonCode != c.want {
				t.Fatalf("packet type %d, code %#x, want CONNACK %#x", ack.FixedHeader.Type, ack.ReasonCode, c.want)
			}
			if c.want != 0 {
				w.wantClosed(patience)
			}
		})
	}
}

// TestBreachOfProtocol5: packets of an MQTT 5 session that mochi would accept
// and MQTT forbids end it.
func TestBreachOfProtocol5(t *testing.T) {
	for name, packet := range map[string]string{
		"subscription identifier 0":       "\x82\x09\x00\x01\x02\x0b\x00\x00\x01n\x00",
		"two subscription identifiers":    "\x82\x0b\x00\x01\x04\x0b\x01\x0b\x02\x00\x01n\x00",
		"retain handling 3":               "\x82\x07\x00\x01\x00\x00\x01n\x30",
		"a response topic with wildcard":  "\x30\x0a\x00\x01n\x06\x08\x00\x03r/#",
		"a response topic with wildcard+": "\x30\x0a\x00\x01n\x06\x08\x00\x03r/+",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, broker.Limits{})
			w := connect(t, s.addr, "a", 5)
			w.raw([]byte(packet))
			w.wantGoodbye(packets.ErrProtocolViolation.Code)
			wantReasons(t, s, "a", broker.ClientError)
		})
	}
}
