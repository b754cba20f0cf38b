package engine

import (
	"slices"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/registry"
)

// CreateJob makes a job (AWS IoT reference 6.2). Creating it again with the
// same configuration answers the existing one.
type CreateJob struct {
	ID             protocol.JobID
	Targets        []string // ARNs of things and thing groups
	Document       string
	Description    string
	Selection      job.Selection // empty is Snapshot
	RatePerMinute  int           // 0 is none
	TimeoutMinutes int64         // 0 is none
	Tags           registry.Tags
}

func (in CreateJob) step(t *tx) (job.Job, error) {
	j, err := in.check(t.state)
	if err != nil {
		return job.Job{}, err
	}
	if old := t.jobs[in.ID]; old != nil {
		if same(j, old.Job) {
			return old.Job, nil
		}
		err := protocol.Errorf(protocol.AlreadyExists, "job %q exists already with another configuration", in.ID)
		err.ResourceID, err.ResourceARN = string(in.ID), old.ARN
		return job.Job{}, err
	}
	if err := t.checkTargets(j); err != nil {
		return job.Job{}, err
	}
	j.CreatedAt, j.LastUpdatedAt = t.now, t.now
	for _, g := range j.Groups {
		if t.groups[g].Status.NeedsScan() {
			j.Awaiting = append(j.Awaiting, g)
		}
	}
	e := &jobEntry{Job: j, latest: map[protocol.ThingName]*job.Execution{}, counts: job.Counts{}}
	t.jobs[j.ID] = e
	t.jobOrder.insert(j.CreatedAt, j.ID)
	t.follow(e)
	t.putJob(e)
	t.tag(protocol.KindJob, string(j.ID), in.Tags)
	t.enterInitial(e)
	t.ended = append(t.ended, j.ID)
	return e.Job, nil
}

// check builds the job, or says what is wrong with the request.
func (in CreateJob) check(s *state) (job.Job, error) {
	j := job.Job{
		ID: in.ID, ARN: s.arn(protocol.KindJob, string(in.ID)), Description: in.Description,
		Selection: in.Selection, Document: in.Document,
		RatePerMinute: in.RatePerMinute, TimeoutMinutes: in.TimeoutMinutes, Status: job.InProgress,
	}
	if j.Selection == "" {
		j.Selection = job.Snapshot
	}
	switch {
	case !in.ID.Valid():
		return j, protocol.Errorf(protocol.InvalidRequest, "job id %q is not 1 to 64 of [a-zA-Z0-9_-]", in.ID)
	case j.Selection != job.Snapshot && j.Selection != job.Continuous:
		return j, protocol.Errorf(protocol.InvalidRequest, "targetSelection %q of job %q is not SNAPSHOT or CONTINUOUS", in.Selection, in.ID)
	case len(in.Targets) == 0 || len(in.Targets) > 100:
		return j, protocol.Errorf(protocol.InvalidRequest, "job %q has %d targets; want 1 to 100", in.ID, len(in.Targets))
	case in.RatePerMinute < 0 || in.RatePerMinute > 1000:
		return j, protocol.Errorf(protocol.InvalidRequest, "maximumPerMinute %d of job %q is not 1 to 1000", in.RatePerMinute, in.ID)
	case in.TimeoutMinutes < 0 || in.TimeoutMinutes > 10080:
		return j, protocol.Errorf(protocol.InvalidRequest, "inProgressTimeoutInMinutes %d of job %q is not 1 to 10080", in.TimeoutMinutes, in.ID)
	}
	if err := job.CheckDocument(in.ID, in.Document); err != nil {
		return j, err
	}
	if err := in.Tags.Check(); err != nil {
		return j, err
	}
	for _, target := range in.Targets {
		if err := s.addTarget(&j, target); err != nil {
			return job.Job{}, err
		}
	}
	return j, nil
}

