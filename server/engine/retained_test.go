package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/mem"
)

func retain(topic, payload string) engine.Retain {
	return engine.Retain{Message: protocol.Message{Topic: topic, Payload: []byte(payload), QoS: 1}}
}

// retained are the topics that have a retained message, with it.
func (f *fleet) retained() []string {
	f.Helper()
	got := []string{}
	f.read(func(v *engine.View) {
		all, _, err := v.RetainedMessages(engine.Page{Max: 1000})
		if err != nil {
			f.Error(err)
		}
		for _, m := range all {
			one, err := v.Retained(m.Topic)
			if err != nil || string(one.Payload) != string(m.Payload) {
				f.Errorf("%s: %q, %v", m.Topic, one.Payload, err)
			}
			got = append(got, m.Topic+"="+string(m.Payload))
		}
	})
	return got
}

func (f *fleet) wantRetained(want ...string) {
	f.Helper()
	if got := f.retained(); !slices.Equal(got, want) {
		f.Errorf("retained %q, want %q", got, want)
	}
}

// TestRetained: the last message of a topic stays, an empty one clears it, all
// of them reach subscribers, and a restart forgets nothing.
func TestRetained(t *testing.T) {
	s := mem.New()
	f := start(t, s, rules.Safe())
	do(f, retain("b", "1"))
	do(f, retain("a", "1"))
	do(f, retain("gone", "1"))
	do(f, retain("b", "2"))
	do(f, retain("gone", ""))
	do(f, retain("never", ""))
	f.wantRetained("b=2", "a=1") // in the order in which the topics got one
	want := []sent{{"b", "1", 0}, {"a", "1", 0}, {"gone", "1", 0}, {"b", "2", 0}, {"gone", "", 0}, {"never", "", 0}}
	if got := f.wire.take(); !slices.Equal(got, want) {
		t.Errorf("sent %+v", got)
	}
	refused(f, retain("$aws/things/dev1/shadow/update", "{}"), protocol.InvalidRequest)
	full := protocol.Message{
		Topic: "a", Payload: []byte{0, 0xff}, QoS: 1, Origin: "dev1", Expires: time.Now().Add(time.Hour).Round(0),
		UTF8: true, ContentType: "t", ResponseTopic: "r", CorrelationData: []byte{1},
		UserProperties: []protocol.UserProperty{{Key: "k", Value: "1"}, {Key: "k", Value: "2"}},
	}
	do(f, engine.Retain{Message: full})
	before := f.messages()
	f.stop()
	f = start(t, s, rules.Safe())
	if after := f.messages(); after != before || !strings.Contains(after, `"contentType":"t"`) {
		t.Errorf("before the restart %s\nafter %s", before, after)
	}
	do(f, retain("b", ""))
	f.stop()
	f = start(t, s, rules.Safe())
	f.wantRetained("a=\x00\xff")
}

// messages is all that is known of the retained messages.
func (f *fleet) messages() (text string) {
	f.Helper()
	f.read(func(v *engine.View) {
		all, _, _ := v.RetainedMessages(engine.Page{Max: 1000})
		b, err := json.Marshal(all)
		if err != nil {
			f.Error(err)
		}
		text = string(b)
	})
	return text
}

func TestRetainedPages(t *testing.T) {
	f := start(t, nil, rules.Safe())
	for i := range 7 {
		do(f, retain(fmt.Sprint("t/", i), "x"))
	}
	var got []string
	for after := ""; ; {
		var found []engine.Retained
		var next string
		f.read(func(v *engine.View) {
			var err error
			if found, next, err = v.RetainedMessages(engine.Page{After: after, Max: 3}); err != nil {
				f.Error(err)
			}
		})
		for _, m := range found {
			got = append(got, m.Topic)
		}
		if after = next; after == "" || t.Failed() {
			break
		}
	}
	if want := []string{"t/0", "t/1", "t/2", "t/3", "t/4", "t/5", "t/6"}; !slices.Equal(got, want) {
		t.Errorf("paged %q", got)
	}
}

