package job_test

import (
	"testing"
	"time"

	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/rules"
)

func TestDwellOf(t *testing.T) {
	for n, want := range map[int]time.Duration{
		0: 0, 1: 0, 2: 0, 3: 10 * time.Second, 4: 20 * time.Second, 5: 40 * time.Second, 8: 320 * time.Second,
		9: 10 * time.Minute, 10: 10 * time.Minute, 1_000_000: 10 * time.Minute,
	} {
		if got := job.DwellOf(n); got != want {
			t.Errorf("entry %d: %s, want %s", n, got, want)
		}
	}
}

func TestEnter(t *testing.T) {
	before := job.Visits{At: []time.Time{noon.Add(-2 * time.Hour), noon.Add(-time.Hour), noon.Add(-59 * time.Minute)}}
	after := before.Enter(noon)
	if len(after.At) != 2 || !after.At[0].Equal(noon.Add(-59*time.Minute)) || !after.At[1].Equal(noon) {
		t.Errorf("entries within the hour: %v", after.At)
	}
	if len(before.At) != 3 {
		t.Errorf("the visits before were changed: %v", before.At)
	}
}

// TestForgetDwelling: a thing that dwells does not count among those that wait for the rate.
func TestForgetDwelling(t *testing.T) {
	j := job.Job{ID: "j", Status: job.InProgress, RatePerMinute: 60}
	got := job.Plan(noon, j, rules.Safe(), []job.Change{
		{Thing: "dwells", Dwelling: true}, {Thing: "joins", Joined: true},
	}, 1)
	if got[0].Action != job.Forget || got[1].Action != job.Hold {
		t.Errorf("decisions %+v; one thing waits before the last", got)
	}
}

// TestNoDwell: in the aws profile every entry gets its execution at once (rule 5).
func TestNoDwell(t *testing.T) {
	j := job.Job{ID: "j", Status: job.InProgress}
	got := job.Plan(noon, j, rules.AWS(), []job.Change{{Thing: "dev1", Joined: true, Entry: 9}}, 0)
	if got[0].Action != job.Queue {
		t.Errorf("decision %+v", got[0])
	}
}
