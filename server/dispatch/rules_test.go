package dispatch_test

import (
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
)

// The tests of this file are one for each rule of docs/rules.md that shows in
// what devices are sent, under both profiles.

func profiles(t *testing.T, test func(t *testing.T, r rules.Rules)) {
	t.Helper()
	for _, r := range []rules.Rules{rules.Safe(), rules.AWS()} {
		t.Run(string(r.Profile), func(t *testing.T) { test(t, r) })
	}
}

// TestRule14: a request is acknowledged and accepted after its commit only; the
// broker sends PUBACK when Publish returns nil.
func TestRule14(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		d, w, s := startWith(t, r)
		publish := func(topic, payload string) error {
			_, err := d.Publish(t.Context(), dev1, protocol.Message{Topic: "$aws/things/dev1/" + topic, Payload: []byte(payload)})
			return err
		}
		s.setBroken(true)
		w.answer(0)
		for topic, payload := range map[string]string{
			"jobs/start-next": "{}", "jobs/fw-6/update": `{"status":"SUCCEEDED"}`, "shadow/update": `{"state":{"reported":{"a":1}}}`,
		} {
			if publish(topic, payload) == nil {
				t.Errorf("%s was acknowledged without a commit", topic)
			}
		}
		for _, m := range w.answer(dev1.Session) {
			if strings.HasSuffix(m.topic, "/accepted") {
				t.Errorf("accepted without a commit: %+v", m)
			}
		}
		s.setBroken(false)
		if err := publish("jobs/start-next", "{}"); err != nil {
			t.Errorf("not acknowledged after the commit: %v", err)
		}
		if got := w.answer(dev1.Session); len(got) != 1 || !strings.HasSuffix(got[0].topic, "/accepted") {
			t.Errorf("answers %+v", got)
		}
	})
}

func (s *breakable) setBroken(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

// TestRule25: job answers go straight to the connection that asked; shadow
// answers go to the subscribers, and to it too.
func TestRule25(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		d, w, _ := startWith(t, r)
		for _, c := range []struct {
			topic, payload, answer string
			fan                    bool
		}{
			{"jobs/get", "", "jobs/get/accepted", false},
			{"jobs/nope/get", "", "jobs/nope/get/rejected", false},
			{"jobs/start-next", "{}", "jobs/start-next/accepted", false},
			{"jobs/fw-6/update", `{"status":"IN_PROGRESS"}`, "jobs/fw-6/update/accepted", false},
			{"jobs/fw-6/update", `{"status":"CANCELED"}`, "jobs/fw-6/update/rejected", false},
			{"shadow/update", `{"state":{"reported":{"a":1}}}`, "shadow/update/accepted", true},
			{"shadow/update", `{"state":1}`, "shadow/update/rejected", true},
			{"shadow/get", "", "shadow/get/accepted", true},
			{"shadow/delete", "", "shadow/delete/accepted", true},
			{"shadow/get", "", "shadow/get/rejected", true},
		} {
			w.take()
			if _, err := d.Publish(t.Context(), dev1, protocol.Message{Topic: "$aws/things/dev1/" + c.topic, Payload: []byte(c.payload)}); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, m := range w.take() {
				if m.topic != "$aws/things/dev1/"+c.answer {
					continue
				}
				if n++; m.session != dev1.Session || m.fan != c.fan {
					t.Errorf("%s: answer to session %d, to subscribers %v; want %d, %v", c.topic, m.session, m.fan, dev1.Session, c.fan)
				}
			}
			if n != 1 {
				t.Errorf("%s: %d answers on %s, want one", c.topic, n, c.answer)
			}
		}
	})
}

// TestRule29: nobody registers itself unless musterd runs with --dev.
func TestRule29(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		for _, dev := range []bool{false, true} {
			r.RegisterOnRequest = dev
			d, _, _ := startWith(t, r)
			for _, name := range []protocol.ThingName{"new1", "victim"} { // new1 asks for itself, and for another
				payload := []byte(`{"state":{"reported":{"muster":{"register":true}}}}`)
				client := dev1
				client.ID = "new1"
				if _, err := d.Publish(t.Context(), client, protocol.Message{Topic: "$aws/things/" + string(name) + "/shadow/update", Payload: payload}); err != nil {
					t.Fatal(err)
				}
				err := engine.Read(t.Context(), d.Engine, func(v *engine.View) error {
					_, err := v.Thing(name)
					return err
				})
				if got, want := err == nil, dev && name == "new1"; got != want {
					t.Errorf("--dev %v: thing %s is registered: %v, want %v", dev, name, got, want)
				}
			}
		}
	})
}
