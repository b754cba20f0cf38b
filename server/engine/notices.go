package engine

import (
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/job"
)

// queues remembers how the queues of a step's things looked before it, in
// the order in which they were touched.
type queues struct {
	order  []protocol.ThingName
	before map[protocol.ThingName][]job.Ref
}

// touchQueue notes a thing's queue before the step changes it.
func (t *tx) touchQueue(n protocol.ThingName) {
	if _, noted := t.queues.before[n]; noted {
		return
	}
	if t.queues.before == nil {
		t.queues.before = map[protocol.ThingName][]job.Ref{}
	}
	t.queues.before[n] = job.Refs(job.Pending(t.name(n).execs))
	t.queues.order = append(t.queues.order, n)
}

// notifyQueues publishes notify and notify-next for every queue that the step
// changed (AWS IoT reference 7.4 and 7.5).
func (t *tx) notifyQueues() {
	for _, n := range t.queues.order {
		pending := job.Pending(t.name(n).execs)
		notify, next := job.Notices(t.queues.before[n], job.Refs(pending))
		if notify {
			t.publish(topic.Jobs(n, "notify"), marshal(notifyMessage(pending, t.now)))
		}
		if next {
			m := jobs.NotifyNext{Timestamp: t.now.Unix()}
			if len(pending) > 0 {
				m.Execution = t.message(pending[0], true)
				m.Execution.ThingName = ""
			}
			t.publish(topic.Jobs(n, "notify-next"), marshal(m))
		}
		t.tidy(n)
	}
}

func notifyMessage(pending []*job.Execution, now time.Time) jobs.Notify {
	m := jobs.Notify{Timestamp: now.Unix(), Jobs: map[jobs.ExecutionStatus][]jobs.Summary{}}
	for _, x := range pending[:min(len(pending), jobs.NotifyLimit)] {
		m.Jobs[x.Status] = append(m.Jobs[x.Status], summary(x))
	}
	return m
}

func summary(x *job.Execution) jobs.Summary {
	return jobs.Summary{
		JobID: x.JobID, QueuedAt: x.QueuedAt.Unix(), StartedAt: seconds(x.StartedAt), LastUpdatedAt: x.LastUpdatedAt.Unix(),
		ExecutionNumber: x.Number, VersionNumber: x.Version,
	}
}

// message is an execution as its device sees it, with the document if wanted.
func (t *tx) message(x *job.Execution, document bool) *jobs.Execution {
	m := &jobs.Execution{
		JobID: x.JobID, ThingName: x.Thing, Status: x.Status, StatusDetails: x.Details,
		QueuedAt: x.QueuedAt.Unix(), StartedAt: seconds(x.StartedAt), LastUpdatedAt: x.LastUpdatedAt.Unix(),
		VersionNumber: x.Version, ExecutionNumber: x.Number,
	}
	if at := x.Expires(); !at.IsZero() {
		left := max(0, int64(at.Sub(t.now)/time.Second))
		m.SecondsBeforeTimedOut = &left
	}
	if document {
		m.JobDocument = []byte(t.jobs[x.JobID].Document)
	}
	return m
}

func seconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}
