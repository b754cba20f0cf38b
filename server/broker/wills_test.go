package broker_test

import (
	"testing"

	"github.com/muster-iot/muster/server/broker"
)

// TestDelayedWillsAtStop: no session outlives the broker, so the wills that
// wait for one to end are handed to the handler when it stops, once.
func TestDelayedWillsAtStop(t *testing.T) {
	s := start(t, broker.Limits{})
	for _, id := range []string{"connected", "offline", "left"} {
		hello := withWill(persistent(id, 5, 600), "wills/"+id, "gone")
		hello.Connect.WillProperties.WillDelayInterval = 100
		w, _ := come(t, s, hello)
		switch id {
		case "offline":
			_ = w.Close()
			wantReasons(t, s, id, broker.ConnectionLost)
		case "left": // with code 0, which takes the will along
			w.leave(s, id)
		}
	}
	if early := s.of("publish", ""); len(early) > 0 {
		t.Errorf("published before the stop: %+v", early)
	}
	s.stop()
	for id, want := range map[string]int{"connected": 1, "offline": 1, "left": 0} {
		got := s.of("publish", id)
		if len(got) != want || want > 0 && (got[0].topic != "wills/"+id || got[0].payload != "gone") {
			t.Errorf("%s: published %+v, want %d will", id, got, want)
		}
	}
}
