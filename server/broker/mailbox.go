package broker

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// mailbox holds the messages on their way to one client: QoS 1 messages that
// are not acknowledged, those that wait for room in the window, and whatever
// comes before CONNACK is sent. It keeps their order, never drops a message of
// a connected client (the connection ends instead), and outlives the
// connection of a persistent session: without one it takes as many messages
// as the widest window holds, and nothing should depend on them.
//
// mochi's own list of messages in flight is not used: it mixes the packet ids
// of both directions and so refuses subscriptions, and it can deadlock.
type mailbox struct {
	window     int    // messages that may be unacknowledged
	queue      int    // messages that are kept without a connection
	limit      int    // bytes that may be held
	totalLimit int64  // of all connections; above it only crowdedQueue may be held
	overflow   func() // ends the connection; called with mu held
	total      *atomic.Int64

	mu      sync.Mutex
	gone    bool                       // nobody will read it
	write   func(packets.Packet) error // nil while there is no connection
	offline bool                       // has had a connection and has none
	lastID  uint16
	unacked []packets.Packet
	waiting []packets.Packet // first those to be sent again, which have a packet id
	bytes   int              // of unacked and waiting
}

const (
	messageOverhead  = 512 // what a held message costs beside its bytes
	propertyOverhead = 32  // what a user property costs beside its bytes
)

func (b *Broker) newMailbox(window int, overflow func()) *mailbox {
	return &mailbox{
		window:     window,
		queue:      b.limits.Inflight,
		limit:      b.limits.QueueBytes,
		totalLimit: int64(b.limits.TotalQueueBytes),
		overflow:   overflow,
		total:      &b.queued,
	}
}

func size(pk packets.Packet) int {
	p := pk.Properties
	n := len(pk.TopicName) + len(pk.Payload) + messageOverhead +
		len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for _, user := range p.User {
		n += len(user.Key) + len(user.Val) + propertyOverhead
	}
	return n
}

// full reports whether the mailbox cannot hold pk, too.
func (m *mailbox) full(pk packets.Packet) bool {
	held := m.bytes + size(pk)
	return held > m.limit || held > crowdedQueue && m.total.Load() > m.totalLimit
}

func (m *mailbox) count(n int) {
	m.bytes += n
	m.total.Add(int64(n))
}

// discard empties the mailbox for good.
func (m *mailbox) discard() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gone, m.unacked, m.waiting = true, nil, nil
	m.count(-m.bytes)
}

// deliver sends a message, or holds it until it can be sent.
func (m *mailbox) deliver(pk packets.Packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.gone:
	case m.offline:
		if pk.FixedHeader.Qos > 0 && len(m.unacked)+len(m.waiting) < m.queue && !m.full(pk) {
			m.hold(pk)
		}
	case m.write != nil && pk.FixedHeader.Qos == 0:
		_ = m.write(pk) // a failed write ends the connection by itself
	case m.full(pk):
		m.overflow()
	default:
		m.hold(pk)
		m.pump()
	}
}

func (m *mailbox) hold(pk packets.Packet) {
	m.waiting = append(m.waiting, pk)
	m.count(size(pk))
}

// pump sends waiting messages while the window has room.
func (m *mailbox) pump() {
	for m.write != nil && len(m.waiting) > 0 {
		pk := m.waiting[0]
		qos1 := pk.FixedHeader.Qos > 0
		if qos1 && len(m.unacked) >= m.window {
			return
		}
		m.waiting[0] = packets.Packet{}
		if m.waiting = m.waiting[1:]; len(m.waiting) == 0 {
			m.waiting = nil
		}
		m.count(-size(pk))
		first := pk.PacketID == 0
		if first && expired(pk, time.Now()) {
			continue
		}
		if qos1 {
			if first {
				pk.PacketID = m.nextID()
			}
			m.unacked = append(m.unacked, pk)
			m.count(size(pk))
		}
		if err := m.write(pk); errors.Is(err, packets.ErrPacketTooLarge) && qos1 {
			m.remove(len(m.unacked) - 1) // for this client: it will never take it
		}
	}
}

// expired reports whether the sender of a message set a time that has passed.
func expired(pk packets.Packet, now time.Time) bool {
	return pk.Expiry > 0 && pk.Expiry < now.Unix()
}

// nextID finds a packet id that is not in flight; there are far more ids than
// messages in flight.
func (m *mailbox) nextID() uint16 {
	for {
		m.lastID++
		if m.lastID != 0 && m.find(m.lastID) < 0 && m.findAgain(m.lastID) < 0 {
			return m.lastID
		}
	}
}

func (m *mailbox) find(id uint16) int {
	for i := range m.unacked {
		if m.unacked[i].PacketID == id {
			return i
		}
	}
	return -1
}

// findAgain is find among the messages that are still to be sent again.
func (m *mailbox) findAgain(id uint16) int {
	for i := range m.waiting {
		switch m.waiting[i].PacketID {
		case id:
			return i
		case 0:
			return -1
		}
	}
	return -1
}

func (m *mailbox) remove(i int) {
	m.count(-size(m.unacked[i]))
	m.unacked = append(m.unacked[:i], m.unacked[i+1:]...)
	if len(m.unacked) == 0 {
		m.unacked = nil
	}
}

// acked notes a PUBACK.
func (m *mailbox) acked(id uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.find(id); i >= 0 {
		m.remove(i)
		m.pump()
	} else if i := m.findAgain(id); i >= 0 { // late, for an earlier connection
		m.count(-size(m.waiting[i]))
		m.waiting = slices.Delete(m.waiting, i, i+1)
	}
}

// inherit takes over what a mailbox without connection holds, in front of what
// this one holds already.
func (m *mailbox) inherit(old *mailbox) {
	old.mu.Lock()
	lastID, unacked, waiting, bytes := old.lastID, old.unacked, old.waiting, old.bytes
	old.gone, old.unacked, old.waiting, old.bytes = true, nil, nil, 0
	old.mu.Unlock()

	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastID = lastID
	m.unacked = unacked
	m.waiting = append(waiting, m.waiting...)
	m.bytes += bytes // which the total holds already
}

// attach connects the mailbox: unacknowledged messages are sent again, then
// those that wait, as far as the window has room. It may be smaller than that of
// the connection before.
func (m *mailbox) attach(write func(packets.Packet) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.write = write
	for i := range m.unacked {
		m.unacked[i].FixedHeader.Dup = true
	}
	m.waiting, m.unacked = append(m.unacked, m.waiting...), nil
	m.pump()
}

// detach ends the connection of the mailbox; only QoS 1 messages stay, of those
// that were never sent as many as the queue has room for.
func (m *mailbox) detach() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.write, m.offline = nil, true
	kept := m.waiting[:0]
	for _, pk := range m.waiting {
		if pk.PacketID != 0 || pk.FixedHeader.Qos > 0 && len(m.unacked)+len(kept) < m.queue {
			kept = append(kept, pk)
		} else {
			m.count(-size(pk))
		}
	}
	clear(m.waiting[len(kept):])
	m.waiting = kept
}