// limited starts an engine with limits for retained messages.
func limited(t *testing.T, l engine.RetainedLimits) *fleet {
	t.Helper()
	f := &fleet{T: t, wire: &wire{}, store: mem.New()}
	var err error
	f.engine, err = engine.New(engine.Config{Store: f.store, Gateway: f.wire, Rules: rules.Safe(), RetainedLimits: l, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.engine.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestRetainedLimits(t *testing.T) {
	f := limited(t, engine.RetainedLimits{Messages: 2})
	do(f, retain("a", "1"))
	do(f, retain("b", "1"))
	refused(f, retain("c", "1"), protocol.LimitExceeded)
	do(f, retain("a", "22"))
	do(f, retain("c", "")) // clears nothing and needs no room
	do(f, retain("b", ""))
	do(f, retain("c", "1"))
	f.wantRetained("a=22", "c=1")

	f = limited(t, engine.RetainedLimits{Bytes: 10})
	do(f, retain("a", "1234"))
	do(f, retain("b", "1234"))
	f.wire.take()
	refused(f, retain("a", "12345"), protocol.LimitExceeded)
	refused(f, retain("c", "1"), protocol.LimitExceeded)
	if got := f.wire.take(); len(got) > 0 {
		t.Errorf("a refused message was sent: %+v", got)
	}
	do(f, retain("a", "123"))
	refused(f, retain("b", "123456"), protocol.LimitExceeded)
	do(f, retain("b", "12345"))
	f.wantRetained("a=123", "b=12345")
}

// TestRetainedExpiry: a message is gone when its time has passed, also from
// the store, and a later message of the topic has its own time.
func TestRetainedExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		f := start(t, s, rules.Safe())
		in := func(topic, payload string, d time.Duration) {
			m := retain(topic, payload)
			m.Message.Expires = time.Now().Add(d)
			do(f, m)
		}
		in("short", "1", 10*time.Second)
		in("longer", "1", 10*time.Second)
		in("longer", "2", 20*time.Second)
		in("for ever", "1", 10*time.Second)
		do(f, retain("for ever", "2"))
		in("shorter", "1", 20*time.Second)
		in("shorter", "2", 10*time.Second)
		in("past", "1", -time.Second)
		in("after a restart", "1", 30*time.Second)
		<-time.After(10 * time.Second)
		f.wantRetained("after a restart=1", "for ever=2", "longer=2") // all made at one time: by name
		synctest.Wait()
		if got := rows(t, s, "retained"); !slices.Equal(got, []string{"after a restart", "for ever", "longer"}) {
			t.Errorf("stored %q", got)
		}
		<-time.After(10 * time.Second)
		f.wantRetained("after a restart=1", "for ever=2")
		synctest.Wait()
		if got := rows(t, s, "retained"); !slices.Equal(got, []string{"after a restart", "for ever"}) {
			t.Errorf("stored %q", got)
		}
		f.stop()
		f = start(t, s, rules.Safe())
		<-time.After(10 * time.Second)
		f.wantRetained("for ever=2")
		synctest.Wait()
		if got := rows(t, s, "retained"); !slices.Equal(got, []string{"for ever"}) {
			t.Errorf("stored %q", got)
		}
		f.stop()
	})
}

