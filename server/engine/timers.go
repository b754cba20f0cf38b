package engine

import (
	"container/heap"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
)

// timer is a time at which to look at something again. It carries no decision:
// when it fires, the state says whether there is anything to do.
type timer struct {
	at     time.Time
	kind   timerKind
	job    protocol.JobID
	thing  protocol.ThingName
	number int64
}

type timerKind int

const (
	timerExpire  timerKind = iota // an execution may have timed out
	timerRelease                  // a job's rate may allow another execution
	timerSweep                    // clients have had their time to come back
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
		case timerSweep:
			t.sweepSessions()
		}
	}
}

// expire times an execution out, unless it got another deadline meanwhile.
func (t *tx) expire(due timer) {
	x, err := t.execution(due.thing, due.job, &due.number)
	if err != nil {
		return // deleted
	}
	if at := x.Expires(); !at.IsZero() && !at.After(t.now) {
		t.end(x, jobs.TimeOut, nil)
	}
}
