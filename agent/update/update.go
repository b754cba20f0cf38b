// Package update is the pure core of a device: the machine that takes one job
// execution from its offer to its final report. It owns the phases, the table
// that says what each phase does and where each end leads, and the rules of
// resuming after a crash. It never touches the world: [Step] takes a state, an
// event and the time and returns the next state and the effects that package
// agent carries out on real parts and the simulator on virtual ones. The
// state is what agent/journal keeps; every phase is written before its work
// begins, and every work may be repeated.
package update

import (
	"time"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	document "github.com/muster-iot/muster/protocol/update"
)

// Schema is the version of [State] as it is journaled.
const Schema = 1

// Identity tells one execution from every other (rule 15): a job id may be
// used again and a restored server may use a number again, but not the time.
type Identity struct {
	JobID           protocol.JobID `json:"jobId"`
	ExecutionNumber int64          `json:"executionNumber"`
	// QueuedAt is in epoch seconds, as the fleet side says it.
	QueuedAt int64 `json:"queuedAt"`
}

// IdentityOf returns the identity of an execution.
func IdentityOf(e *jobs.Execution) Identity {
	return Identity{JobID: e.JobID, ExecutionNumber: e.ExecutionNumber, QueuedAt: e.QueuedAt}
}

// Release is what a product runs. The zero Release is nothing, or something
// that no update has installed.
type Release struct {
	Version string `json:"version"`
	// Seq is the signed release counter; 0 when it is not known.
	Seq int64 `json:"seq"`
	// SHA256 is the hex digest of the installed target; empty when not known.
	SHA256 string `json:"sha256,omitempty"`
	// Floor is the highest signed roll-back floor of the product that was seen
	// here, in whatever target: nothing with a lower counter is installed.
	Floor int64 `json:"rollbackFloor,omitempty"`
}

// ReleaseOf returns what a product runs once the target is committed.
func ReleaseOf(t firmware.Target) Release {
	return Release{Version: t.Custom.Version, Seq: t.Custom.Seq, SHA256: t.SHA256.String()}
}

// Outcome is how an execution ended on the device.
type Outcome struct {
	// Status is SUCCEEDED, FAILED or REJECTED; empty while it is open.
	Status jobs.ExecutionStatus `json:"status,omitempty"`
	// Reason says why it did not succeed.
	Reason string `json:"reason,omitempty"`
	// Running is what runs after a success.
	Running Release `json:"running,omitzero"`
}

// Finished is an execution whose outcome is known, kept so that it is
// answered again instead of installed again.
type Finished struct {
	Execution Identity `json:"execution"`
	Outcome   Outcome  `json:"outcome"`
	// At is in epoch seconds by the device's clock.
	At int64 `json:"at"`
}

// FinishedKept is how many finished executions a state remembers.
const FinishedKept = 8

// Bounds of the machine.
const (
	// MaxTries is how often a new version may be started before it is rolled back.
	MaxTries = 3
	// MaxStores is the loop breaker: after so many writes an execution that is
	// not committed is given up. An undisturbed update needs nine.
	MaxStores = 50
	// RollbackStores is how many writes roll-back may use beyond MaxStores.
	RollbackStores = 10
	// CommitRetry is the pause before a commit that failed is tried again: it
	// is past the point of no return.
	CommitRetry = 10 * time.Second
)

// State is all that a device knows about its update. The zero State is an idle
// device that has never been updated.
type State struct {
	Schema int   `json:"schema"`
	Phase  Phase `json:"phase"`
	// Execution is the one being worked on; zero while idle, and during the
	// roll-back that follows an unreadable journal.
	Execution Identity `json:"execution,omitzero"`
	// VersionNumber is the execution's version as last heard.
	VersionNumber int64             `json:"versionNumber,omitempty"`
	Document      document.Document `json:"document,omitzero"`
	// Target is what the document names, as the signed metadata has it.
	Target firmware.Target `json:"target,omitzero"`
	// From is what the product ran when the execution was taken.
	From Release `json:"from,omitzero"`
	// Tries counts starts in TRIAL, and attempts to roll back.
	Tries int `json:"tries,omitempty"`
	// Stores counts the writes of this execution.
	Stores int `json:"stores,omitempty"`
	// Canceled is that the fleet side has ended the execution, so that
	// nothing is left to report.
	Canceled bool    `json:"canceled,omitempty"`
	Outcome  Outcome `json:"outcome,omitzero"`
	// Inconsistent is that rolling back was given up: what runs is not known
	// and not told, until another start has rolled back or an update commits.
	Inconsistent bool `json:"inconsistent,omitempty"`
	// Lost is that the journal could not be read: an execution that is
	// already in progress may be one that this device has worked on.
	Lost     bool       `json:"lost,omitempty"`
	Finished []Finished `json:"finished,omitempty"`
	// Confirmed is that the fleet side has said, since the start of the agent,
	// that it still wants the execution: nothing is installed before. Ready
	// is that only this is waited for. Neither outlives a start.
	Confirmed bool `json:"-"`
	Ready     bool `json:"-"`
	// Since is when the phase began, in epoch seconds.
	Since int64 `json:"since,omitempty"`
}

