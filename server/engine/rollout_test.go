package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/rules"
)

func jobID(s string) protocol.JobID { return protocol.JobID(s) }

// queuedAt returns when each thing of a job got its execution.
func (f *fleet) queuedAt(id protocol.JobID) []time.Time {
	var at []time.Time
	f.read(func(v *engine.View) {
		all, _, err := v.ExecutionsOfJob(id, engine.Page{Max: 10_000}, nil)
		if err != nil {
			f.Error(err)
		}
		for _, x := range all {
			at = append(at, x.QueuedAt)
		}
	})
	return at
}

// TestRateCoversJoiners is rule 10: no window of a minute sees more
// executions than the rate, initial things and joiners together.
func TestRateCoversJoiners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, nil, rules.Safe())
		defer f.stop()
		f.group("V5", seedQuery)
		join := func(n int) {
			name := protocol.ThingName(fmt.Sprintf("dev%03d", n))
			f.thing(name, "5")
			f.connect(name)
		}
		for n := range 20 {
			join(n)
		}
		do(f, engine.CreateJob{ID: "slow", Targets: []string{groupARN("V5")}, Selection: job.Continuous, Document: "{}", RatePerMinute: 10})
		for n := range 10 {
			time.Sleep(3 * time.Second)
			join(20 + n)
		}
		time.Sleep(10 * time.Minute)
		at := f.queuedAt("slow")
		if len(at) != 30 {
			t.Fatalf("%d executions, want one for each of 30 things", len(at))
		}
		for i := range at {
			in := 0
			for _, other := range at {
				if !other.Before(at[i]) && other.Before(at[i].Add(time.Minute)) {
					in++
				}
			}
			if in > 10 {
				t.Errorf("%d executions within the minute after %s; the rate is 10", in, at[i])
			}
		}
		f.read(func(v *engine.View) {
			if j, _ := v.Job("slow"); j.Waiting != 0 {
				t.Errorf("%d things wait still", j.Waiting)
			}
		})
	})
}

// TestWaitingThingLeaves: a thing that leaves while it waits for the rate gets nothing.
func TestWaitingThingLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, nil, rules.Safe())
		defer f.stop()
		f.group("V5", seedQuery)
		sessions := map[protocol.ThingName]uint64{}
		for _, n := range []protocol.ThingName{"a", "b", "c"} {
			f.thing(n, "5")
			sessions[n] = f.connect(n)
		}
		do(f, engine.CreateJob{ID: "slow", Targets: []string{groupARN("V5")}, Selection: job.Continuous, Document: "{}", RatePerMinute: 1})
		f.disconnect("b", sessions["b"])
		time.Sleep(61 * time.Second)
		want(t, "a", f.executions("a", "slow"), []string{"1:QUEUED"})
		want(t, "b", f.executions("b", "slow"), []string{})
		want(t, "c", f.executions("c", "slow"), []string{"1:QUEUED"})
	})
}

func TestTimeouts(t *testing.T) {
	step := int64(7)
	none := int64(-1)
	for _, c := range []struct {
		name    string
		job     engine.CreateJob
		first   *int64 // step timer of start-next
		then    *int64 // step timer of a progress report after 5 minutes
		timeOut time.Duration
	}{
		{"in-progress timer", engine.CreateJob{TimeoutMinutes: 20, Document: "{}"}, nil, nil, 20 * time.Minute},
		{"step timer", engine.CreateJob{TimeoutMinutes: 20, Document: "{}"}, &step, nil, 7 * time.Minute},
		{"step timer renewed", engine.CreateJob{TimeoutMinutes: 20, Document: "{}"}, &step, &step, 12 * time.Minute},
		{"step timer stopped", engine.CreateJob{TimeoutMinutes: 20, Document: "{}"}, &step, &none, 20 * time.Minute},
		{"step timer cannot outlast the run", engine.CreateJob{TimeoutMinutes: 6, Document: "{}"}, &step, nil, 6 * time.Minute},
		{"signed target", engine.CreateJob{Document: musterDocument}, nil, nil, 24 * time.Hour},
		{"none", engine.CreateJob{Document: "{}"}, nil, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, nil, rules.Safe())
				defer f.stop()
				f.thing("dev1", "5")
				c.job.ID, c.job.Targets = "j", []string{thingARN("dev1")}
				do(f, c.job)
				do(f, engine.StartNext{Thing: "dev1", Request: jobs.StartNextRequest{StepTimeoutInMinutes: c.first}})
				started := time.Now()
				time.Sleep(5 * time.Minute)
				do(f, engine.UpdateExecution{Thing: "dev1", JobID: "j", Request: jobs.UpdateRequest{Status: jobs.InProgress, StepTimeoutInMinutes: c.then}})
				if c.timeOut == 0 {
					time.Sleep(1000 * time.Hour)
					want(t, "never", f.executions("dev1", "j"), []string{"1:IN_PROGRESS"})
					return
				}
				time.Sleep(time.Until(started.Add(c.timeOut - time.Second)))
				want(t, "a second before", f.executions("dev1", "j"), []string{"1:IN_PROGRESS"})
				time.Sleep(2 * time.Second)
				want(t, "after", f.executions("dev1", "j"), []string{"1:TIMED_OUT"})
			})
		})
	}
}

