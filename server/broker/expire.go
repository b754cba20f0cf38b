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
		b.schedule(s.client.ID)
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

// sendLeftWills sends the wills that still wait for their time, until the
// broker's context ends: no session outlives the process.
func (b *Broker) sendLeftWills() {
	b.mu.Lock()
	left := b.wills
	b.wills = map[string]delayedWill{}
	b.mu.Unlock()
	for _, dead := range left {
		if b.ctx.Err() != nil {
			return
		}
		b.publishWill(b.ctx, dead.will)
	}
}

// expireLoop ends persistent sessions and sends delayed wills when their time
// has come.
func (b *Broker) expireLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var comes <-chan time.Time
		b.mu.RLock()
		_, at, ok := b.due.first()
		b.mu.RUnlock()
		if ok {
			timer.Reset(time.Until(at))
			comes = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-b.earlier:
		case now := <-comes:
			b.expireDue(ctx, now)
		}
	}
}

// schedule notes when something is due for a client id next; mu is held.
func (b *Broker) schedule(id string) {
	at := b.offline[id]
	if w, ok := b.wills[id]; ok && (at.IsZero() || w.due.Before(at)) {
		at = w.due
	}
	b.due.set(id, at)
	if first, _, _ := b.due.first(); first == id {
		select {
		case b.earlier <- struct{}{}:
		default: // expireLoop will look anyway
		}
	}
}

// expireDue does everything that is due.
func (b *Broker) expireDue(ctx context.Context, now time.Time) {
	for {
		b.mu.Lock()
		id, at, ok := b.due.first()
		if !ok || at.After(now) {
			b.mu.Unlock()
			return
		}
		w, died := b.wills[id]
		if died = died && !w.due.After(now); died {
			delete(b.wills, id)
			b.schedule(id)
		} else {
			b.due.set(id, now.Add(time.Second)) // to try again, if it is just changing hands
		}
		b.mu.Unlock()
		if died {
			b.publishWill(ctx, w.will)
		} else {
			b.expire(id, now)
		}
	}
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