// known returns the outcome of an execution that has ended here.
func (s State) known(id Identity) (Outcome, bool) {
	for _, f := range s.Finished {
		if f.Execution == id {
			return f.Outcome, true
		}
	}
	return Outcome{}, false
}

// EventKind is what can happen to a device's update.
type EventKind string

const (
	// Boot is the start of the agent, on the state that the journal held.
	Boot EventKind = "boot"
	// Connected is a new session with the fleet side.
	Connected EventKind = "connected"
	// Offered is the fleet side's answer to [Ask] or [Start]: the head of the
	// queue, or nothing when Execution is nil.
	Offered EventKind = "offered"
	// Hinted is a notification of a new head: it may be late, repeated or wrong.
	Hinted EventKind = "hinted"
	// Described is the answer to [Describe].
	Described EventKind = "described"
	// Accepted is that the report with Status was accepted.
	Accepted EventKind = "accepted"
	// Mismatch is that a report named an old version of the execution.
	Mismatch EventKind = "mismatch"
	// Gone is that the fleet side refuses to hear about the execution: it is
	// terminal, unknown or superseded. Status is its state where that is known.
	Gone EventKind = "gone"
	// Done, Refused and Failed end the work of the phase: it is done, the
	// update is not for this device, or it did not work out.
	Done    EventKind = "done"
	Refused EventKind = "refused"
	Failed  EventKind = "failed"
	// Unsaved is that the state could not be written.
	Unsaved EventKind = "unsaved"
)

// Events lists every kind of event.
var Events = []EventKind{Boot, Connected, Offered, Hinted, Described, Accepted, Mismatch, Gone, Done, Refused, Failed, Unsaved}

// Event is one thing that happened.
type Event struct {
	Kind EventKind
	// Execution comes with Offered, Hinted and Described; nil is none.
	Execution *jobs.Execution
	// Committed is what each product runs; it comes with Offered.
	Committed map[string]Release
	// For is the execution that Accepted, Mismatch and Gone speak of.
	For Identity
	// Status is the reported status of Accepted, the known state of Gone.
	Status jobs.ExecutionStatus
	// VersionNumber comes with Accepted; 0 is not known.
	VersionNumber int64
	// Target comes with Done of [Resolve].
	Target firmware.Target
	// Reason comes with Refused, Failed and Unsaved.
	Reason string
}

// EffectKind is what the machine asks of the world.
type EffectKind string

const (
	// Persist writes the state. It comes before everything that relies on
	// it; when it fails, the effects after it are dropped and [Unsaved] follows.
	Persist EffectKind = "persist"
	// Stop ends the work that is running and forgets its end.
	Stop EffectKind = "stop"

	// Ask asks for the head of the queue; Start starts it; Describe asks about
	// the execution of the state. Report tells Status and details of it.
	// Versions tells what runs here. They are done one at a time, in order.
	Ask      EffectKind = "ask"
	Start    EffectKind = "start"
	Describe EffectKind = "describe"
	Report   EffectKind = "report"
	Versions EffectKind = "versions"

	// Works, one of them at a time. Each ends in Done, Refused or Failed.
	//
	// Resolve finds the signed target of the document and checks that it may
	// be installed here and fits.
	Resolve EffectKind = "resolve"
	// Download fetches the target.
	Download EffectKind = "download"
	// Verify hashes the fetched target once more.
	Verify EffectKind = "verify"
	// Install puts the new version beside the running one.
	Install EffectKind = "install"
	// Switch makes the new version the running one.
	Switch EffectKind = "switch"
	// Check finds out whether the new version is healthy.
	Check EffectKind = "check"
	// Commit makes the new version the one to roll back to.
	Commit EffectKind = "commit"
	// Rollback makes the committed version run; every product's when the
	// state names no execution.
	Rollback EffectKind = "rollback"
	// Clean removes what the update left behind.
	Clean EffectKind = "clean"
)

// Effect is one thing to do.
type Effect struct {
	Kind EffectKind
	// Status and Details come with Report.
	Status  jobs.ExecutionStatus
	Details jobs.StatusDetails
	// After is how long to wait first.
	After time.Duration
}
