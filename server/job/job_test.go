package job_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/rules"
)

var noon = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

// TestJobTransitions walks every (state, event) of a job.
func TestJobTransitions(t *testing.T) {
	want := map[job.Status]map[job.Event]job.Status{
		job.InProgress: {job.AllEnded: job.Completed, job.Cancel: job.Canceled, job.ForceCancel: job.Canceled, job.ForceDelete: job.Deleted},
		job.Completed:  {job.Delete: job.Deleted, job.ForceDelete: job.Deleted},
		job.Canceled:   {job.ForceCancel: job.Canceled, job.Delete: job.Deleted, job.ForceDelete: job.Deleted},
	}
	for _, s := range []job.Status{job.InProgress, job.Completed, job.Canceled, job.Deleted} {
		for _, e := range []job.Event{job.AllEnded, job.Cancel, job.ForceCancel, job.Delete, job.ForceDelete} {
			next, ok := s.Next(e)
			expect, allowed := want[s][e]
			if ok != allowed || next != expect {
				t.Errorf("%q, %s: got %q, %v; want %q, %v", s, e, next, ok, expect, allowed)
			}
		}
	}
}

func execution(s jobs.ExecutionStatus) *job.Execution {
	x := job.NewExecution("j", "dev1", 1, 1, noon)
	x.Status = s
	return &x
}

