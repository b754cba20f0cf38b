package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// now is the fleet's time.
func (f *fleet) now() (at time.Time) {
	f.Helper()
	f.read(func(v *engine.View) { at = v.Now() })
	return at
}

// TestClock is rule 17: with a clock below the last commit, or below the
// build, the fleet's time stands still, no timer fires and CheckClock says why;
// once the clock is right, what came due meanwhile waits for its grace.
func TestClock(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		synctest.Test(t, func(t *testing.T) {
			s := mem.New()
			ahead := time.Now().Add(10 * time.Hour) // the machine loses its clock by so much
			f := startAt(t, s, r, ahead)
			defer func() { f.stop() }()
			f.thing("dev1", "5")
			f.thing("gone", "5")
			f.connect("gone")
			do(f, engine.CreateJob{ID: "j", Targets: []string{thingARN("dev1")}, Document: "{}", TimeoutMinutes: 1})
			f.startNext("dev1")
			f.stop()

			f = start(t, s, r) // the store remembers the last commit
			want(t, "the time of the fleet", f.now(), ahead)
			err := f.engine.CheckClock()
			if err == nil || !strings.Contains(err.Error(), ahead.UTC().Format(time.RFC3339)) {
				t.Errorf("the clock is called %v", err)
			}
			time.Sleep(9 * time.Hour) // far beyond every deadline, if it counted
			want(t, "the time of the fleet, 9 hours later", f.now(), ahead)
			want(t, "no timer fires", f.executions("dev1", "j"), []string{"1:IN_PROGRESS"})
			f.thing("made", "5")
			f.read(func(v *engine.View) {
				if th, err := v.Thing("made"); err != nil || !th.CreatedAt.Equal(ahead) {
					t.Errorf("a thing made meanwhile: %+v, %v", th, err)
				}
				if p, err := v.Presence("gone"); err != nil || !p.Connected {
					t.Errorf("no session is swept: %+v, %v", p, err)
				}
			})

			time.Sleep(time.Hour + 2*time.Second) // the clock reaches the floor
			if err := f.engine.CheckClock(); err != nil {
				t.Errorf("the clock is right again, but called %v", err)
			}
			if now := f.now(); !now.After(ahead) {
				t.Errorf("the time of the fleet is %s still", now)
			}
			time.Sleep(r.ReconnectGrace + time.Second)
			f.read(func(v *engine.View) {
				if p, err := v.Presence("gone"); err != nil || p.Connected {
					t.Errorf("after the reconnect grace: %+v, %v", p, err)
				}
			})
		})
	})
}

// TestClockSet: the clock jumps from before the floor to long after it.
// In a bubble time does not jump; a floor that is reached looks the same
// from inside, with a deadline that ended before it.
func TestClockSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := mem.New(), rules.Safe()
		f := start(t, s, r)
		f.thing("dev1", "5")
		do(f, engine.CreateJob{ID: "j", Targets: []string{thingARN("dev1")}, Document: "{}", TimeoutMinutes: 1})
		f.startNext("dev1")
		f.thing("dev2", "5")
		do(f, engine.CreateJob{ID: "slow", Targets: []string{thingARN("dev1"), thingARN("dev2")}, Document: "{}", RatePerMinute: 1})
		f.stop()
		floor := time.Now().Add(10 * time.Minute) // the deadline is before it
		f = startAt(t, s, r, floor)
		defer func() { f.stop() }()
		time.Sleep(time.Until(floor) - time.Second)
		want(t, "executions under the rate, without a clock", len(f.queuedAt("slow")), 1)
		time.Sleep(time.Until(floor) + 2*time.Second)
		want(t, "executions under the rate, with one", len(f.queuedAt("slow")), 2)
		time.Sleep(r.OverdueGrace - 4*time.Second)
		want(t, "within the grace", f.executions("dev1", "j"), []string{"1:IN_PROGRESS"})
		f.update("dev1", "j", jobs.InProgress, nil)
		time.Sleep(5 * time.Second)
		want(t, "after the grace", f.executions("dev1", "j"), []string{"1:TIMED_OUT"})
	})
}

// TestTimeOfCommits: times in the store never run backwards over restarts,
// although each of these has a clock of its own.
func TestTimeOfCommits(t *testing.T) {
	s := mem.New()
	var last time.Time
	for n, floor := range []time.Duration{time.Hour, 0, 30 * time.Minute, 2 * time.Hour, 0} {
		f := startAt(t, s, rules.Safe(), time.Now().Add(floor))
		id := jobID(string(rune('a' + n)))
		made := f.job(id, job.Snapshot, f.madeThing()).CreatedAt
		f.stop()
		if made.Before(last) {
			t.Errorf("job %s was made at %s, before the last one, %s", id, made, last)
		}
		last = made
	}
}

func (f *fleet) madeThing() (arn string) {
	f.thing("dev1", "5")
	return thingARN("dev1")
}
