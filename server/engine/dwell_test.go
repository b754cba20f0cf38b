package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/mem"
)

// flapping is a fleet of one device that is a target by its connection.
type flapping struct{ *fleet }

func startFlapping(t *testing.T, s store.Store, r rules.Rules) flapping {
	t.Helper()
	f := flapping{indexed(t, s, r)}
	f.thing("dev1", "5")
	f.group("V5", seedQuery)
	f.connect("dev1") // entry 1
	f.job("j", job.Continuous, groupARN("V5"))
	return f
}

func (f flapping) flap() {
	f.disconnect("dev1", f.session)
	f.connect("dev1")
}

// have compares the executions.
func (f flapping) have(wanted ...string) {
	f.Helper()
	want(f, "executions", f.executions("dev1", "j"), wanted)
}

// TestDwell is rule 5: entries 1 and 2 within an hour are immediate, from the
// third on the thing must stay for a while; in the aws profile all are immediate.
func TestDwell(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		synctest.Test(t, func(t *testing.T) {
			f := startFlapping(t, nil, r)
			defer f.stop()
			f.have("1:QUEUED")
			f.flap()
			f.have("1:REMOVED", "2:QUEUED")
			f.flap()
			if r.Profile == rules.ProfileAWS {
				f.have("1:REMOVED", "2:REMOVED", "3:QUEUED")
				f.flap()
				f.have("1:REMOVED", "2:REMOVED", "3:REMOVED", "4:QUEUED")
				return
			}
			time.Sleep(9 * time.Second)
			f.have("1:REMOVED", "2:REMOVED")
			time.Sleep(2 * time.Second)
			f.have("1:REMOVED", "2:REMOVED", "3:QUEUED")
			f.flap() // entry 4
			time.Sleep(15 * time.Second)
			f.have("1:REMOVED", "2:REMOVED", "3:REMOVED")
			f.flap() // entry 5, before the dwell of entry 4 was over
			time.Sleep(39 * time.Second)
			f.have("1:REMOVED", "2:REMOVED", "3:REMOVED")
			time.Sleep(2 * time.Second)
			f.have("1:REMOVED", "2:REMOVED", "3:REMOVED", "4:QUEUED")
			time.Sleep(time.Hour)
			f.flap() // nothing of the hour before counts
			f.have("1:REMOVED", "2:REMOVED", "3:REMOVED", "4:REMOVED", "5:QUEUED")
		})
	})
}

// TestDwellCountsEveryEntry: entries that bring no execution count too.
func TestDwellCountsEveryEntry(t *testing.T) {
	for _, c := range []struct {
		name string
		rate int
		then func(f flapping) // after entry 1
		want []string         // right after entry 3
	}{
		{"while it is running", 0, func(f flapping) {
			f.startNext("dev1")
			f.flap()
			f.update("dev1", "j", jobs.Failed, nil)
			f.report("dev1", map[string]any{"softwareVersion": "4"}) // a cause beyond connectivity
			f.report("dev1", map[string]any{"softwareVersion": "5"})
		}, []string{"1:FAILED"}},
		{"while it waits for the rate", 1, func(f flapping) { f.flap(); f.flap() }, []string{"1:REMOVED"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := flapping{indexed(t, nil, rules.Safe())}
				defer f.stop()
				f.thing("dev1", "")
				f.report("dev1", map[string]any{"softwareVersion": "5"})
				f.group("V5", seedQuery)
				f.connect("dev1")
				do(f.fleet, engine.CreateJob{ID: "j", Targets: []string{groupARN("V5")}, Selection: job.Continuous, Document: "{}", RatePerMinute: c.rate})
				c.then(f)
				f.have(c.want...)
				f.read(func(v *engine.View) {
					e, err := v.Explain("dev1", "j")
					if err != nil || e.Reason != job.ReasonDwell || e.Entries != 3 {
						t.Errorf("explained %+v, %v; want a dwell after 3 entries", e, err)
					}
				})
			})
		})
	}
}

// TestDwellSurvivesRestart: entries and the end of a dwell are as durable as executions.
func TestDwellSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		f := startFlapping(t, s, rules.Safe())
		f.flap()
		again := func() {
			f.stop()
			f.fleet = start(t, s, rules.Safe())
		}
		again()
		f.connect("dev1")
		f.flap() // entry 3
		until := time.Now().Add(10 * time.Second)
		explained := func() {
			f.Helper()
			f.read(func(v *engine.View) {
				e, err := v.Explain("dev1", "j")
				if err != nil || e.Reason != job.ReasonDwell || !e.Until.Equal(until) || e.Entries != 3 {
					t.Errorf("explained %+v, %v; want a dwell until %s", e, err, until)
				}
			})
		}
		explained()
		again()
		defer func() { f.stop() }()
		f.connect("dev1")
		explained()
		time.Sleep(9 * time.Second)
		f.have("1:REMOVED", "2:REMOVED")
		time.Sleep(2 * time.Second)
		f.have("1:REMOVED", "2:REMOVED", "3:QUEUED")
		f.read(func(v *engine.View) {
			if e, err := v.Explain("dev1", "j"); err != nil || e.Reason != job.ReasonPending || !e.Until.IsZero() {
				t.Errorf("explained %+v, %v", e, err)
			}
		})
		do(f.fleet, engine.CancelJob{ID: "j"})
		f.stop()
		if n := rowsOf(t, s, "visits"); n != 0 {
			t.Errorf("%d rows of visits are left of a canceled job", n)
		}
	})
}

// TestDwellOverdue: a dwell that ended while the server was down waits for the
// devices to come back first (rule 4).
func TestDwellOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		f := startFlapping(t, s, rules.Safe())
		f.flap()
		f.flap()
		f.stop()
		time.Sleep(time.Minute)
		f.fleet = start(t, s, rules.Safe())
		defer func() { f.stop() }()
		f.connect("dev1")
		time.Sleep(rules.Safe().OverdueGrace - time.Second)
		f.have("1:REMOVED", "2:REMOVED")
		time.Sleep(2 * time.Second)
		f.have("1:REMOVED", "2:REMOVED", "3:QUEUED")
	})
}

// rowsOf counts the stored rows of a kind.
func rowsOf(t *testing.T, s store.Store, kind store.Kind) (n int) {
	t.Helper()
	err := s.Load(t.Context(), func(r store.Row) error {
		if r.Kind == kind {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
