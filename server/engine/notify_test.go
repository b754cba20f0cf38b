package engine_test

import (
	"slices"
	"testing"

	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/rules"
)

// TestNotifyMatrix is the table of AWS IoT reference 7.5.
func TestNotifyMatrix(t *testing.T) {
	create := func(id string) func(*fleet) {
		return func(f *fleet) { f.job(jobID(id), job.Snapshot, thingARN("dev1")) }
	}
	start1 := func(f *fleet) { f.startNext("dev1") }
	status := func(id string, s jobs.ExecutionStatus) func(*fleet) {
		return func(f *fleet) { f.update("dev1", jobID(id), s, nil) }
	}
	for _, c := range []struct {
		name         string
		before       []func(*fleet)
		happening    func(*fleet)
		notify, next bool
	}{
		{"first job created, queue was empty", nil, create("a"), true, true},
		{"second job created", []func(*fleet){create("a")}, create("b"), true, false},
		{"head started by start-next", []func(*fleet){create("a")}, start1, false, false},
		{"head started by update", []func(*fleet){create("a")}, status("a", jobs.InProgress), false, false},
		{"progress update", []func(*fleet){create("a"), start1}, status("a", jobs.InProgress), false, false},
		{"head ends, another waits", []func(*fleet){create("a"), create("b"), start1}, status("a", jobs.Succeeded), true, true},
		{"head ends, queue empty", []func(*fleet){create("a"), start1}, status("a", jobs.Failed), true, true},
		{"queued head ends at once", []func(*fleet){create("a")}, status("a", jobs.Succeeded), true, true},
		{"non-head queued execution is rejected", []func(*fleet){create("a"), create("b")}, status("b", jobs.Rejected), true, false},
		{"non-head queued execution is canceled", []func(*fleet){create("a"), create("b")}, func(f *fleet) {
			do(f, engine.CancelExecution{Thing: "dev1", JobID: "b"})
		}, true, false},
		{"non-head started while head is queued", []func(*fleet){create("a"), create("b")}, status("b", jobs.InProgress), false, true},
		{"non-head started while head is running", []func(*fleet){create("a"), create("b"), start1}, status("b", jobs.InProgress), false, false},
		{"only job deleted with force", []func(*fleet){create("a")}, func(f *fleet) {
			do(f, engine.DeleteJob{ID: "a", Force: true})
		}, true, true},
		{"job canceled without force while running", []func(*fleet){create("a"), start1}, func(f *fleet) {
			do(f, engine.CancelJob{ID: "a"})
		}, false, false},
		{"job canceled with force while running", []func(*fleet){create("a"), start1}, func(f *fleet) {
			do(f, engine.CancelJob{ID: "a", Force: true})
		}, true, true},
		{"thing deleted", []func(*fleet){create("a")}, func(f *fleet) { do(f, engine.DeleteThing{Name: "dev1"}) }, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := queueOf(t)
			for _, step := range c.before {
				step(f)
			}
			f.wire.take()
			c.happening(f)
			got := topics(f.wire.take(), "things/dev1/jobs/")
			if slices.Contains(got, "notify") != c.notify || slices.Contains(got, "notify-next") != c.next {
				t.Errorf("sent %v; want notify %v, notify-next %v", got, c.notify, c.next)
			}
			if c.notify && c.next && !slices.Equal(got[len(got)-2:], []string{"notify", "notify-next"}) {
				t.Errorf("order %v", got)
			}
		})
	}
}

func queueOf(t *testing.T) *fleet {
	t.Helper()
	f := start(t, nil, rules.Safe())
	f.thing("dev1", "5")
	return f
}

// TestAnswersOfUpdates: the requester alone gets the answer, before the
// notifications, with state and document only when asked for.
func TestAnswersOfUpdates(t *testing.T) {
	f := queueOf(t)
	f.job("a", job.Snapshot, thingARN("dev1"))
	f.wire.take()
	in := engine.UpdateExecution{Thing: "dev1", JobID: "a", Session: 7, Request: jobs.UpdateRequest{
		Status: jobs.Succeeded, IncludeJobExecutionState: true, IncludeJobDocument: true, ClientToken: "c1",
	}}
	answer := do(f, in)
	if answer.ExecutionState == nil || answer.ExecutionState.Status != jobs.Succeeded || answer.ExecutionState.VersionNumber != 2 || string(answer.JobDocument) != `{"do":"it"}` {
		t.Errorf("answer %+v", answer)
	}
	all := f.wire.take()
	if len(all) != 3 || all[0].session != 7 {
		t.Fatalf("sent %+v", all)
	}
	want(t, "order", topics(all, "things/dev1/jobs/"), []string{"a/update/accepted", "notify", "notify-next"})
	refused(f, in, "TerminalState")
	refused(f, engine.UpdateExecution{Thing: "dev1", JobID: "nope", Request: in.Request}, "ResourceNotFound")
}
