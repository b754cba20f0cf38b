package engine

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/protocol/update"
	"github.com/muster-iot/muster/server/job"
)

// StartNext starts the head of a thing's queue (AWS IoT reference 7.2). The
// answer is nil when nothing is pending.
type StartNext struct {
	Thing   protocol.ThingName
	Request jobs.StartNextRequest
	// Session gets the accepted message; 0 is none.
	Session uint64
}

func (in StartNext) step(t *tx) (*jobs.Execution, error) {
	e, err := t.registered(in.Thing)
	if err != nil {
		return nil, err
	}
	answer := jobs.ExecutionAccepted{Timestamp: t.now.Unix(), ClientToken: in.Request.ClientToken}
	if pending := job.Pending(e.execs); len(pending) > 0 {
		x := pending[0]
		j := t.jobs[x.JobID]
		next, err := x.Start(in.Request.StatusDetails, in.Request.StepTimeoutInMinutes, j.Timeout(t.cfg.Rules.SignedTargetTimeout), t.now)
		if err != nil {
			return nil, err
		}
		t.set(x, next)
		answer.Execution = t.message(x, true)
	}
	t.reply(in.Session, topic.Jobs(in.Thing, "start-next"+topic.Accepted), marshal(answer))
	return answer.Execution, nil
}

// UpdateExecution is a device's report about an execution.
type UpdateExecution struct {
	Thing   protocol.ThingName
	JobID   protocol.JobID
	Request jobs.UpdateRequest
	Session uint64
}

func (in UpdateExecution) step(t *tx) (jobs.UpdateAccepted, error) {
	var none jobs.UpdateAccepted
	x, err := t.execution(in.Thing, in.JobID, in.Request.ExecutionNumber)
	if err != nil {
		return none, err
	}
	j := t.jobs[in.JobID]
	report := t.verify(j, job.Report{
		Status: in.Request.Status, Details: in.Request.StatusDetails,
		ExpectedVersion: (*int64)(in.Request.ExpectedVersion), StepMinutes: in.Request.StepTimeoutInMinutes,
	})
	next, err := x.Apply(report, j.Timeout(t.cfg.Rules.SignedTargetTimeout), t.now)
	if err != nil {
		return none, err
	}
	t.set(x, next)
	answer := jobs.UpdateAccepted{Timestamp: t.now.Unix(), ClientToken: in.Request.ClientToken}
	if in.Request.IncludeJobExecutionState {
		s := x.State()
		answer.ExecutionState = &s
	}
	if in.Request.IncludeJobDocument {
		answer.JobDocument = []byte(j.Document)
	}
	t.reply(in.Session, topic.Job(in.Thing, in.JobID, "update"+topic.Accepted), marshal(answer))
	if next.Status == jobs.Succeeded && t.cfg.Rules.AtomicSuccess {
		t.reportVersion(in.Thing, report.Details) // not those kept from a progress report: they may be of before the update
	}
	return answer, nil
}

// verify turns a success into a failure when the device reports another
// version or release counter than those of the signed target (rule 1). A device that reports
// neither keeps AWS's order: its version comes in its shadow.
func (t *tx) verify(j *jobEntry, r job.Report) job.Report {
	doc, ours := j.Target()
	if r.Status != jobs.Succeeded || !ours || !t.cfg.Rules.VerifyReported {
		return r
	}
	differs := ""
	details := jobs.StatusDetails{}
	for _, c := range []struct{ key, want string }{
		{update.KeySoftwareVersion, doc.Version},
		{update.KeySoftwareSeq, strconv.FormatInt(doc.Seq, 10)},
	} {
		got, reported := r.Details[c.key]
		if !reported {
			continue
		}
		details[c.key] = got
		if got != c.want && differs == "" {
			differs = fmt.Sprintf("device reports %s %.64s, the job wants %.64s", c.key, got, c.want)
		}
	}
	if differs == "" {
		return r
	}
	details[update.KeyReason] = differs
	r.Status, r.Details = jobs.Failed, details
	return r
}

// execution finds an execution; number nil is the latest.
func (s *state) execution(thing protocol.ThingName, id protocol.JobID, number *int64) (*job.Execution, error) {
	j := s.jobs[id]
	if j == nil {
		return nil, protocol.Errorf(protocol.NotFound, "job %q does not exist", id)
	}
	x := j.latest[thing]
	if number != nil && (x == nil || x.Number != *number) {
		x = nil
		if e := s.names[thing]; e != nil {
			i := slices.IndexFunc(e.execs, func(x *job.Execution) bool { return x.JobID == id && x.Number == *number })
			if i >= 0 {
				x = e.execs[i]
			}
		}
	}
	if x == nil {
		return nil, protocol.Errorf(protocol.NotFound, "job %q has no such execution on thing %q", id, thing)
	}
	return x, nil
}

// set stores the next state of an execution.
func (t *tx) set(x *job.Execution, next job.Execution) {
	t.touchQueue(x.Thing)
	j := t.jobs[x.JobID]
	wasEnded := x.Status.Terminal()
	if j.latest[x.Thing] == x {
		j.counts[x.Status]--
		j.counts[next.Status]++
	}
	*x = next
	t.putThing(x.Thing, kindExecution, executionKey(x), x)
	t.arm(x)
	if x.Status.Terminal() && !wasEnded {
		t.ended = append(t.ended, x.JobID)
		t.executionEvent(x)
	}
}

// end applies an event of the service, if it is allowed and changes anything.
func (t *tx) end(x *job.Execution, e jobs.Event, details jobs.StatusDetails) {
	if next, changed, err := x.End(e, details, t.now); err == nil && changed {
		t.set(x, next)
	}
}

func (t *tx) executionEvent(x *job.Execution) {
	if !t.events.Enabled[event.JobExecution] {
		return
	}
	word := map[jobs.ExecutionStatus]string{
		jobs.Succeeded: "succeeded", jobs.Failed: "failed", jobs.Rejected: "rejected",
		jobs.Canceled: "canceled", jobs.TimedOut: "timed_out", jobs.Removed: "removed",
	}[x.Status]
	t.publish(topic.Event("jobExecution", string(x.JobID), word), marshal(event.JobExecutionChange{
		EventType: "JOB_EXECUTION", EventID: t.cfg.NewID(), Timestamp: t.now.Unix(), Operation: word,
		JobID: string(x.JobID), ThingARN: t.arn(protocol.KindThing, string(x.Thing)), Status: x.Status,
		StatusDetails: x.Details, ExecutionNumber: x.Number,
	}))
}

// CancelExecution ends one execution (AWS IoT reference 6.4); a running one
// only with Force.
type CancelExecution struct {
	Thing           protocol.ThingName
	JobID           protocol.JobID
	Force           bool
	ExpectedVersion *int64
	Details         jobs.StatusDetails
}

func (in CancelExecution) step(t *tx) (struct{}, error) {
	x, err := t.execution(in.Thing, in.JobID, nil)
	if err != nil {
		return struct{}{}, err
	}
	if in.ExpectedVersion != nil && *in.ExpectedVersion != x.Version {
		return struct{}{}, protocol.Errorf(protocol.VersionConflict, "execution of job %q on thing %q has version %d, not the expected %d", in.JobID, in.Thing, x.Version, *in.ExpectedVersion)
	}
	if err := job.CheckDetails(in.Details); err != nil {
		return struct{}{}, err
	}
	cancel := jobs.Cancel
	if in.Force {
		cancel = jobs.ForceCancel
	}
	next, _, err := x.End(cancel, in.Details, t.now)
	if err != nil {
		return struct{}{}, err
	}
	t.set(x, next)
	return struct{}{}, nil
}
