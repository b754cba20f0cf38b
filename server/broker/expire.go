package broker

import (
	"context"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// will is the message that a client leaves for the case of its death.
type will struct {
	packet packets.Packet
	delay  time.Duration
}

type delayedWill struct {
	packet packets.Packet
	due    time.Time
}

// newWill takes the will out of a CONNECT packet. It is checked like a publish
// now, for there is nobody to tell later. Wills on $ topics are ignored, as
// on AWS.
func (b *Broker) newWill(c Client, pk packets.Packet) (*will, packets.Code) {
	p := pk.Connect
	switch {
	case !p.WillFlag:
		return nil, packets.CodeSuccess
	case !b.limits.validTopic(p.WillTopic):
		return nil, packets.ErrTopicNameInvalid
	case len(p.WillPayload) > b.limits.PayloadBytes:
		return nil, packets.ErrPacketTooLarge
	case strings.HasPrefix(p.WillTopic, "$"):
		return nil, packets.CodeSuccess
	case !b.auth.CanPublish(c, p.WillTopic):
		return nil, packets.ErrNotAuthorized
	}
	w := &will{
		packet: message(p.WillTopic, p.WillPayload, min(p.WillQos, 1)),
		delay:  time.Duration(p.WillProperties.WillDelayInterval) * time.Second,
	}
	w.packet.Origin = c.ID
	w.packet.Properties = p.WillProperties.Copy(false)
	return w, packets.CodeSuccess
}

// sendWill sends the will of a session that has ended, now or, for a session
// that is kept, after the delay that the client asked for.
func (b *Broker) sendWill(s *session, kept bool) {
	w := s.will
	if w == nil || !s.established {
		return
	}
	w.packet.Created = time.Now().Unix()
	if !kept || w.delay == 0 {
		b.fanOut(w.packet)
		return
	}
	due := time.Now().Add(min(w.delay, b.expiry(s)))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current[s.client.ID] == nil { // else it is back already
		b.wills[s.client.ID] = delayedWill{w.packet, due}
	}
}

// expireLoop ends persistent sessions and sends delayed wills when their time
// has come, to the second.
func (b *Broker) expireLoop(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			for _, pk := range b.dueWills(now) {
				b.fanOut(pk)
			}
			for _, id := range b.overdue(now) {
				b.expire(id, now)
			}
		}
	}
}

func (b *Broker) dueWills(now time.Time) []packets.Packet {
	b.mu.Lock()
	defer b.mu.Unlock()
	var due []packets.Packet
	for id, w := range b.wills {
		if !w.due.After(now) {
			due = append(due, w.packet)
			delete(b.wills, id)
		}
	}
	return due
}

func (b *Broker) overdue(now time.Time) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var ids []string
	for id, expiry := range b.offline {
		if !expiry.After(now) {
			ids = append(ids, id)
		}
	}
	return ids
}

// expire ends a persistent session: its subscriptions leave the topic tree,
// which mochi would forget. A client that is just coming back keeps it.
func (b *Broker) expire(id string, now time.Time) {
	release, busy := b.tryClaim(id)
	if busy != nil {
		return
	}
	defer release()
	b.mu.Lock()
	expiry, offline := b.offline[id]
	if !offline || expiry.After(now) {
		b.mu.Unlock()
		return
	}
	box := b.boxes[id]
	delete(b.offline, id)
	delete(b.boxes, id)
	b.mu.Unlock()
	box.discard()
	if cl, ok := b.mqtt.Clients.Get(id); ok {
		b.forget(cl)
	}
}