// same reports whether a request describes the job that has its id.
func same(asked, old job.Job) bool {
	return slices.Equal(asked.Targets, old.Targets) && asked.Document == old.Document && asked.Description == old.Description &&
		asked.Selection == old.Selection && asked.RatePerMinute == old.RatePerMinute && asked.TimeoutMinutes == old.TimeoutMinutes
}

// addTarget adds what a target ARN names to a job.
func (s *state) addTarget(j *job.Job, target string) error {
	r, err := s.resourceOf(target)
	if err != nil {
		return err
	}
	switch r.kind {
	case protocol.KindThing:
		n := protocol.ThingName(r.name)
		if !slices.Contains(j.Things, n) {
			j.Things = append(j.Things, n)
		}
	case protocol.KindThingGroup:
		g := protocol.ThingGroupName(r.name)
		if !slices.Contains(j.Groups, g) {
			j.Groups = append(j.Groups, g)
		}
	default:
		return protocol.Errorf(protocol.InvalidRequest, "target %q of job %q is neither a thing nor a thing group", target, j.ID)
	}
	j.Targets = append(j.Targets, s.arn(r.kind, r.name))
	return nil
}

// checkTargets returns a NotFound if a target of the job does not exist.
func (s *state) checkTargets(j job.Job) error {
	for _, n := range j.Things {
		if _, err := s.registered(n); err != nil {
			return err
		}
	}
	for _, g := range j.Groups {
		if s.groups[g] == nil {
			return groupNotFound(g)
		}
	}
	return nil
}

// enterInitial plans the things that the job targets at its creation.
func (t *tx) enterInitial(j *jobEntry) {
	seen := map[protocol.ThingName]bool{}
	var changes []job.Change
	add := func(n protocol.ThingName) {
		if !seen[n] {
			seen[n] = true
			c := t.change(j, n, true, false)
			c.Initial = true
			changes = append(changes, c)
		}
	}
	for _, n := range j.Things {
		add(n)
	}
	for _, g := range j.Groups {
		if !slices.Contains(j.Awaiting, g) {
			for _, n := range t.members(g) {
				add(n)
			}
		}
	}
	t.plan(j, changes)
}

// follow files a job in progress under the groups it targets.
func (s *state) follow(j *jobEntry) {
	for _, g := range j.Groups {
		s.targetingGroup[g] = append(s.targetingGroup[g], j.ID)
	}
}

func (s *state) unfollow(j *jobEntry) {
	for _, g := range j.Groups {
		if s.targetingGroup[g] = remove(s.targetingGroup[g], j.ID); len(s.targetingGroup[g]) == 0 {
			delete(s.targetingGroup, g)
		}
	}
}

func (t *tx) putJob(j *jobEntry) { t.put(protocol.GlobalShard, kindJob, string(j.ID), j.Job) }

func (s *state) job(id protocol.JobID) (*jobEntry, error) {
	if j := s.jobs[id]; j != nil {
		return j, nil
	}
	return nil, protocol.Errorf(protocol.NotFound, "job %q does not exist", id)
}

// close moves a job out of IN_PROGRESS, or a canceled one to force-canceled.
func (t *tx) close(j *jobEntry, e job.Event) bool {
	next, ok := j.Status.Next(e)
	if !ok {
		return false
	}
	if j.Status == job.InProgress {
		t.unfollow(j)
		j.CompletedAt = t.now
	}
	for _, n := range j.waiting.all() {
		t.forgetWaiting(j, n)
	}
	t.forgetAllVisits(j)
	j.Status, j.LastUpdatedAt = next, t.now
	return true
}

// completeIfEnded completes a snapshot job that has nothing left to do.
func (t *tx) completeIfEnded(id protocol.JobID) {
	j := t.jobs[id]
	if j == nil || j.Selection != job.Snapshot || len(j.Awaiting) > 0 || j.waiting.len() > 0 || !j.counts.Ended() {
		return
	}
	if t.close(j, job.AllEnded) {
		t.putJob(j)
		t.jobEvent(j, "completed")
	}
}

