package dispatch_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/dispatch"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// TestRetained: a retained message is the engine's, which sends it; one to a
// request's topic is rejected.
func TestRetained(t *testing.T) {
	d, w, s := start(t)
	w.answer(0)
	publish := func(m protocol.Message) (handled bool, err error) { return d.Publish(t.Context(), dev1, m) }
	if handled, err := publish(protocol.Message{Topic: "a/b", Payload: []byte("x"), Retain: true}); !handled || err != nil {
		t.Fatalf("handled %v, %v", handled, err)
	}
	if got := w.answer(0); !slices.Equal(got, []message{{"a/b", "x", 0, true}}) {
		t.Errorf("sent %+v", got)
	}
	var found []string
	keep := func(m protocol.Message) { found = append(found, m.Topic+"="+string(m.Payload)) }
	if err := d.Subscribed(t.Context(), dev1, []string{"a/b", "c"}, keep); err != nil || !slices.Equal(found, []string{"a/b=x"}) {
		t.Errorf("found %q, %v", found, err)
	}
	d.Unsubscribed(t.Context(), dev1, []string{"c"})
	d.Refused(t.Context(), dispatch.Client{ID: "dev2", Remote: "127.0.0.1:4000"}, "AUTHORIZATION_FAILED")
	events := w.answer(0)
	if len(events) != 3 || !strings.HasSuffix(events[2].topic, "connect_failed/dev2") || !strings.Contains(events[2].payload, `"ipAddress":"127.0.0.1"`) {
		t.Errorf("events %+v", events)
	}
	for topic, want := range map[string]string{
		"$aws/things/dev1/jobs/get":      `"code":"InvalidRequest","message":"a message to a reserved topic cannot be retained`,
		"$aws/things/dev1/shadow/update": `"code":400,"message":"a message to a reserved topic cannot be retained`,
	} {
		handled, err := publish(protocol.Message{Topic: topic, Payload: []byte(`{"clientToken":"c1","state":{"reported":{"a":1}}}`), Retain: true})
		got := w.answer(dev1.Session)
		if !handled || err != nil || len(got) != 1 || got[0].topic != topic+"/rejected" ||
			!strings.Contains(got[0].payload, want) || !strings.Contains(got[0].payload, `"clientToken":"c1"`) {
			t.Errorf("%s: handled %v, %v, answers %+v", topic, handled, err, got)
		}
	}
	s.mu.Lock()
	s.broken = true
	s.mu.Unlock()
	if _, err := publish(protocol.Message{Topic: "a/b", Payload: []byte("y"), Retain: true}); protocol.CodeOf(err) != protocol.Unavailable {
		t.Errorf("a retained message that was not stored: %v", err)
	}
}

// TestSubscribeWithoutEngine: who may have missed a retained message must know.
func TestSubscribeWithoutEngine(t *testing.T) {
	w, logger := &wire{}, slog.New(slog.DiscardHandler)
	idle, err := engine.New(engine.Config{Store: mem.New(), Gateway: w, Rules: rules.Safe(), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dispatch.New(dispatch.Config{Engine: idle, Gateway: w, Logger: logger}) // an engine that never answers
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for filter, want := range map[string]bool{"a/b": true, "a/+": false, "#": false, "$aws/things/dev1/jobs/notify": false} {
		if err := d.Subscribed(ctx, dev1, []string{filter}, func(protocol.Message) {}); (err != nil) != want {
			t.Errorf("%s: %v", filter, err)
		}
	}
}

// TestInject: a message without a client is a request where its topic says so,
// answered to all; an ordinary one goes to subscribers.
func TestInject(t *testing.T) {
	d, w, _ := start(t)
	const things = "$aws/things/dev1/"
	for _, c := range []struct {
		name    string
		message protocol.Message
		code    protocol.Code // of the refusal
		topic   string        // of the message that subscribers get
		payload string        // part of it
	}{
		{"plain", protocol.Message{Topic: "a", Payload: []byte("x")}, "", "a", "x"},
		{"retained", protocol.Message{Topic: "a", Payload: []byte("x"), Retain: true}, "", "a", "x"},
		{"list jobs", protocol.Message{Topic: things + "jobs/get"}, "", things + "jobs/get/accepted", `"queuedJobs":[{"jobId":"fw-6"`},
		{"describe", protocol.Message{Topic: things + "jobs/$next/get"}, "", things + "jobs/$next/get/accepted", `"jobId":"fw-6"`},
		{"start", protocol.Message{Topic: things + "jobs/start-next", Payload: []byte(`{"clientToken":"t"}`)}, "", things + "jobs/start-next/accepted", `"clientToken":"t"`},
		{"update", protocol.Message{Topic: things + "jobs/fw-6/update", Payload: []byte(`{"status":"IN_PROGRESS"}`)}, "", things + "jobs/fw-6/update/accepted", `"timestamp"`},
		{"rejected", protocol.Message{Topic: things + "jobs/fw-7/update", Payload: []byte(`{"status":"IN_PROGRESS"}`)}, "", things + "jobs/fw-7/update/rejected", `"ResourceNotFound"`},
		{"not JSON", protocol.Message{Topic: things + "jobs/get", Payload: []byte(`x`)}, "", things + "jobs/get/rejected", `"InvalidJson"`},
		{"shadow", protocol.Message{Topic: things + "shadow/update", Payload: []byte(`{"state":{"reported":{"a":1}}}`)}, "", things + "shadow/update/accepted", `"a":1`},
		{"shadow rejected", protocol.Message{Topic: things + "shadow/name/x/get"}, "", things + "shadow/name/x/get/rejected", `404`},
		{"retained request", protocol.Message{Topic: things + "jobs/get", Retain: true}, protocol.InvalidRequest, "", ""},
		{"answer", protocol.Message{Topic: things + "jobs/get/accepted"}, protocol.InvalidRequest, "", ""},
		{"notify", protocol.Message{Topic: things + "jobs/notify"}, protocol.InvalidRequest, "", ""},
		{"event", protocol.Message{Topic: "$aws/events/presence/connected/dev1"}, protocol.InvalidRequest, "", ""},
		{"rule", protocol.Message{Topic: "$aws/rules/x/y"}, protocol.InvalidRequest, "", ""},
		{"other tree", protocol.Message{Topic: "$SYS/x"}, protocol.InvalidRequest, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.answer(0)
			err := d.Inject(t.Context(), c.message)
			if c.code != "" {
				if protocol.CodeOf(err) != c.code {
					t.Errorf("error %v, want code %s", err, c.code)
				}
				if got := w.answer(0); len(got) > 0 {
					t.Errorf("sent %+v", got)
				}
				return
			}
			w.mu.Lock()
			got := slices.Clone(w.all)
			w.mu.Unlock()
			match := func(m message) bool {
				return m.topic == c.topic && strings.Contains(m.payload, c.payload) && (m.session == 0 || m.session == engine.Subscribers)
			}
			if err != nil || !slices.ContainsFunc(got, match) {
				t.Errorf("error %v, sent %+v", err, got)
			}
		})
	}
}