// rows lists the keys of a kind in a store.
func rows(t *testing.T, s store.Store, kind store.Kind) (keys []string) {
	t.Helper()
	err := s.Load(context.Background(), func(r store.Row) error {
		if r.Kind == kind {
			keys = append(keys, r.Key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

// TestRetainedNotStored: a message that is not durable is not acknowledged, not
// sent, and not there for new subscribers.
func TestRetainedNotStored(t *testing.T) {
	s := &faulty{Store: mem.New()}
	f := start(t, s, rules.Safe())
	do(f, retain("a", "1"))
	f.wire.take()
	broken := errors.New("disk full")
	s.fail.Store(&broken)
	refused(f, retain("a", "2"), protocol.Unavailable)
	if got := f.wire.take(); len(got) > 0 {
		t.Errorf("sent without commit: %+v", got)
	}
	s.fail.Store(nil)
	f.recovered()
	f.wantRetained("a=1")
}

// TestSubscribed: a new subscription gets the retained messages of its filters
// and is told to those who watch.
func TestSubscribed(t *testing.T) {
	f := start(t, nil, rules.Safe())
	do(f, retain("a/b", "1"))
	do(f, retain("c", "2"))
	f.wire.take()
	var got []string
	subscribe := func(client string, filters ...string) {
		got = nil
		do(f, engine.Subscribed{ClientID: client, Session: 7, Filters: filters, Deliver: func(m protocol.Message) {
			got = append(got, m.Topic+"="+string(m.Payload))
		}})
	}
	for _, c := range []struct {
		filters []string
		want    []string
	}{
		{[]string{"c", "a/b"}, []string{"c=2", "a/b=1"}},
		{[]string{"a/+"}, nil},
		{[]string{"#"}, nil},
		{[]string{"a"}, nil},
		{[]string{"a/b", "other"}, []string{"a/b=1"}},
	} {
		if subscribe("dev1", c.filters...); !slices.Equal(got, c.want) {
			t.Errorf("%q gets %q, want %q", c.filters, got, c.want)
		}
	}
	f.wire.take()
	subscribe("dev1", "a/+", "c")
	do(f, engine.Unsubscribed{ClientID: "dev1", Session: 7, Filters: []string{"c"}})
	do(f, engine.ConnectFailed{ClientID: "dev1", IP: "127.0.0.1", Reason: "AUTHORIZATION_FAILED"})
	events := f.wire.take()
	subscribe("a+b", "c") // the topics of its events would be filters
	do(f, engine.ConnectFailed{ClientID: "#", Reason: "AUTHORIZATION_FAILED"})
	if extra := f.wire.take(); len(extra) > 0 || len(events) != 3 {
		t.Fatalf("events %+v and %+v", events, extra)
	}
	for i, want := range []string{
		"$aws/events/subscriptions/subscribed/dev1", "$aws/events/subscriptions/unsubscribed/dev1", "$aws/events/presence/connect_failed/dev1",
	} {
		if events[i].topic != want {
			t.Errorf("event on %s, want %s", events[i].topic, want)
		}
	}
	var subscribed event.Subscription
	var failed event.ConnectFailure
	if err := errors.Join(json.Unmarshal([]byte(events[0].payload), &subscribed), json.Unmarshal([]byte(events[2].payload), &failed)); err != nil {
		t.Fatal(err)
	}
	if subscribed.EventType != "subscribed" || subscribed.ClientID != "dev1" || !slices.Equal(subscribed.Topics, []string{"a/+", "c"}) ||
		!strings.HasSuffix(subscribed.SessionIdentifier, "-7") || subscribed.Timestamp == 0 {
		t.Errorf("event %s", events[0].payload)
	}
	if failed.ConnectFailureReason != "AUTHORIZATION_FAILED" || failed.IPAddress != "127.0.0.1" || failed.EventType != "connect_failed" {
		t.Errorf("event %s", events[2].payload)
	}
}

// ordered is a gateway that keeps the messages of one topic with those that
// go straight to a new subscription.
type ordered struct {
	wire
	mu   sync.Mutex
	seen []string
}

func (o *ordered) Deliver(m protocol.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, string(m.Payload))
}

// TestRetainedOrder: whatever publishes and subscriptions run at once, a
// subscriber never sees an older message after a newer one.
func TestRetainedOrder(t *testing.T) {
	o := &ordered{}
	f := &fleet{T: t, store: mem.New()}
	var err error
	f.engine, err = engine.New(engine.Config{Store: f.store, Gateway: o, Rules: rules.Safe(), Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.engine.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			if _, err := engine.Do(ctx, f.engine, retain("a", fmt.Sprintf("%04d", i))); err != nil {
				t.Error(err)
			}
		}
	})
	for range 4 {
		wg.Go(func() {
			for range 100 {
				if _, err := engine.Do(ctx, f.engine, engine.Subscribed{ClientID: "x", Filters: []string{"a"}, Deliver: o.Deliver}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if !slices.IsSorted(o.seen) || len(o.seen) < 200 {
		t.Errorf("%d messages, sorted %v", len(o.seen), slices.IsSorted(o.seen))
	}
}

// gated is a store whose commits wait for a token.
type gated struct {
	store.Store
	pass chan struct{}
}

func (s gated) Commit(ctx context.Context, b []store.ShardBatch) error {
	<-s.pass
	return s.Store.Commit(ctx, b)
}

// TestRetainedOnlyDurable: a new subscription gets no message that is not
// durable yet.
func TestRetainedOnlyDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := gated{mem.New(), make(chan struct{}, 100)}
		f := start(t, s, rules.Safe())
		var got []string
		var wg sync.WaitGroup
		wg.Go(func() { do(f, retain("a", "1")) })
		synctest.Wait()
		wg.Go(func() {
			do(f, engine.Subscribed{ClientID: "x", Filters: []string{"a"}, Deliver: func(m protocol.Message) { got = append(got, string(m.Payload)) }})
		})
		synctest.Wait()
		if len(got) > 0 {
			t.Errorf("got %q before the commit", got)
		}
		s.pass <- struct{}{}
		wg.Wait()
		if !slices.Equal(got, []string{"1"}) {
			t.Errorf("got %q after the commit", got)
		}
		close(s.pass)
		f.stop()
	})
}

// TestRetainedModel drives the retained messages with random publishes,
// clears and restarts beside a map.
func TestRetainedModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := mem.New()
		f := start(t, s, rules.Safe())
		defer func() { f.stop() }()
		model := map[string]string{}
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			topic := rapid.SampledFrom([]string{"a", "a/b", "b", "c/d/e"}).Draw(r, "topic")
			payload := rapid.SampledFrom([]string{"", "1", "22", "333"}).Draw(r, "payload")
			do(f, retain(topic, payload))
			if delete(model, topic); payload != "" {
				model[topic] = payload
			}
			if rapid.IntRange(0, 9).Draw(r, "restart") == 0 {
				f.stop()
				f = start(t, s, rules.Safe())
			}
		}
		want := []string{}
		for topic, payload := range model {
			want = append(want, topic+"="+payload)
		}
		got := f.retained()
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			r.Fatalf("retained %q, want %q", got, want)
		}
	})
}