// CancelJob ends a job (AWS IoT reference 6.4): queued executions become
// CANCELED, running ones only with Force.
type CancelJob struct {
	ID         protocol.JobID
	Force      bool
	ReasonCode string
	Comment    string
}

func (in CancelJob) step(t *tx) (job.Job, error) {
	j, err := t.job(in.ID)
	if err != nil {
		return job.Job{}, err
	}
	cancelJob, cancel := job.Cancel, jobs.Cancel
	if in.Force {
		cancelJob, cancel = job.ForceCancel, jobs.ForceCancel
	}
	if _, ok := j.Status.Next(cancelJob); !ok {
		return job.Job{}, protocol.Errorf(protocol.InvalidRequest, "job %q is %s: it cannot be canceled", in.ID, j.Status)
	}
	t.jobEvent(j, "cancellation_in_progress")
	t.close(j, cancelJob)
	j.ForceCanceled = j.ForceCanceled || in.Force
	if in.ReasonCode != "" || in.Comment != "" { // a second, forced cancel without them keeps those of the first
		j.ReasonCode, j.Comment = in.ReasonCode, in.Comment
	}
	t.putJob(j)
	for _, x := range j.execs {
		if !x.Status.Terminal() {
			t.end(x, cancel, nil)
		}
	}
	t.jobEvent(j, "canceled")
	return j.Job, nil
}

// DeleteJob removes a job and its executions; one in progress only with Force.
type DeleteJob struct {
	ID    protocol.JobID
	Force bool
}

func (in DeleteJob) step(t *tx) (struct{}, error) {
	j, err := t.job(in.ID)
	if err != nil {
		return struct{}{}, err
	}
	deletion := job.Delete
	if in.Force {
		deletion = job.ForceDelete
	}
	if _, ok := j.Status.Next(deletion); !ok {
		return struct{}{}, protocol.Errorf(protocol.InvalidStateTransition, "job %q is %s: cancel it first, or delete it with force", in.ID, j.Status)
	}
	t.jobEvent(j, "deletion_in_progress")
	t.close(j, deletion)
	for _, x := range j.execs {
		t.touchQueue(x.Thing)
		e := t.names[x.Thing]
		e.execs = remove(e.execs, x)
		delete(t.armed, x)
		t.delThing(x.Thing, kindExecution, executionKey(x))
	}
	delete(t.jobs, in.ID)
	t.jobOrder.remove(j.CreatedAt, in.ID)
	t.del(protocol.GlobalShard, kindJob, string(in.ID))
	t.untag(protocol.KindJob, string(in.ID))
	t.jobEvent(j, "deleted")
	return struct{}{}, nil
}

func (t *tx) jobEvent(j *jobEntry, word string) {
	if !t.events.Enabled[event.Job] {
		return
	}
	m := event.JobChange{
		EventType: "JOB", EventID: t.cfg.NewID(), Timestamp: t.now.Unix(), Operation: word,
		JobID: string(j.ID), Status: string(j.Status), TargetSelection: string(j.Selection), Targets: j.Targets,
		Description: j.Description, Comment: j.Comment,
		CreatedAt: j.CreatedAt.UnixMilli(), LastUpdatedAt: j.LastUpdatedAt.UnixMilli(),
	}
	switch word {
	case "completed":
		m.CompletedAt = j.CompletedAt.UnixMilli()
		m.JobProcessDetails = map[string]int{
			"numberOfCanceledThings": j.counts[jobs.Canceled], "numberOfRejectedThings": j.counts[jobs.Rejected],
			"numberOfFailedThings": j.counts[jobs.Failed], "numberOfRemovedThings": j.counts[jobs.Removed],
			"numberOfSucceededThings": j.counts[jobs.Succeeded], "numberOfTimedOutThings": j.counts[jobs.TimedOut],
		}
	case "deletion_in_progress", "deleted":
		m.Status = "DELETION_IN_PROGRESS"
	}
	t.publish(topic.Event("job", string(j.ID), word), marshal(m))
}
