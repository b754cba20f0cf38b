package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/dispatch"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/mem"
)

type message struct {
	topic, payload string
	session        uint64
	fan            bool // to subscribers
}

type wire struct {
	mu  sync.Mutex
	all []message
}

func (w *wire) add(m message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, m)
}

func (w *wire) Publish(topic string, payload []byte) {
	w.add(message{topic, string(payload), 0, true})
}

func (w *wire) Send(session uint64, topic string, payload []byte) {
	w.add(message{topic, string(payload), session, false})
}

func (w *wire) Deliver(m protocol.Message) { w.add(message{m.Topic, string(m.Payload), 0, true}) }

func (w *wire) PublishAnd(topic string, payload []byte, session uint64) {
	w.add(message{topic, string(payload), session, true})
}

// take returns what was sent since the last call.
func (w *wire) take() []message {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.all
	w.all = nil
	return all
}

// answer returns what the session got since the last call.
func (w *wire) answer(session uint64) []message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []message
	for _, m := range w.all {
		if m.session == session {
			got = append(got, m)
		}
	}
	w.all = nil
	return got
}

type breakable struct {
	store.Store
	mu     sync.Mutex
	broken bool
}

func (s *breakable) Commit(ctx context.Context, b []store.ShardBatch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errors.New("disk full")
	}
	return s.Store.Commit(ctx, b)
}

func start(t testing.TB) (*dispatch.Dispatcher, *wire, *breakable) {
	t.Helper()
	r := rules.Safe()
	r.RegisterOnRequest = true
	return startWith(t, r)
}

