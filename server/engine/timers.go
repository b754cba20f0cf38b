package engine

import (
	"container/heap"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/job"
)

// timer is a time at which to look at something again. It carries no decision:
// when it fires, the state says whether there is anything to do.
type timer struct {
	at     time.Time
	kind   timerKind
	job    protocol.JobID
	group  protocol.ThingGroupName
	thing  protocol.ThingName
	number int64
	topic  string
}

type timerKind int

const (
	timerExpire   timerKind = iota // an execution may have timed out
	timerRelease                   // a job's rate may allow another execution
	timerDwell                     // a thing may have been a target for long enough
	timerSweep                     // clients have had their time to come back
	timerRetained                  // a retained message may have expired
	timerDebounce                  // a membership may have waited for long enough
)

// timers is a heap by time.
type timers struct{ heap timerHeap }

func (ts *timers) add(t timer) { heap.Push(&ts.heap, t) }

func (ts *timers) next() (at time.Time, ok bool) {
	if len(ts.heap) == 0 {
		return time.Time{}, false
	}
	return ts.heap[0].at, true
}

type timerHeap []timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(timer)) }
func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// fireTimers does what is due.
func (t *tx) fireTimers() error {
	for {
		at, ok := t.timers.next()
		if !ok || at.After(t.now) {
			return nil
		}
		due := heap.Pop(&t.timers.heap).(timer)
		switch due.kind {
		case timerExpire:
			t.expire(due)
		case timerRelease:
			if j := t.jobs[due.job]; j != nil {
				j.releaseSet = false
				t.releaseWaiting(j)
			}
		case timerDwell:
			t.endDwell(due)
		case timerSweep:
			if !t.now.Before(t.loadedAt.Add(t.cfg.Rules.ReconnectGrace)) {
				t.sweepSessions()
			}
		case timerRetained:
			t.expireRetained(due)
		case timerDebounce:
			t.endWait(due)
		}
	}
}

// arm sets a timer for the expiry of an execution, unless one is set that
// fires no later: progress reports must not pile timers up.
func (s *state) arm(x *job.Execution) {
	at := s.expires(x)
	set, armed := s.armed[x]
	switch {
	case at.IsZero():
		delete(s.armed, x)
	case !armed || at.Before(set):
		s.armed[x] = at
		s.timers.add(timer{at: at, kind: timerExpire, job: x.JobID, thing: x.Thing, number: x.Number})
	}
}

// expires returns when an execution times out; zero is never.
func (s *state) expires(x *job.Execution) time.Time {
	at := x.Expires()
	if at.IsZero() {
		return at
	}
	return s.notBefore(at)
}

// notBefore returns when something is due. What was due while the server was
// down is so only after a grace, so that devices can say first what happened
// meanwhile (rule 4).
func (s *state) notBefore(at time.Time) time.Time {
	if at.Before(s.loadedAt) {
		return s.loadedAt.Add(s.cfg.Rules.OverdueGrace)
	}
	return at
}

// expire times an execution out, or waits on if it got a later deadline meanwhile.
func (t *tx) expire(due timer) {
	x, err := t.execution(due.thing, due.job, &due.number)
	if err != nil {
		return // deleted
	}
	if at := t.expires(x); !at.IsZero() && !at.After(t.now) {
		t.end(x, jobs.TimeOut, nil)
		return
	}
	if t.armed[x].Equal(due.at) {
		delete(t.armed, x)
		t.arm(x)
	}
}
