package job

import (
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/rules"
)

// Change is that a thing came into, or went out of, the targets of a job.
type Change struct {
	Thing  protocol.ThingName
	Joined bool
	// Initial is set for the things that the job targets when it starts; the
	// others are joiners.
	Initial bool
	// ByConnectivity is set when nothing but connectivity.* caused the change.
	ByConnectivity bool
	// Latest is the thing's latest execution of the job, nil when it has none.
	Latest *Execution
	// Waiting is set when the thing waits for the rate already.
	Waiting bool
	// Entry counts the thing's entries within [EntryWindow], this one
	// included; Dwelling is set while it waits for the end of its dwell, Dwelt
	// when that is why it comes again.
	Entry           int
	Dwelling, Dwelt bool
}

// Action is what a decision does.
type Action string

const (
	// Queue makes a new execution now.
	Queue Action = "queue"
	// Hold lets the thing wait until the rate allows an execution.
	Hold Action = "hold"
	// Dwell lets the thing wait until it has been a target for a while.
	Dwell Action = "dwell"
	// Forget ends the waiting.
	Forget Action = "forget"
	// Remove ends a queued execution as REMOVED.
	Remove Action = "remove"
	// Keep does nothing; the reason says why.
	Keep Action = "keep"
)

// Reason names why a decision was taken.
type Reason string

// The reasons of the planner.
const (
	ReasonJoined        Reason = "joined"               // the thing is a target now
	ReasonRate          Reason = "rate"                 // the job's rate is used up
	ReasonPending       Reason = "execution-pending"    // its last execution has not ended
	ReasonWaiting       Reason = "waiting"              // it waits already
	ReasonDwell         Reason = "dwell"                // it comes and goes, and has to stay first (rule 5)
	ReasonReentry       Reason = "reentry-connectivity" // only connectivity brought it back, and its last execution had ended (rule 5)
	ReasonLeft          Reason = "left"                 // the thing is a target no more
	ReasonInProgress    Reason = "in-progress-kept"     // running executions outlive the leave (rule 4)
	ReasonEnded         Reason = "execution-ended"      // terminal states stay
	ReasonNotInProgress Reason = "job-not-in-progress"  // the job makes no executions any more
	ReasonNotActive     Reason = "group-not-active"     // it is a member of a group that is not ACTIVE yet (rule 8)
	ReasonNoTarget      Reason = "no-target"            // the thing is not a target
)

// Decision is what becomes of one thing in one job, and why.
type Decision struct {
	Thing  protocol.ThingName
	Action Action
	Reason Reason
	// Until is the end of a dwell.
	Until time.Time
}

// Plan decides what a batch of changes of a job's targets does. waiting is
// the number of things that wait for the rate before the batch. The order of
// the decisions is that of the changes.
func Plan(now time.Time, j Job, r rules.Rules, changes []Change, waiting int) []Decision {
	decisions := make([]Decision, 0, len(changes))
	for _, c := range changes {
		var d Decision
		if c.Joined {
			d = planJoin(now, &j, r, c, waiting)
		} else {
			d = planLeave(c)
		}
		switch {
		case d.Action == Hold:
			waiting++
		case d.Action == Forget && c.Waiting:
			waiting--
		}
		d.Thing = c.Thing
		decisions = append(decisions, d)
	}
	return decisions
}

func planJoin(now time.Time, j *Job, r rules.Rules, c Change, waiting int) Decision {
	switch {
	case j.Status != InProgress:
		return Decision{Action: Keep, Reason: ReasonNotInProgress}
	case c.Waiting, c.Dwelling:
		return Decision{Action: Keep, Reason: ReasonWaiting}
	case c.Latest != nil && !c.Latest.Status.Terminal():
		return Decision{Action: Keep, Reason: ReasonPending}
	case r.RerunOnlyAfterRemoved && c.Latest != nil && c.Latest.Status != jobs.Removed &&
		c.ByConnectivity && c.Latest.LeftByConnectivity:
		return Decision{Action: Keep, Reason: ReasonReentry}
	}
	if dwell := DwellOf(c.Entry); r.DwellOnReentry && !c.Dwelt && dwell > 0 {
		return Decision{Action: Dwell, Reason: ReasonDwell, Until: now.Add(dwell)}
	}
	if rate := j.rate(r); rate > 0 && (c.Initial || r.RateCoversJoiners) {
		if waiting > 0 || now.Before(j.NextGrant) {
			return Decision{Action: Hold, Reason: ReasonRate}
		}
		j.NextGrant = now.Add(interval(rate))
	}
	return Decision{Action: Queue, Reason: ReasonJoined}
}

func planLeave(c Change) Decision {
	switch {
	case c.Waiting, c.Dwelling:
		return Decision{Action: Forget, Reason: ReasonLeft}
	case c.Latest == nil || c.Latest.Status.Terminal():
		return Decision{Action: Keep, Reason: ReasonEnded}
	case c.Latest.Status == jobs.InProgress:
		return Decision{Action: Keep, Reason: ReasonInProgress}
	}
	return Decision{Action: Remove, Reason: ReasonLeft}
}

func (j Job) rate(r rules.Rules) int {
	if j.RatePerMinute > 0 {
		return j.RatePerMinute
	}
	return r.DefaultRatePerMinute
}

// interval is the distance between two executions under a rate: even
// spacing keeps every window of 60 s at or below the rate.
func interval(rate int) time.Duration { return time.Minute / time.Duration(rate) }

// Granted returns the job after one execution was made at now: under a rate
// the next one has to wait.
func (j Job) Granted(r rules.Rules, now time.Time) Job {
	if rate := j.rate(r); rate > 0 {
		j.NextGrant = now.Add(interval(rate))
	}
	return j
}

// Release says whether a waiting thing may have its execution at now; if not,
// at is when to ask again.
func (j Job) Release(now time.Time) (ok bool, at time.Time) {
	if now.Before(j.NextGrant) {
		return false, j.NextGrant
	}
	return true, time.Time{}
}
