package broker_test

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

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
