package operate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/operate"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

type silent struct{}

func (silent) Publish(string, []byte)            {}
func (silent) Send(uint64, string, []byte)       {}
func (silent) PublishAnd(string, []byte, uint64) {}
func (silent) Deliver(protocol.Message)          {}

func start(t *testing.T, r rules.Rules) (*engine.Engine, http.Handler) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	e, err := engine.New(engine.Config{Store: mem.New(), Gateway: silent{}, Rules: r, Account: "123456789012", Region: "us-east-1", Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go e.Run(ctx)
	t.Cleanup(func() { cancel(); <-e.Done() })
	<-e.Ready()
	h, err := operate.New(operate.Config{Engine: e, Rules: r, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	return e, h
}

func get(t *testing.T, h http.Handler, path string) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%s: %q: %v", path, w.Body, err)
	}
	return w.Code, body
}

func do[R any](t *testing.T, e *engine.Engine, in engine.Input[R]) {
	t.Helper()
	if _, err := engine.Do(t.Context(), e, in); err != nil {
		t.Fatalf("%T: %v", in, err)
	}
}

// TestExplain goes through what a thing may wait for.
func TestExplain(t *testing.T) {
	e, h := start(t, rules.Safe())
	do(t, e, engine.CreateThing{Name: "dev1", Attributes: map[string]string{"softwareVersion": "5"}})
	do(t, e, engine.CreateThing{Name: "dev2"})
	session := uint64(0)
	flap := func() {
		session++
		do(t, e, engine.Connect{ClientID: "dev1", Session: session})
		do(t, e, engine.Disconnect{ClientID: "dev1", Session: session, Reason: "CONNECTION_LOST"})
	}
	do(t, e, engine.CreateDynamicGroup{Name: "V5", Query: "connectivity.connected:true"})
	for status := ""; status != "ACTIVE"; {
		err := engine.Read(t.Context(), e, func(v *engine.View) error {
			g, err := v.Group("V5")
			status = string(g.Status)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	do(t, e, engine.CreateJob{ID: "j", Selection: job.Continuous, Document: "{}", Targets: []string{"arn:aws:iot:us-east-1:123456789012:thinggroup/V5"}})
	explained := func(want string) {
		t.Helper()
		status, body := get(t, h, "/muster/v1/jobs/j/things/dev1")
		if got := fmt.Sprint(body["target"], " ", body["reason"]); status != http.StatusOK || got != want {
			t.Errorf("%d %v, want %s", status, body, want)
		}
	}
	explained("false no-target")
	flap()
	flap()
	explained("false no-target")
	do(t, e, engine.Connect{ClientID: "dev1", Session: 9})
	explained("true dwell")
	_, body := get(t, h, "/muster/v1/jobs/j/things/dev1")
	if body["entriesWithinAnHour"] != 3.0 || body["until"] == nil || fmt.Sprint(body["latestExecution"]) != "map[executionNumber:2 status:REMOVED]" {
		t.Errorf("explained %v", body)
	}
	do(t, e, engine.CancelJob{ID: "j"})
	explained("true job-not-in-progress")
	for _, path := range []string{"/muster/v1/jobs/nope/things/dev1", "/muster/v1/jobs/j/things/nope", "/muster/v1/nothing"} {
		if status, body := get(t, h, path); status != http.StatusNotFound || body["message"] == "" {
			t.Errorf("%s: %d %v", path, status, body)
		}
	}
}

func TestRules(t *testing.T) {
	_, h := start(t, rules.AWS())
	_, body := get(t, h, "/muster/v1/rules")
	limits, _ := body["Limits"].(map[string]any)
	if body["Profile"] != "aws" || body["OverdueGrace"] != "5m0s" || limits["GroupQueryTerms"] != 5.0 {
		t.Errorf("rules %v", body)
	}
	text, _ := json.Marshal(body)
	if strings.Contains(string(text), "null") {
		t.Errorf("rules %s", text)
	}
}
