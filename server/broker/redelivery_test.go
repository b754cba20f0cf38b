package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

// unacknowledged leaves a kept session of client "a" that has been sent the
// payloads and has not acknowledged one.
func unacknowledged(t *testing.T, s *server, payloads ...string) (ids []uint16) {
	t.Helper()
	w, _ := come(t, s, persistent("a", 5, 600))
	w.subscribe(1, "n")
	for _, p := range payloads {
		s.Broker.Publish("n", []byte(p))
		ids = append(ids, w.wantPublish("n", p).PacketID)
	}
	w.leave(s, "a")
	return ids
}

// back connects "a" to its session again, with limits of its own.
func back(t *testing.T, s *server, receiveMaximum uint16, packetSize uint32) *wire {
	t.Helper()
	hello := persistent("a", 5, 600)
	hello.Properties.ReceiveMaximum, hello.Properties.MaximumPacketSize = receiveMaximum, packetSize
	w, ack := come(t, s, hello)
	if !ack.SessionPresent {
		t.Fatal("no session present")
	}
	return w
}

// wantAgain wants the redelivery of a message under its packet id.
func (w *wire) wantAgain(id uint16, payload string) packets.Packet {
	w.t.Helper()
	pk := w.wantPublish("n", payload)
	if pk.PacketID != id || !pk.FixedHeader.Dup {
		w.t.Errorf("%q came as packet %d, duplicate %v, want %d and true", payload, pk.PacketID, pk.FixedHeader.Dup, id)
	}
	return pk
}

// TestRedeliveryWindow: a client that comes back with a smaller receive maximum
// gets what it has not acknowledged in portions of that (MQTT-3.3.4-9), nothing
// is lost when it goes in between, and new messages follow.
func TestRedeliveryWindow(t *testing.T) {
	s := start(t, broker.Limits{})
	var payloads []string
	for i := range 10 {
		payloads = append(payloads, fmt.Sprint(i))
	}
	ids := unacknowledged(t, s, payloads...)
	w := back(t, s, 3, 0)
	for i := range 3 {
		w.wantAgain(ids[i], payloads[i])
	}
	w.wantNothing()
	w.ack(packets.Packet{PacketID: ids[9]}) // late, for the connection before
	w.wantNothing()
	w.ack(packets.Packet{PacketID: ids[0]})
	w.wantAgain(ids[3], payloads[3])
	w.wantNothing()
	w.leave(s, "a")

	w = back(t, s, 3, 0)
	s.Broker.Publish("n", []byte("new"))
	for i := 1; i < 9; i++ {
		w.ack(w.wantAgain(ids[i], payloads[i]))
	}
	pk := w.wantPublish("n", "new")
	if pk.FixedHeader.Dup {
		t.Error("a new message is marked as duplicate")
	}
	w.ack(pk)
	w.wantNothing()
}

// TestRedeliveryTooLarge: what a client has become too small for is left out,
// and does not take room in its window.
func TestRedeliveryTooLarge(t *testing.T) {
	s := start(t, broker.Limits{})
	ids := unacknowledged(t, s, strings.Repeat("x", 500), "small")
	w := back(t, s, 1, 100)
	w.ack(w.wantAgain(ids[1], "small"))
	s.Broker.Publish("n", []byte("new"))
	w.wantPublish("n", "new")
}

// TestRedeliveryIDs: a new message does not get the packet id of one that is
// still to be sent again.
func TestRedeliveryIDs(t *testing.T) {
	s := start(t, broker.Limits{})
	ids := unacknowledged(t, s, "0", "1", "2")
	w := back(t, s, 1, 0)
	w.wantAgain(ids[0], "0")
	s.Broker.Publish("n", []byte("new"))
	seen := map[uint16]bool{}
	for range 4 {
		id := ids[0]
		if len(seen) > 0 {
			id = w.receive().PacketID
		}
		if seen[id] {
			t.Errorf("packet id %d twice", id)
		}
		seen[id] = true
		w.ack(packets.Packet{PacketID: id})
	}
}

// TestOfflineQueueAndReceiveMaximum: how many messages a client takes at once
// has nothing to do with how many are kept for it.
func TestOfflineQueueAndReceiveMaximum(t *testing.T) {
	s := start(t, broker.Limits{Inflight: 5})
	hello := persistent("a", 5, 600)
	hello.Properties.ReceiveMaximum = 1
	w, _ := come(t, s, hello)
	w.subscribe(1, "n")
	s.Broker.Publish("n", []byte("0"))
	s.Broker.Publish("n", []byte("1")) // waits for room
	w.wantPublish("n", "0")
	w.leave(s, "a")
	for i := 2; i < 7; i++ {
		s.Broker.Publish("n", []byte(fmt.Sprint(i)))
	}
	w = back(t, s, 1, 0)
	for i := range 5 {
		w.ack(w.wantPublish("n", fmt.Sprint(i)))
	}
	w.wantNothing()
}
