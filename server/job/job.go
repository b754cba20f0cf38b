// Package job holds jobs and their executions and decides what becomes of
// them (AWS IoT reference 6 and 7). It is pure: [Plan], [Release] and the
// functions of [Execution] take state and a time and return data, each
// decision with a named reason. It never touches a store, a clock or a device;
// the engine asks, commits and sends.
package job

import (
	"encoding/json"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/update"
)

// Status is the state of a job; values are the wire names of AWS IoT reference 6.5.
type Status string

const (
	// InProgress makes executions for its targets.
	InProgress Status = "IN_PROGRESS"
	// Completed is a snapshot job whose executions have all ended.
	Completed Status = "COMPLETED"
	// Canceled makes no more executions; running ones may still end.
	Canceled Status = "CANCELED"
)

// Event is what can happen to a job.
type Event string

const (
	// AllEnded is that a snapshot job has resolved its targets and every execution is terminal.
	AllEnded Event = "all-ended"
	// Cancel and ForceCancel are an operator's.
	Cancel      Event = "cancel"
	ForceCancel Event = "force-cancel"
	// Delete and ForceDelete remove the job; they lead to no state.
	Delete      Event = "delete"
	ForceDelete Event = "force-delete"
)

// Deleted stands for a job that is gone.
const Deleted Status = ""

// transitions is the state machine of a job. A pair that is absent is not allowed.
var transitions = map[Status]map[Event]Status{
	InProgress: {AllEnded: Completed, Cancel: Canceled, ForceCancel: Canceled, ForceDelete: Deleted},
	Completed:  {Delete: Deleted, ForceDelete: Deleted},
	Canceled:   {ForceCancel: Canceled, Delete: Deleted, ForceDelete: Deleted},
}

// Next returns the state after an event; ok is false when it is not allowed.
func (s Status) Next(e Event) (next Status, ok bool) {
	next, ok = transitions[s][e]
	return next, ok
}

// Selection says whether a job follows its targets.
type Selection string

const (
	// Snapshot resolves its targets once.
	Snapshot Selection = "SNAPSHOT"
	// Continuous makes an execution for every thing that joins a target later.
	Continuous Selection = "CONTINUOUS"
)

// Job is the stored record of a job.
type Job struct {
	ID          protocol.JobID `json:"id"`
	ARN         string         `json:"arn"`
	Description string         `json:"description,omitempty"`
	Selection   Selection      `json:"selection"`
	// Targets are the ARNs as given; Things and Groups are what they name.
	Targets []string                  `json:"targets"`
	Things  []protocol.ThingName      `json:"things,omitempty"`
	Groups  []protocol.ThingGroupName `json:"groups,omitempty"`
	// Document is the job document, a JSON object as text.
	Document string `json:"document"`
	// RatePerMinute is maximumPerMinute; 0 when the job sets none.
	RatePerMinute int `json:"ratePerMinute,omitempty"`
	// TimeoutMinutes is inProgressTimeoutInMinutes; 0 when the job sets none.
	TimeoutMinutes int64 `json:"timeoutMinutes,omitempty"`

	Status        Status    `json:"status"`
	ForceCanceled bool      `json:"forceCanceled,omitempty"`
	ReasonCode    string    `json:"reasonCode,omitempty"`
	Comment       string    `json:"comment,omitempty"`
	CreatedAt     time.Time `json:"createdAt"`
	LastUpdatedAt time.Time `json:"lastUpdatedAt"`
	CompletedAt   time.Time `json:"completedAt,omitzero"`
	// Awaiting are the target groups that were not ACTIVE when the job came:
	// their members become executions when they are (rule 8).
	Awaiting []protocol.ThingGroupName `json:"awaiting,omitempty"`
	// NextGrant is the earliest time of the next execution under the rate.
	NextGrant time.Time `json:"nextGrant,omitzero"`
}

// Target returns Muster's own reading of the document; ok is false when the
// document names no signed target.
func (j Job) Target() (doc update.Document, ok bool) {
	doc, ok, err := update.Parse([]byte(j.Document))
	return doc, ok && err == nil
}

// Timeout returns how long an execution may be in progress; 0 is for ever.
// signedTarget is the default of jobs that name a signed target (rule 4).
func (j Job) Timeout(signedTarget time.Duration) time.Duration {
	if j.TimeoutMinutes > 0 {
		return time.Duration(j.TimeoutMinutes) * time.Minute
	}
	if _, ok := j.Target(); ok {
		return signedTarget
	}
	return 0
}

// CheckDocument returns an InvalidRequest unless doc is a JSON object of at
// most 32768 characters, and a valid one if it claims to be Muster's.
func CheckDocument(id protocol.JobID, doc string) error {
	if len(doc) > 32768 {
		return protocol.Errorf(protocol.InvalidRequest, "the document of job %q has %d characters; the limit is 32768", id, len(doc))
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(doc), &object); err != nil || object == nil {
		return protocol.Errorf(protocol.InvalidRequest, "the document of job %q is not a JSON object", id)
	}
	_, _, err := update.Parse([]byte(doc))
	return err
}

// Counts counts the things of a job by the state of their latest execution.
type Counts map[jobs.ExecutionStatus]int

// Ended reports whether no thing has an execution that is queued or running.
func (c Counts) Ended() bool { return c[jobs.Queued] == 0 && c[jobs.InProgress] == 0 }