func TestPlan(t *testing.T) {
	left := func(x *job.Execution) *job.Execution { x.LeftByConnectivity = true; return x }
	limited := job.Job{ID: "j", Status: job.InProgress, RatePerMinute: 60, NextGrant: noon.Add(time.Second)}
	open := job.Job{ID: "j", Status: job.InProgress}
	for _, c := range []struct {
		name    string
		job     job.Job
		change  job.Change
		waiting int
		action  job.Action
		reason  job.Reason
	}{
		{"joins", open, job.Change{Joined: true}, 0, job.Queue, job.ReasonJoined},
		{"joins a canceled job", job.Job{Status: job.Canceled}, job.Change{Joined: true}, 0, job.Keep, job.ReasonNotInProgress},
		{"joins while queued", open, job.Change{Joined: true, Latest: execution(jobs.Queued)}, 0, job.Keep, job.ReasonPending},
		{"joins while running", open, job.Change{Joined: true, Latest: execution(jobs.InProgress)}, 0, job.Keep, job.ReasonPending},
		{"joins while waiting", open, job.Change{Joined: true, Waiting: true}, 1, job.Keep, job.ReasonWaiting},
		{"rejoins after REMOVED by connectivity", open, job.Change{Joined: true, ByConnectivity: true, Latest: left(execution(jobs.Removed))}, 0, job.Queue, job.ReasonJoined},
		{"rejoins after SUCCEEDED by connectivity", open, job.Change{Joined: true, ByConnectivity: true, Latest: left(execution(jobs.Succeeded))}, 0, job.Keep, job.ReasonReentry},
		{"rejoins after TIMED_OUT by connectivity", open, job.Change{Joined: true, ByConnectivity: true, Latest: left(execution(jobs.TimedOut))}, 0, job.Keep, job.ReasonReentry},
		{"rejoins after SUCCEEDED by another field", open, job.Change{Joined: true, Latest: left(execution(jobs.Succeeded))}, 0, job.Queue, job.ReasonJoined},
		{"left by another field, rejoins by connectivity", open, job.Change{Joined: true, ByConnectivity: true, Latest: execution(jobs.Failed)}, 0, job.Queue, job.ReasonJoined},
		{"enters twice within an hour", open, job.Change{Joined: true, Entry: 2}, 0, job.Queue, job.ReasonJoined},
		{"enters for the third time within an hour", open, job.Change{Joined: true, Entry: 3, Latest: execution(jobs.Removed)}, 0, job.Dwell, job.ReasonDwell},
		{"enters for the third time, while running", open, job.Change{Joined: true, Entry: 3, Latest: execution(jobs.InProgress)}, 0, job.Keep, job.ReasonPending},
		{"has dwelt", open, job.Change{Joined: true, Entry: 3, Dwelt: true}, 0, job.Queue, job.ReasonJoined},
		{"has dwelt, the rate is used up", limited, job.Change{Joined: true, Entry: 3, Dwelt: true}, 0, job.Hold, job.ReasonRate},
		{"joins while dwelling", open, job.Change{Joined: true, Entry: 4, Dwelling: true}, 0, job.Keep, job.ReasonWaiting},
		{"leaves while dwelling", open, job.Change{Dwelling: true, Latest: execution(jobs.Removed)}, 0, job.Forget, job.ReasonLeft},
		{"joins, the rate is used up", limited, job.Change{Joined: true}, 0, job.Hold, job.ReasonRate},
		{"joins, others wait", job.Job{Status: job.InProgress, RatePerMinute: 60}, job.Change{Joined: true}, 2, job.Hold, job.ReasonRate},
		{"is there at the start, the rate is used up", limited, job.Change{Joined: true, Initial: true}, 0, job.Hold, job.ReasonRate},
		{"leaves while queued", open, job.Change{Latest: execution(jobs.Queued)}, 0, job.Remove, job.ReasonLeft},
		{"leaves while running", open, job.Change{Latest: execution(jobs.InProgress)}, 0, job.Keep, job.ReasonInProgress},
		{"leaves after the end", open, job.Change{Latest: execution(jobs.Failed)}, 0, job.Keep, job.ReasonEnded},
		{"leaves without execution", open, job.Change{}, 0, job.Keep, job.ReasonEnded},
		{"leaves while waiting", open, job.Change{Waiting: true}, 1, job.Forget, job.ReasonLeft},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.change.Thing = "dev1"
			got := job.Plan(noon, c.job, rules.Safe(), []job.Change{c.change}, c.waiting)
			want := job.Decision{Thing: "dev1", Action: c.action, Reason: c.reason}
			if c.action == job.Dwell {
				want.Until = noon.Add(10 * time.Second)
			}
			if len(got) != 1 || got[0] != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestJoinersBypassRate is what AWS does: the rate is for the initial things only (rule 10).
func TestJoinersBypassRate(t *testing.T) {
	aws := rules.Safe()
	aws.RateCoversJoiners = false
	j := job.Job{ID: "j", Status: job.InProgress, RatePerMinute: 60, NextGrant: noon.Add(time.Second)}
	got := job.Plan(noon, j, aws, []job.Change{{Thing: "joiner", Joined: true}, {Thing: "initial", Joined: true, Initial: true}}, 0)
	if got[0].Action != job.Queue || got[1].Action != job.Hold {
		t.Errorf("got %+v", got)
	}
}

// TestRate: however things join and leave, no window of a minute sees more
// grants than the rate, and nobody waits while the rate allows.
func TestRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 1000).Draw(t, "rate")
		j := job.Job{ID: "j", Status: job.InProgress, RatePerMinute: rate}
		now, waiting := noon, 0
		var grants []time.Time
		grant := func() {
			grants = append(grants, now)
			j = j.Granted(rules.Safe(), now)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
			for waiting > 0 {
				if ok, at := j.Release(now); !ok {
					if !at.After(now) {
						t.Fatalf("asked to come back at %s, which is not after %s", at, now)
					}
					break
				}
				waiting--
				grant()
			}
			changes := make([]job.Change, rapid.IntRange(0, 30).Draw(t, "joins"))
			for i := range changes {
				changes[i] = job.Change{Thing: protocol.ThingName(fmt.Sprint(i)), Joined: true}
			}
			for _, d := range job.Plan(now, j, rules.Safe(), changes, waiting) {
				if d.Action == job.Queue {
					grant()
				} else {
					waiting++
				}
			}
		}
		for i, from := range grants {
			in := 0
			for _, g := range grants[i:] {
				if g.Before(from.Add(time.Minute)) {
					in++
				}
			}
			if in > rate {
				t.Fatalf("%d grants within a minute; the rate is %d", in, rate)
			}
		}
	})
}