func startWith(t testing.TB, r rules.Rules) (*dispatch.Dispatcher, *wire, *breakable) {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	w, s := &wire{}, &breakable{Store: mem.New()}
	e, err := engine.New(engine.Config{Store: s, Gateway: w, Rules: r, Account: "123456789012", Region: "us-east-1", Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go e.Run(ctx)
	t.Cleanup(func() { cancel(); <-e.Done() })
	<-e.Ready()
	d, err := dispatch.New(dispatch.Config{Engine: e, Gateway: w, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Do(ctx, e, engine.CreateThing{Name: "dev1"}); err != nil {
		t.Fatal(err)
	}
	_, err = engine.Do(ctx, e, engine.CreateJob{ID: "fw-6", Targets: []string{"arn:aws:iot:us-east-1:123456789012:thing/dev1"}, Document: `{"v":6}`})
	if err != nil {
		t.Fatal(err)
	}
	return d, w, s
}

var dev1 = dispatch.Client{ID: "dev1", Session: 7, Remote: "127.0.0.1:5000"}

// TestRequests goes through one device's conversation, good and bad requests
// in turn; want is a part of the one answer, code the code of a rejection.
func TestRequests(t *testing.T) {
	d, w, _ := start(t)
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for _, c := range []struct {
		name, topic, payload string
		answer               string // topic of the answer behind the request topic
		want                 string
	}{
		{"list, empty payload", "jobs/get", "", "/accepted", `"queuedJobs":[{"jobId":"fw-6"`},
		{"list echoes the token", "jobs/get", `{"clientToken":"c1","thingName":"x"}`, "/accepted", `"clientToken":"c1"`},
		{"describe next", "jobs/$next/get", "{}", "/accepted", `"jobDocument":{"v":6}`},
		{"describe without document", "jobs/fw-6/get", `{"includeJobDocument":false}`, "/accepted", `"versionNumber":1,"executionNumber":1}`},
		{"describe unknown", "jobs/nope/get", "{}", "/rejected", `"code":"ResourceNotFound"`},
		{"not JSON", "jobs/start-next", "hello", "/rejected", `"code":"InvalidJson"`},
		{"not an object", "jobs/start-next", "[]", "/rejected", `"code":"InvalidJson"`},
		{"null", "jobs/start-next", "null", "/rejected", `"code":"InvalidJson"`},
		{"invalid UTF-8 is no JSON", "jobs/start-next", "\xff{", "/rejected", `"code":"InvalidJson"`},
		{"deep", "jobs/get", `{"x":` + deep + `}`, "/rejected", `"code":"InvalidJson"`},
		{"wrong member", "jobs/start-next", `{"statusDetails":"x","clientToken":"c2"}`, "/rejected", `"code":"InvalidRequest"`},
		{"long token", "jobs/start-next", `{"clientToken":"` + strings.Repeat("x", 65) + `"}`, "/rejected", `"code":"InvalidRequest"`},
		{"wrong member is named", "jobs/fw-6/get", `{"executionNumber":"1"}`, "/rejected", `"message":"member \"executionNumber\" cannot be a string"`},
		{"no such operation", "jobs/fw-6/explode", `{}`, "/rejected", `"code":"InvalidTopic"`},
		{"no such operation echoes the token", "jobs/fw-6/explode", `{"clientToken":"c4"}`, "/rejected", `"clientToken":"c4"`},
		{"a member that refuses its value stands before the token", "jobs/fw-6/update", `{"status":"IN_PROGRESS","expectedVersion":"nine","clientToken":"c5"}`, "/rejected", `"clientToken":"c5"`},
		{"names of members match by case", "jobs/fw-6/update", `{"Status":"IN_PROGRESS","clientToken":"c6"}`, "/rejected", `"clientToken":"c6"`},
		{"another case says nothing", "jobs/fw-6/get", `{"IncludeJobDocument":false,"ExecutionNumber":9,"ClientToken":7}`, "/accepted", `"jobDocument":{"v":6}`},
		{"start", "jobs/start-next", `{"statusDetails":{"step":"begin"},"clientToken":"c3"}`, "/accepted", `"status":"IN_PROGRESS","statusDetails":{"step":"begin"}`},
		{"start again is unchanged", "jobs/start-next", `{"statusDetails":{"step":"other"}}`, "/accepted", `"statusDetails":{"step":"begin"}`},
		{"version mismatch tells the state", "jobs/fw-6/update", `{"status":"IN_PROGRESS","expectedVersion":"9"}`, "/rejected", `"code":"VersionMismatch","message":"Expected version 9 but found version 2","executionState":{"status":"IN_PROGRESS"`},
		{"version in words", "jobs/fw-6/update", `{"status":"IN_PROGRESS","expectedVersion":"nine"}`, "/rejected", `"code":"InvalidRequest"`},
		{"service state", "jobs/fw-6/update", `{"status":"CANCELED"}`, "/rejected", `"code":"InvalidRequest"`},
		{"progress, silent", "jobs/fw-6/update", `{"status":"IN_PROGRESS","expectedVersion":2}`, "/accepted", `{"timestamp":`},
		{"end", "jobs/fw-6/update", `{"status":"SUCCEEDED","includeJobExecutionState":true}`, "/accepted", `"executionState":{"status":"SUCCEEDED"`},
		{"after the end", "jobs/fw-6/update", `{"status":"FAILED"}`, "/rejected", `"code":"TerminalStateReached"`},
		{"describe after the end", "jobs/fw-6/get", `{}`, "/rejected", `"code":"TerminalStateReached"`},
		{"nothing is next", "jobs/$next/get", `{"clientToken":"c9"}`, "/accepted", `{"timestamp":`},
		{"shadow of nothing", "shadow/get", "", "/rejected", `"code":404`},
		{"shadow not JSON", "shadow/update", "hello", "/rejected", `"code":400`},
		{"shadow update", "shadow/update", `{"state":{"reported":{"a":1}},"clientToken":"s1"}`, "/accepted", `"clientToken":"s1"`},
		{"named shadow", "shadow/name/cfg/update", `{"state":{"desired":{"a":1}}}`, "/accepted", `"version":1`},
		{"shadow version conflict", "shadow/update", `{"state":{"reported":{"a":2}},"version":7,"clientToken":"s2"}`, "/rejected", `"code":409`},
		{"shadow get", "shadow/get", "{}", "/accepted", `"reported":{"a":1}`},
		{"shadow delete", "shadow/delete", "", "/accepted", `"version":1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			topic := "$aws/things/dev1/" + c.topic
			w.answer(0)
			handled, err := d.Publish(t.Context(), dev1, protocol.Message{Topic: topic, Payload: []byte(c.payload)})
			if !handled || err != nil {
				t.Fatalf("handled %v, error %v", handled, err)
			}
			got := w.answer(dev1.Session)
			if len(got) != 1 || got[0].topic != topic+c.answer || !strings.Contains(got[0].payload, c.want) || !json.Valid([]byte(got[0].payload)) {
				t.Errorf("answers %+v; want one on %s with %s", got, c.answer, c.want)
			}
		})
	}
}

func TestOtherTopics(t *testing.T) {
	d, w, _ := start(t)
	for topic, handled := range map[string]bool{
		"app/telemetry":                     false,
		"$aws/things/dev1/telemetry":        true,
		"$aws/rules/x":                      true,
		"$aws/events/presence/connected/x":  true,
		"$SYS/broker":                       true,
		"$aws/things/dev1/shadow/explode":   true,
		"$aws/things/bad name/shadow/get":   true,
		"":                                  false,
		"$aws/things/dev1/shadow/name//get": true,
	} {
		got, err := d.Publish(t.Context(), dev1, protocol.Message{Topic: topic, Payload: []byte("x")})
		if got != handled || err != nil {
			t.Errorf("%q: handled %v, %v; want %v", topic, got, err, handled)
		}
	}
	if got := w.answer(dev1.Session); len(got) > 0 {
		t.Errorf("answers to no request: %+v", got)
	}
}

// TestRegisterOnRequest is rule 29: a device may register itself, not another.
func TestRegisterOnRequest(t *testing.T) {
	d, _, _ := start(t)
	exists := func(n protocol.ThingName) bool {
		err := engine.Read(t.Context(), d.Engine, func(v *engine.View) error {
			_, err := v.Thing(n)
			return err
		})
		return err == nil
	}
	ask := []byte(`{"state":{"reported":{"muster":{"register":true},"softwareVersion":"5"}}}`)
	for _, c := range []struct {
		client, thing protocol.ThingName
		payload       []byte
		want          bool
	}{
		{"new1", "new1", ask, true},
		{"new1", "victim", ask, false},
		{"new2", "new2", []byte(`{"state":{"reported":{"softwareVersion":"5"}}}`), false},
		{"bad name", "bad name", ask, false},
	} {
		client := dispatch.Client{ID: string(c.client), Session: 9, Remote: "127.0.0.1:1"}
		if _, err := d.Publish(t.Context(), client, protocol.Message{Topic: "$aws/things/" + string(c.thing) + "/shadow/update", Payload: c.payload}); err != nil {
			t.Fatal(err)
		}
		if got := exists(c.thing); got != c.want {
			t.Errorf("client %q asks for thing %q: registered %v, want %v", c.client, c.thing, got, c.want)
		}
	}
}

// TestNotStored: what cannot be stored is not acknowledged.
func TestNotStored(t *testing.T) {
	d, w, s := start(t)
	s.mu.Lock()
	s.broken = true
	s.mu.Unlock()
	w.answer(0)
	for _, topic := range []string{"$aws/things/dev1/jobs/start-next", "$aws/things/dev1/shadow/update"} {
		handled, err := d.Publish(t.Context(), dev1, protocol.Message{Topic: topic, Payload: []byte(`{"state":{"reported":{"a":1}}}`)})
		if !handled || err == nil {
			t.Errorf("%s: handled %v, error %v; an error must keep the acknowledgement back", topic, handled, err)
		}
		for _, m := range w.answer(dev1.Session) {
			if strings.HasSuffix(m.topic, "/accepted") {
				t.Errorf("%s was accepted without commit: %+v", topic, m)
			}
		}
	}
	if err := d.Connect(t.Context(), dev1); err != nil {
		// A client that is no thing changes nothing durable only when it is not registered; dev1 is.
		s.mu.Lock()
		s.broken = false
		s.mu.Unlock()
	} else {
		t.Error("a connect that was not stored was accepted")
	}
	if err := d.Connect(t.Context(), dev1); err != nil {
		t.Errorf("after the store recovered: %v", err)
	}
	d.Disconnect(t.Context(), dev1, "CONNECTION_LOST")
}

func FuzzPublish(f *testing.F) {
	d, w, _ := start(f)
	f.Add("jobs/fw-6/update", []byte(`{"status":"IN_PROGRESS","expectedVersion":"2"}`))
	f.Add("shadow/update", []byte(`{"state":{"reported":{"softwareVersion":"5"}}}`))
	f.Add("jobs/start-next", []byte(`{"stepTimeoutInMinutes":-1}`))
	f.Fuzz(func(t *testing.T, suffix string, payload []byte) {
		topic := "$aws/things/dev1/" + suffix
		handled, err := d.Publish(context.Background(), dev1, protocol.Message{Topic: topic, Payload: payload})
		if !handled || err != nil {
			t.Fatalf("handled %v, error %v", handled, err)
		}
		for _, m := range w.answer(dev1.Session) {
			if !json.Valid([]byte(m.payload)) {
				t.Fatalf("answer %q is not JSON", m.payload)
			}
		}
	})
}
