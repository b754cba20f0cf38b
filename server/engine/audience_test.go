package engine_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// hall is a wire of which some topics have listeners.
type hall struct {
	wire
	listening string // what topics that are heard end in

	asked sync.Map // topics
}

func (h *hall) Heard(topic string) bool {
	h.asked.Store(topic, true)
	return strings.HasSuffix(topic, h.listening)
}

// TestAudience: of the events those that somebody hears are sent, of the
// answers all.
func TestAudience(t *testing.T) {
	events := []string{"shadow/update/documents", "presence/connected/dev", "thing/dev/added"}
	for _, listening := range append(events, "nothing", "") {
		t.Run("listening to "+listening, func(t *testing.T) {
			h := &hall{listening: listening}
			f := serve(t, h)
			f.allEvents()
			f.thing("dev", "5")
			f.group("online", "connectivity.connected:true")
			f.connect("dev")
			u, err := shadow.ParseUpdate([]byte(`{"state":{"reported":{"temp":7}}}`))
			if err != nil {
				t.Fatal(err)
			}
			do(f, engine.UpdateShadow{Thing: "dev", Update: u, Session: 9})
			all := h.take()
			for _, ending := range events {
				sent := slices.ContainsFunc(all, func(s sent) bool {
					return strings.HasSuffix(s.topic, ending) && json.Valid([]byte(s.payload))
				})
				if want := strings.HasSuffix(ending, listening); sent != want {
					t.Errorf("%s is sent: %v, want %v", ending, sent, want)
				}
			}
			const answer = "$aws/things/dev/shadow/update/accepted"
			if !slices.ContainsFunc(all, func(s sent) bool { return s.topic == answer }) {
				t.Errorf("there is no answer in %v", all)
			}
			if _, asked := h.asked.Load(answer); asked {
				t.Error("it was asked whether anybody hears an answer")
			}
		})
	}
}

// serve runs an engine that talks to a hall until the test ends.
func serve(t *testing.T, h *hall) *fleet {
	t.Helper()
	e, err := engine.New(engine.Config{Store: mem.New(), Gateway: h, Rules: rules.Safe(), Account: "1", Region: "r", Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &fleet{T: t, engine: e, wire: &h.wire}
}
