package job

import (
	"errors"
	"regexp"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
)

// Execution is the stored record of one run of a job on one thing. Its
// identity for the device is (JobID, Number, QueuedAt) (rule 15).
type Execution struct {
	JobID  protocol.JobID     `json:"jobId"`
	Thing  protocol.ThingName `json:"thing"`
	Number int64              `json:"number"`
	// Seq orders the executions of a thing that were queued at the same time.
	Seq           int64                `json:"seq"`
	Status        jobs.ExecutionStatus `json:"status"`
	Details       jobs.StatusDetails   `json:"details,omitempty"`
	QueuedAt      time.Time            `json:"queuedAt"`
	StartedAt     time.Time            `json:"startedAt,omitzero"`
	LastUpdatedAt time.Time            `json:"lastUpdatedAt"`
	Version       int64                `json:"version"`
	ForceCanceled bool                 `json:"forceCanceled,omitempty"`
	// Deadline ends the whole run, StepDeadline the current step; zero is never.
	Deadline     time.Time `json:"deadline,omitzero"`
	StepDeadline time.Time `json:"stepDeadline,omitzero"`
	// LeftByConnectivity is set when the thing left the targets and nothing
	// but its connectivity was the cause (rule 5).
	LeftByConnectivity bool `json:"leftByConnectivity,omitempty"`
}

// NewExecution queues the n-th execution of a job on a thing.
func NewExecution(id protocol.JobID, thing protocol.ThingName, n, seq int64, now time.Time) Execution {
	return Execution{
		JobID: id, Thing: thing, Number: n, Seq: seq, Status: jobs.Queued,
		QueuedAt: now, LastUpdatedAt: now, Version: 1,
	}
}

// StateError is a refused update together with the execution's state, which
// the device needs to reconcile.
type StateError struct {
	Err   *protocol.Error
	State jobs.State
}

func (e *StateError) Error() string { return e.Err.Error() }
func (e *StateError) Unwrap() error { return e.Err }

// State returns what an update answers on request.
func (x Execution) State() jobs.State {
	return jobs.State{Status: x.Status, StatusDetails: x.Details, VersionNumber: x.Version}
}

func (x Execution) refuse(code protocol.Code, format string, args ...any) error {
	return &StateError{Err: protocol.Errorf(code, format, args...), State: x.State()}
}

// Report is what a device says of its execution.
type Report struct {
	Status  jobs.ExecutionStatus
	Details jobs.StatusDetails // nil leaves the stored ones
	// ExpectedVersion, if set, must be the execution's version.
	ExpectedVersion *int64
	// StepMinutes, if set, starts the step timer anew; -1 stops it.
	StepMinutes *int64
}

// Apply returns the execution after a device's report. timeout is how long a
// run may take, 0 for ever. Errors are InvalidRequest, or a [StateError] of code
// TerminalState, VersionConflict or InvalidStateTransition.
func (x Execution) Apply(r Report, timeout time.Duration, now time.Time) (Execution, error) {
	event, ok := jobs.DeviceEvent(r.Status)
	if !ok {
		return x, protocol.Errorf(protocol.InvalidRequest, "a device cannot set status %q of job %q: want IN_PROGRESS, SUCCEEDED, FAILED or REJECTED", r.Status, x.JobID)
	}
	if err := errors.Join(CheckDetails(r.Details), checkStep(r.StepMinutes)); err != nil {
		return x, err
	}
	if x.Status.Terminal() {
		return x, x.refuse(protocol.TerminalState, "execution %d of job %q on thing %q has ended: %s", x.Number, x.JobID, x.Thing, x.Status)
	}
	if r.ExpectedVersion != nil && *r.ExpectedVersion != x.Version {
		return x, x.refuse(protocol.VersionConflict, "Expected version %d but found version %d", *r.ExpectedVersion, x.Version)
	}
	return x.move(event, r, timeout, now)
}

