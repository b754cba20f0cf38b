package engine

import (
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/job"
)

// Explanation is what a job makes of a thing, and why it has no execution yet.
type Explanation struct {
	// Target is whether the thing is in the job's targets.
	Target bool
	// Reason says what the thing waits for, or why it does not.
	Reason job.Reason
	// Until is when the wait ends, if that is known.
	Until time.Time
	// Entries counts how often the thing came into the targets within
	// [job.EntryWindow]; 0 if that does not matter here.
	Entries int
	// Latest is the thing's latest execution, nil if it has none.
	Latest *job.Execution
}

// Explain says what a job makes of a registered thing, or a NotFound.
func (v *View) Explain(n protocol.ThingName, id protocol.JobID) (Explanation, error) {
	j, err := v.t.job(id)
	if err != nil {
		return Explanation{}, err
	}
	if _, err := v.t.registered(n); err != nil {
		return Explanation{}, err
	}
	x := Explanation{Entries: len(j.visits[n].At)}
	_, x.Target = v.t.targets(j, n, nil)
	if last := j.latest[n]; last != nil {
		copied := *last
		x.Latest = &copied
	}
	x.Reason, x.Until = v.t.reason(j, n, x.Target)
	return x, nil
}

func (s *state) reason(j *jobEntry, n protocol.ThingName, target bool) (job.Reason, time.Time) {
	last := j.latest[n]
	switch {
	case j.dwelling(n):
		return job.ReasonDwell, j.visits[n].Until
	case j.waiting.has(n):
		return job.ReasonRate, time.Time{}
	case last != nil && !last.Status.Terminal():
		return job.ReasonPending, time.Time{}
	case j.Status != job.InProgress:
		return job.ReasonNotInProgress, time.Time{}
	case !target && s.joins(j, n):
		return job.ReasonNotActive, time.Time{}
	case !target:
		return job.ReasonNoTarget, time.Time{}
	}
	return job.ReasonEnded, time.Time{}
}

// joins reports whether a thing is in a target group that is not ACTIVE yet.
func (s *state) joins(j *jobEntry, n protocol.ThingName) bool {
	return slices.ContainsFunc(j.Groups, func(g protocol.ThingGroupName) bool { return s.matcher.Contains(g, s.index.Get(n)) })
}
