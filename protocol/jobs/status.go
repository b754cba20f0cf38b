// Package jobs holds what device and fleet side say to each other about job
// executions (AWS IoT reference 6.6 and 7): the messages of the reserved job
// topics and the table of the execution's states. It is pure: no clock, no I/O.
package jobs

// ExecutionStatus is the state of a job execution; values are the wire names.
type ExecutionStatus string

const (
	// Queued waits for its device. Only the service sets it.
	Queued ExecutionStatus = "QUEUED"
	// InProgress was started by its device.
	InProgress ExecutionStatus = "IN_PROGRESS"
	// Succeeded was reported by the device.
	Succeeded ExecutionStatus = "SUCCEEDED"
	// Failed was reported by the device, or set when the reported version is not the wanted one.
	Failed ExecutionStatus = "FAILED"
	// TimedOut was in progress for longer than the job allows.
	TimedOut ExecutionStatus = "TIMED_OUT"
	// Rejected was refused by the device.
	Rejected ExecutionStatus = "REJECTED"
	// Removed lost its thing: it left the job's targets or was deleted.
	Removed ExecutionStatus = "REMOVED"
	// Canceled was ended by an operator or an abort rule.
	Canceled ExecutionStatus = "CANCELED"
)

// Statuses lists every state.
var Statuses = []ExecutionStatus{Queued, InProgress, Succeeded, Failed, TimedOut, Rejected, Removed, Canceled}

// Terminal reports whether nothing leaves the state.
func (s ExecutionStatus) Terminal() bool {
	return s != "" && s != Queued && s != InProgress
}

// Event is what can happen to a job execution.
type Event string

const (
	// Start is start-next, or an update to IN_PROGRESS of a queued execution.
	Start Event = "start"
	// Progress is an update to IN_PROGRESS of a running execution.
	Progress Event = "progress"
	// Succeed, Fail and Reject are the device's last words.
	Succeed Event = "succeed"
	Fail    Event = "fail"
	Reject  Event = "reject"
	// TimeOut is the expiry of the in-progress or step timer.
	TimeOut Event = "time-out"
	// Leave is that the thing is in no target of the job any more (rule 4).
	Leave Event = "leave"
	// Delete is that the thing was deleted from the registry.
	Delete Event = "delete-thing"
	// Cancel is a cancel without force; ForceCancel reaches running executions too.
	Cancel      Event = "cancel"
	ForceCancel Event = "force-cancel"
)

// Events lists every event.
var Events = []Event{Start, Progress, Succeed, Fail, Reject, TimeOut, Leave, Delete, Cancel, ForceCancel}

// transitions is the state machine of a job execution. A pair that is absent
// is not allowed; a pair that maps to the state itself changes nothing but
// what the event carries.
var transitions = map[ExecutionStatus]map[Event]ExecutionStatus{
	Queued: {
		Start: InProgress, Progress: InProgress,
		Succeed: Succeeded, Fail: Failed, Reject: Rejected,
		Leave: Removed, Delete: Removed, Cancel: Canceled, ForceCancel: Canceled,
	},
	InProgress: {
		Start: InProgress, Progress: InProgress,
		Succeed: Succeeded, Fail: Failed, Reject: Rejected,
		TimeOut: TimedOut, Leave: InProgress, Delete: Removed, ForceCancel: Canceled,
	},
}

// Next returns the state after an event; ok is false when the event is not
// allowed in this state, as every event is in a terminal one.
func (s ExecutionStatus) Next(e Event) (next ExecutionStatus, ok bool) {
	next, ok = transitions[s][e]
	return next, ok
}

// DeviceEvent returns the event by which a device moves its execution to a
// status; ok is false for the states that only the service sets.
func DeviceEvent(to ExecutionStatus) (e Event, ok bool) {
	e, ok = map[ExecutionStatus]Event{
		InProgress: Progress, Succeeded: Succeed, Failed: Fail, Rejected: Reject,
	}[to]
	return e, ok
}