func (x Execution) move(e jobs.Event, r Report, timeout time.Duration, now time.Time) (Execution, error) {
	next, ok := x.Status.Next(e)
	if !ok {
		return x, x.refuse(protocol.InvalidStateTransition, "execution %d of job %q on thing %q is %s: %s is not possible", x.Number, x.JobID, x.Thing, x.Status, e)
	}
	if x.Status == jobs.Queued && next == jobs.InProgress {
		x.StartedAt = now
		if timeout > 0 {
			x.Deadline = now.Add(timeout)
		}
	}
	x.Status, x.LastUpdatedAt, x.Version = next, now, x.Version+1
	if r.Details != nil {
		x.Details = r.Details
	}
	x.setStep(r.StepMinutes, now)
	if next.Terminal() {
		x.Deadline, x.StepDeadline = time.Time{}, time.Time{}
	}
	return x, nil
}

func (x *Execution) setStep(minutes *int64, now time.Time) {
	switch {
	case minutes == nil:
	case *minutes < 0:
		x.StepDeadline = time.Time{}
	default:
		x.StepDeadline = now.Add(time.Duration(*minutes) * time.Minute)
	}
}

// Start is start-next on the head of the queue: a running execution is
// returned unchanged but for its step timer (AWS IoT reference 7.2).
func (x Execution) Start(details jobs.StatusDetails, stepMinutes *int64, timeout time.Duration, now time.Time) (Execution, error) {
	if err := errors.Join(CheckDetails(details), checkStep(stepMinutes)); err != nil {
		return x, err
	}
	if x.Status == jobs.InProgress {
		x.setStep(stepMinutes, now)
		return x, nil
	}
	return x.move(jobs.Start, Report{Details: details, StepMinutes: stepMinutes}, timeout, now)
}

// End is an event of the service: time-out, leave, deletion or cancel.
// changed is false when the event leaves the execution as it is; a pair
// that is not allowed returns a [StateError].
func (x Execution) End(e jobs.Event, details jobs.StatusDetails, now time.Time) (next Execution, changed bool, err error) {
	to, ok := x.Status.Next(e)
	if ok && to == x.Status {
		return x, false, nil
	}
	next, err = x.move(e, Report{Details: details}, 0, now)
	if err == nil && e == jobs.ForceCancel {
		next.ForceCanceled = true
	}
	return next, err == nil, err
}

// Expires returns when the execution times out; zero is never. The step
// timer cannot reach beyond the run's deadline (AWS IoT reference 6.11).
func (x Execution) Expires() time.Time {
	if x.Status != jobs.InProgress {
		return time.Time{}
	}
	if x.StepDeadline.IsZero() || !x.Deadline.IsZero() && x.Deadline.Before(x.StepDeadline) {
		return x.Deadline
	}
	return x.StepDeadline
}

var detailsKey = regexp.MustCompile(`^[a-zA-Z0-9:_-]{1,128}$`)

// CheckDetails returns an InvalidRequest when statusDetails break a limit of
// AWS IoT reference 6.15.
func CheckDetails(d jobs.StatusDetails) error {
	if len(d) > 10 {
		return protocol.Errorf(protocol.InvalidRequest, "statusDetails has %d entries; the limit is 10", len(d))
	}
	for k, v := range d {
		if !detailsKey.MatchString(k) {
			return protocol.Errorf(protocol.InvalidRequest, "statusDetails key %q is not 1 to 128 of [a-zA-Z0-9:_-]", k)
		}
		if v == "" || utf8.RuneCountInString(v) > 1024 || !printable(v) {
			return protocol.Errorf(protocol.InvalidRequest, "statusDetails value of %q must be 1 to 1024 characters without control characters", k)
		}
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if unicode.Is(unicode.C, r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

func checkStep(minutes *int64) error {
	if minutes != nil && *minutes != -1 && (*minutes < 1 || *minutes > 10080) {
		return protocol.Errorf(protocol.InvalidRequest, "stepTimeoutInMinutes %d is not 1 to 10080, or -1 for none", *minutes)
	}
	return nil
}
