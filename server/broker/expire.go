package broker

import (
	"context"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/protocol"
)

// will is the message that a client leaves for the case of its death.
type will struct {
	client  Client
	message protocol.Message
	delay   time.Duration
	expiry  uint32 // of the message, in seconds from when it is sent; 0 is none
}

type delayedWill struct {
	will *will
	due  time.Time
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
		client:  c,
		message: messageOf(c, p.WillTopic, p.WillPayload, &p.WillProperties),
		delay:   time.Duration(p.WillProperties.WillDelayInterval) * time.Second,
		expiry:  p.WillProperties.MessageExpiryInterval,
	}
	w.message.QoS, w.message.Retain = min(p.WillQos, 1), p.WillRetain
	return w, packets.CodeSuccess
}

// sendWill sends the will of a session that has ended, now or, for a session
// that is kept, after the delay that the client asked for.
func (b *Broker) sendWill(s *session, kept bool) {
	w := s.will
	if w == nil || !s.established || s.keepWillBack.Load() {
		return
	}
	if !kept || w.delay == 0 {
		b.publishWill(b.ctx, w)
		return
	}
	due := time.Now().Add(min(w.delay, b.expiry(s)))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current[s.client.ID] == nil { // else it is back already
		b.wills[s.client.ID] = delayedWill{w, due}
	}
}

// publishWill hands a will to the handler and the subscribers, as a publish of
// its client.
func (b *Broker) publishWill(ctx context.Context, w *will) {
	defer func() {
		if v := recover(); v != nil {
			b.log.Error("panic while a will was published", "client", w.client.ID, "panic", v)
		}
	}()
	m := w.message
	m.Expires = b.limits.expires(w.expiry, time.Now())
	handled, err := b.handler.Publish(ctx, w.client, m)
	switch {
	case err != nil:
		b.log.Warn("cannot publish a will", "client", w.client.ID, "topic", m.Topic, "error", err)
	case !handled:
		b.fanOut(m)
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
			for _, w := range b.dueWills(now) {
				b.publishWill(ctx, w)
			}
			for _, id := range b.overdue(now) {
				b.expire(id, now)
			}
		}
	}
}

func (b *Broker) dueWills(now time.Time) []*will {
	b.mu.Lock()
	defer b.mu.Unlock()
	var due []*will
	for id, w := range b.wills {
		if !w.due.After(now) {
			due = append(due, w.will)
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
	b.mu.RLock()
	expiry, offline := b.offline[id]
	b.mu.RUnlock()
	if offline && !expiry.After(now) { // and it stays so: the id is claimed
		b.endOffline(id, false)
	}
}