func TestApply(t *testing.T) {
	one, two := int64(1), int64(2)
	long := int64(10081)
	for _, c := range []struct {
		name   string
		from   jobs.ExecutionStatus
		report job.Report
		want   jobs.ExecutionStatus
		code   protocol.Code
	}{
		{"start", jobs.Queued, job.Report{Status: jobs.InProgress}, jobs.InProgress, ""},
		{"ends before it started", jobs.Queued, job.Report{Status: jobs.Succeeded}, jobs.Succeeded, ""},
		{"expected version", jobs.Queued, job.Report{Status: jobs.InProgress, ExpectedVersion: &one}, jobs.InProgress, ""},
		{"wrong version", jobs.Queued, job.Report{Status: jobs.InProgress, ExpectedVersion: &two}, "", protocol.VersionConflict},
		{"terminal", jobs.Succeeded, job.Report{Status: jobs.InProgress}, "", protocol.TerminalState},
		{"terminal before version", jobs.Succeeded, job.Report{Status: jobs.InProgress, ExpectedVersion: &two}, "", protocol.TerminalState},
		{"service state", jobs.InProgress, job.Report{Status: jobs.Canceled}, "", protocol.InvalidRequest},
		{"no state", jobs.InProgress, job.Report{}, "", protocol.InvalidRequest},
		{"step timeout too long", jobs.InProgress, job.Report{Status: jobs.InProgress, StepMinutes: &long}, "", protocol.InvalidRequest},
		{"bad details key", jobs.InProgress, job.Report{Status: jobs.InProgress, Details: jobs.StatusDetails{"a b": "x"}}, "", protocol.InvalidRequest},
		{"control character", jobs.InProgress, job.Report{Status: jobs.InProgress, Details: jobs.StatusDetails{"a": "x\x00"}}, "", protocol.InvalidRequest},
		{"invalid UTF-8", jobs.InProgress, job.Report{Status: jobs.InProgress, Details: jobs.StatusDetails{"a": "x\xff"}}, "", protocol.InvalidRequest},
		{"long value", jobs.InProgress, job.Report{Status: jobs.InProgress, Details: jobs.StatusDetails{"a": strings.Repeat("é", 1024)}}, jobs.InProgress, ""},
		{"too long value", jobs.InProgress, job.Report{Status: jobs.InProgress, Details: jobs.StatusDetails{"a": strings.Repeat("é", 1025)}}, "", protocol.InvalidRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := execution(c.from)
			next, err := x.Apply(c.report, 0, noon)
			if c.code != "" {
				if err == nil || protocol.CodeOf(err) != c.code || next.Version != x.Version {
					t.Errorf("error %v, version %d; want code %s and no change", err, next.Version, c.code)
				}
				return
			}
			if err != nil || next.Status != c.want || next.Version != x.Version+1 {
				t.Errorf("got %s, version %d, %v; want %s", next.Status, next.Version, err, c.want)
			}
		})
	}
}

func TestPendingOrder(t *testing.T) {
	at := func(id string, s jobs.ExecutionStatus, second, seq int64) *job.Execution {
		x := job.NewExecution(protocol.JobID(id), "dev1", 1, seq, noon.Add(time.Duration(second)*time.Second))
		x.Status = s
		return &x
	}
	got := job.Refs(job.Pending([]*job.Execution{
		at("c", jobs.Queued, 3, 5), at("b", jobs.Queued, 3, 4), at("running", jobs.InProgress, 9, 9),
		at("a", jobs.Queued, 1, 1), at("done", jobs.Succeeded, 0, 0),
	}))
	for i, want := range []protocol.JobID{"running", "a", "b", "c"} {
		if got[i].JobID != want || len(got) != 4 {
			t.Fatalf("order %+v", got)
		}
	}
}

func TestCheckDocument(t *testing.T) {
	for doc, ok := range map[string]bool{
		`{}`: true, `{"a":[1,2]}`: true, ` {"a":1} `: true,
		``: false, `null`: false, `[]`: false, `"x"`: false, `{`: false, `{} {}`: false,
		`{"muster":1,"operation":"install","product":"app","target":"app/a","version":"6","seq":1}`: true,
		`{"muster":2,"operation":"install","product":"app","target":"app/a","version":"6","seq":1}`: false,
		`{"muster":1,"operation":"run","product":"app","target":"app/a","version":"6","seq":1}`:     false,
		`{"muster":1,"operation":"install","product":"app","version":"6","seq":1}`:                  false,
		`{"muster":"x"}`: false,
		`{"a":"` + strings.Repeat("x", 32768) + `"}`: false,
	} {
		if err := job.CheckDocument("j", doc); (err == nil) != ok {
			t.Errorf("%.60s: %v, want ok %v", doc, err, ok)
		}
	}
}
