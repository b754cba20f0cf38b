package jobs

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/muster-iot/muster/protocol"
)

// StatusDetails is what a device says about an execution: at most 10 pairs,
// keys up to 128 of [a-zA-Z0-9:_-], values up to 1024 characters.
type StatusDetails map[string]string

// Execution is a job execution as a device sees it. Times are epoch seconds.
type Execution struct {
	JobID           protocol.JobID     `json:"jobId"`
	ThingName       protocol.ThingName `json:"thingName,omitempty"`
	Status          ExecutionStatus    `json:"status,omitempty"`
	StatusDetails   StatusDetails      `json:"statusDetails,omitempty"`
	QueuedAt        int64              `json:"queuedAt"`
	StartedAt       int64              `json:"startedAt,omitempty"`
	LastUpdatedAt   int64              `json:"lastUpdatedAt"`
	VersionNumber   int64              `json:"versionNumber"`
	ExecutionNumber int64              `json:"executionNumber"`
	// SecondsBeforeTimedOut is present while a timer runs.
	SecondsBeforeTimedOut *int64 `json:"approximateSecondsBeforeTimedOut,omitempty"`
	// JobDocument is a JSON value over MQTT.
	JobDocument json.RawMessage `json:"jobDocument,omitempty"`
}

// Summary is an execution in a list of pending ones.
type Summary struct {
	JobID           protocol.JobID `json:"jobId"`
	QueuedAt        int64          `json:"queuedAt"`
	StartedAt       int64          `json:"startedAt,omitempty"`
	LastUpdatedAt   int64          `json:"lastUpdatedAt"`
	ExecutionNumber int64          `json:"executionNumber"`
	VersionNumber   int64          `json:"versionNumber"`
}

// State is an execution's state as answered on request by an update.
type State struct {
	Status        ExecutionStatus `json:"status"`
	StatusDetails StatusDetails   `json:"statusDetails,omitempty"`
	VersionNumber int64           `json:"versionNumber"`
}

// GetRequest asks for all pending executions (topic jobs/get).
type GetRequest struct {
	ClientToken string `json:"clientToken,omitempty"`
}

// GetAccepted answers a [GetRequest]; both lists are always present.
type GetAccepted struct {
	InProgressJobs []Summary `json:"inProgressJobs"`
	QueuedJobs     []Summary `json:"queuedJobs"`
	Timestamp      int64     `json:"timestamp"`
	ClientToken    string    `json:"clientToken,omitempty"`
}

// StartNextRequest starts the head of the queue (topic jobs/start-next).
type StartNextRequest struct {
	StatusDetails        StatusDetails `json:"statusDetails,omitempty"`
	StepTimeoutInMinutes *int64        `json:"stepTimeoutInMinutes,omitempty"`
	ClientToken          string        `json:"clientToken,omitempty"`
}

// ExecutionAccepted answers start-next and describe; Execution is absent when
// nothing is pending.
type ExecutionAccepted struct {
	Execution   *Execution `json:"execution,omitempty"`
	Timestamp   int64      `json:"timestamp"`
	ClientToken string     `json:"clientToken,omitempty"`
}

// DescribeRequest asks for one execution (topic jobs/J/get or jobs/$next/get).
type DescribeRequest struct {
	ExecutionNumber    *int64 `json:"executionNumber,omitempty"`
	IncludeJobDocument *bool  `json:"includeJobDocument,omitempty"` // default true
	ClientToken        string `json:"clientToken,omitempty"`
}

// UpdateRequest reports progress or the end of an execution (topic jobs/J/update).
type UpdateRequest struct {
	Status                   ExecutionStatus `json:"status"`
	StatusDetails            StatusDetails   `json:"statusDetails,omitempty"`
	ExpectedVersion          *Version        `json:"expectedVersion,omitempty"`
	ExecutionNumber          *int64          `json:"executionNumber,omitempty"`
	IncludeJobExecutionState bool            `json:"includeJobExecutionState,omitempty"`
	IncludeJobDocument       bool            `json:"includeJobDocument,omitempty"`
	StepTimeoutInMinutes     *int64          `json:"stepTimeoutInMinutes,omitempty"`
	ClientToken              string          `json:"clientToken,omitempty"`
}

// Version is an expected version: clients send it as a number or as a numeric string.
type Version int64

// UnmarshalJSON accepts 2 and "2".
func (v *Version) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(string(bytes.Trim(b, `"`)), 10, 64)
	if err != nil {
		return protocol.Errorf(protocol.InvalidRequest, "expectedVersion %s is not a whole number", b)
	}
	*v = Version(n)
	return nil
}

// UpdateAccepted answers an [UpdateRequest]; state and document only when asked for.
type UpdateAccepted struct {
	ExecutionState *State          `json:"executionState,omitempty"`
	JobDocument    json.RawMessage `json:"jobDocument,omitempty"`
	Timestamp      int64           `json:"timestamp"`
	ClientToken    string          `json:"clientToken,omitempty"`
}

// Notify lists the pending executions, at most [NotifyLimit], by status
// (topic jobs/notify); Jobs is empty when none is pending.
type Notify struct {
	Timestamp int64                         `json:"timestamp"`
	Jobs      map[ExecutionStatus][]Summary `json:"jobs"`
}

// NotifyLimit is the number of executions that a [Notify] lists at most.
const NotifyLimit = 10

// NotifyNext says which execution is the head of the queue now (topic
// jobs/notify-next); Execution is absent when the queue is empty.
type NotifyNext struct {
	Timestamp int64      `json:"timestamp"`
	Execution *Execution `json:"execution,omitempty"`
}

// ErrorCode is why a job request was rejected.
type ErrorCode string

// The codes of AWS IoT reference 7.2.
const (
	CodeInvalidTopic           ErrorCode = "InvalidTopic"
	CodeInvalidJSON            ErrorCode = "InvalidJson"
	CodeInvalidRequest         ErrorCode = "InvalidRequest"
	CodeInvalidStateTransition ErrorCode = "InvalidStateTransition"
	CodeResourceNotFound       ErrorCode = "ResourceNotFound"
	CodeVersionMismatch        ErrorCode = "VersionMismatch"
	CodeInternalError          ErrorCode = "InternalError"
	CodeRequestThrottled       ErrorCode = "RequestThrottled"
	CodeTerminalStateReached   ErrorCode = "TerminalStateReached"
)

// RejectedMessage is the answer on a /rejected topic of the job topics.
type RejectedMessage struct {
	Code           ErrorCode `json:"code"`
	Message        string    `json:"message,omitempty"`
	ExecutionState *State    `json:"executionState,omitempty"`
	Timestamp      int64     `json:"timestamp"`
	ClientToken    string    `json:"clientToken,omitempty"`
}