// TestReentry is rule 5: connectivity alone brings a new execution only after REMOVED.
func TestReentry(t *testing.T) {
	for _, c := range []struct {
		name  string
		until func(f *fleet)
		want  []string
	}{
		{"queued", func(*fleet) {}, []string{"1:REMOVED", "2:QUEUED"}},
		{"in progress", func(f *fleet) { f.startNext("dev1") }, []string{"1:IN_PROGRESS"}},
		{"failed", func(f *fleet) { f.update("dev1", "j", jobs.Failed, nil) }, []string{"1:FAILED"}},
		{"succeeded", func(f *fleet) { f.update("dev1", "j", jobs.Succeeded, nil) }, []string{"1:SUCCEEDED"}},
		{"rejected", func(f *fleet) { f.update("dev1", "j", jobs.Rejected, nil) }, []string{"1:REJECTED"}},
		{"canceled", func(f *fleet) { do(f, engine.CancelExecution{Thing: "dev1", JobID: "j"}) }, []string{"1:CANCELED"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, nil, rules.Safe())
			f.thing("dev1", "5")
			f.group("V5", seedQuery)
			s := f.connect("dev1")
			f.job("j", job.Continuous, groupARN("V5"))
			c.until(f)
			f.disconnect("dev1", s)
			f.connect("dev1")
			want(t, "executions", f.executions("dev1", "j"), c.want)
		})
	}
	t.Run("another cause", func(t *testing.T) {
		f := start(t, nil, rules.Safe())
		f.thing("dev1", "")
		f.report("dev1", map[string]any{"softwareVersion": "5"})
		f.group("V5", seedQuery)
		f.connect("dev1")
		f.job("j", job.Continuous, groupARN("V5"))
		f.update("dev1", "j", jobs.Failed, nil)
		f.report("dev1", map[string]any{"softwareVersion": "4"})
		f.report("dev1", map[string]any{"softwareVersion": "5"})
		want(t, "executions", f.executions("dev1", "j"), []string{"1:FAILED", "2:QUEUED"})
	})
}

// TestSnapshot: targets are resolved once, and the job completes.
func TestSnapshot(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.allEvents()
	f.group("V5", seedQuery)
	empty := f.job("empty", job.Snapshot, groupARN("V5"))
	want(t, "status of a job without targets as answered", empty.Status, job.InProgress)
	f.read(func(v *engine.View) {
		if j, _ := v.Job("empty"); j.Status != job.Completed {
			t.Errorf("a snapshot of an empty group is %s", j.Status)
		}
	})
	f.thing("a", "5")
	f.thing("b", "5")
	sessions := []uint64{f.connect("a"), f.connect("b")}
	f.job("j", job.Snapshot, groupARN("V5"), thingARN("a"))
	f.thing("late", "5")
	f.connect("late")
	want(t, "joiner", f.executions("late", "j"), []string{})
	want(t, "thing of two targets", f.executions("a", "j"), []string{"1:QUEUED"})
	f.disconnect("b", sessions[1])
	want(t, "left", f.executions("b", "j"), []string{"1:REMOVED"})
	f.disconnect("a", sessions[0])
	want(t, "left its group but is a target itself", f.executions("a", "j"), []string{"1:QUEUED"})
	f.wire.take()
	f.update("a", "j", jobs.Succeeded, nil)
	if got := topics(f.wire.take(), "$aws/events/job/"); !has(got, "j/completed") {
		t.Errorf("job events %v", got)
	}
}

// TestHeldWhileBuilding is rule 8: members join at once, jobs wait for ACTIVE,
// and a rebuild emits only the difference.
func TestHeldWhileBuilding(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.allEvents()
	for n := range 1000 {
		f.thing(protocol.ThingName(fmt.Sprintf("dev%04d", n)), map[bool]string{true: "5", false: "6"}[n%2 == 0])
	}
	do(f, engine.CreateDynamicGroup{Name: "G", Query: "attributes.softwareVersion:5"})
	f.job("c", job.Continuous, groupARN("G"))
	f.job("s", job.Snapshot, groupARN("G"))
	f.active("G")
	want(t, "continuous", len(f.queuedAt("c")), 500)
	want(t, "snapshot", len(f.queuedAt("s")), 500)
	f.wire.take()
	query := "attributes.softwareVersion:(5 OR 6)"
	do(f, engine.UpdateDynamicGroup{Name: "G", Query: &query})
	f.active("G")
	want(t, "membership events of the rebuild", len(topics(f.wire.take(), "$aws/events/thingGroupMembership/")), 500)
	want(t, "continuous after the new query", len(f.queuedAt("c")), 1000)
	want(t, "snapshot after the new query", len(f.queuedAt("s")), 500)
}
