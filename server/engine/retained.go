package engine

import (
	"cmp"
	"strings"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/store"
)

// RetainedLimits bound the retained messages of a fleet. A zero field means
// the default named beside it.
type RetainedLimits struct {
	Messages int   // 500,000 (AWS)
	Bytes    int64 // 1 GiB of topics, payloads and properties; they are held in memory
}

func (l RetainedLimits) withDefaults() RetainedLimits {
	return RetainedLimits{Messages: cmp.Or(l.Messages, 500_000), Bytes: cmp.Or(l.Bytes, 1<<30)}
}

// Retained is the retained message of a topic.
type Retained struct {
	protocol.Message
	// CreatedAt is when the topic got its first message since it had none,
	// ModifiedAt when it got this one.
	CreatedAt  time.Time `json:"createdAt"`
	ModifiedAt time.Time `json:"modifiedAt"`
}

// retainedMessages are the retained messages by topic. The zero value has none.
type retainedMessages struct {
	byTopic map[string]*retainedEntry
	order   order[string]
	bytes   int64
}

type retainedEntry struct {
	Retained
	armed time.Time // when its timer fires; zero without one
}

func (r *retainedMessages) put(e *retainedEntry) {
	if r.byTopic == nil {
		r.byTopic = map[string]*retainedEntry{}
	}
	r.remove(e.Topic)
	r.byTopic[e.Topic] = e
	r.order.insert(e.CreatedAt, e.Topic)
	r.bytes += int64(e.Size())
}

func (r *retainedMessages) remove(topic string) (had bool) {
	e := r.byTopic[topic]
	if e == nil {
		return false
	}
	delete(r.byTopic, topic)
	r.order.remove(e.CreatedAt, topic)
	r.bytes -= int64(e.Size())
	return true
}

// live returns the retained message of a topic, or nil.
func (r *retainedMessages) live(topic string, now time.Time) *Retained {
	if e := r.byTopic[topic]; e != nil && !e.Expired(now) {
		return &e.Retained
	}
	return nil
}

// Retain keeps a message as the retained message of its topic, or, with an
// empty payload, clears that; and sends it to the topic's subscribers (AWS IoT
// reference 10.5). A message over the limits is refused with LimitExceeded.
type Retain struct{ Message protocol.Message }

func (in Retain) step(t *tx) (struct{}, error) {
	m := in.Message
	m.Retain = true
	if strings.HasPrefix(m.Topic, "$") {
		return struct{}{}, protocol.Errorf(protocol.InvalidRequest, "topic %q is reserved: it can have no retained message", m.Topic)
	}
	if len(m.Payload) == 0 || m.Expired(t.now) {
		t.clearRetained(m.Topic)
	} else if err := t.retain(m); err != nil {
		return struct{}{}, err
	}
	t.effects = append(t.effects, effect{message: &m})
	return struct{}{}, nil
}

func (t *tx) retain(m protocol.Message) error {
	e := &retainedEntry{Retained: Retained{Message: m, CreatedAt: t.now, ModifiedAt: t.now}}
	limits, growth := t.cfg.RetainedLimits, int64(m.Size())
	before := t.retained.byTopic[m.Topic]
	if before != nil {
		e.CreatedAt, e.armed = before.CreatedAt, before.armed
		growth -= int64(before.Size())
	}
	switch {
	case before == nil && len(t.retained.byTopic) >= limits.Messages:
		return protocol.Errorf(protocol.LimitExceeded,
			"topic %q cannot have a retained message: there are %d already, which is the limit; clear others with an empty retained message", m.Topic, limits.Messages)
	case growth > 0 && t.retained.bytes+growth > limits.Bytes:
		return protocol.Errorf(protocol.LimitExceeded,
			"topic %q cannot have this retained message: all together would take more than %d bytes; clear others with an empty retained message", m.Topic, limits.Bytes)
	}
	t.retained.put(e)
	t.armRetained(e)
	t.put(protocol.GlobalShard, kindRetained, m.Topic, e.Retained)
	return nil
}

func (t *tx) clearRetained(topic string) {
	if t.retained.remove(topic) {
		t.del(protocol.GlobalShard, kindRetained, topic)
	}
}

// armRetained sets a timer for the expiry of a message, unless one is set that
// fires no later: a topic has one timer, however often it is published to.
func (s *state) armRetained(e *retainedEntry) {
	if e.Expires.IsZero() || !e.armed.IsZero() && !e.armed.After(e.Expires) {
		return
	}
	e.armed = e.Expires
	s.timers.add(timer{at: e.Expires, kind: timerRetained, topic: e.Topic})
}

// expireRetained forgets a message whose time has passed, or waits on for a
// later one of the same topic.
func (t *tx) expireRetained(due timer) {
	e := t.retained.byTopic[due.topic]
	switch {
	case e == nil:
	case e.Expired(t.now):
		t.clearRetained(due.topic)
	case e.armed.Equal(due.at):
		e.armed = time.Time{}
		t.armRetained(e)
	}
}

func (l *loader) retainedRow(r store.Row) error {
	return decode(r, func(m Retained) {
		e := &retainedEntry{Retained: m}
		l.retained.put(e)
		l.armRetained(e)
	})
}

// Retained returns the retained message of a topic, or a NotFound.
func (v *View) Retained(topic string) (Retained, error) {
	if m := v.t.retained.live(topic, v.t.now); m != nil {
		return *m, nil
	}
	return Retained{}, protocol.Errorf(protocol.NotFound, "topic %q has no retained message", topic)
}

// RetainedMessages lists the retained messages in the order in which their
// topics got one (rule 26).
func (v *View) RetainedMessages(p Page) ([]Retained, string, error) {
	return list(&v.t.retained.order, p, func(topic string) (Retained, bool) {
		m := v.t.retained.live(topic, v.t.now)
		if m == nil {
			return Retained{}, false
		}
		return *m, true
	})
}
