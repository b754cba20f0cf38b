package oracle

import (
	"time"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
)

// Identity tells one execution from every other (rule 15). QueuedAt is in
// epoch seconds.
type Identity struct {
	Job      protocol.JobID
	Number   int64
	QueuedAt int64
}

// Release is a version that a thing runs.
type Release struct {
	Version string
	Seq     int64
}

// Membership is a membership event of the server.
type Membership struct {
	// At is when it arrived, Sent what the server says, in milliseconds.
	At, Sent time.Time
	Epoch    int
	ID       string
	Group    protocol.ThingGroupName
	Thing    protocol.ThingName
	Added    bool
	order    int
}

// Presence is a presence event of the server.
type Presence struct {
	At, Sent  time.Time
	Epoch     int
	Thing     protocol.ThingName
	Connected bool
	order     int
}

// Status is a group as the server described it.
type Status struct {
	// Asked is just before the question was put.
	Asked   time.Time
	Group   protocol.ThingGroupName
	Version int64
	Status  string
}

// Ended is the server's event that an execution has reached its end.
type Ended struct {
	At     time.Time
	Epoch  int
	Thing  protocol.ThingName
	Job    protocol.JobID
	Number int64
	Status jobs.ExecutionStatus
	order  int
}

// Sighting is an execution as the server told its device.
type Sighting struct {
	At            time.Time
	Thing         protocol.ThingName
	Identity      Identity
	Status        jobs.ExecutionStatus
	VersionNumber int64
	// Running is what the device ran then.
	Running Release
}

// Report is what a device said about an execution.
type Report struct {
	// At is when it left, or when its acknowledgement came.
	At       time.Time
	Thing    protocol.ThingName
	Identity Identity
	// Status is as sent, or as the acknowledgement says it is now.
	Status        jobs.ExecutionStatus
	VersionNumber int64
	// Claimed is what the device said that it runs; empty when it said nothing.
	Claimed Release
	// Running is what it ran when the report left.
	Running Release
	// Acknowledged says that this is the acknowledgement.
	Acknowledged bool
}

// Told is what a device said to its shadow.
type Told struct {
	At               time.Time
	Thing            protocol.ThingName
	Claimed, Running Release
	// Trial says that a new version was being tried when the report left.
	Trial bool
	// ShadowVersion comes with the acknowledgement; it is 0 before.
	ShadowVersion int64
	Acknowledged  bool
}

// Install is a change of what a device runs.
type Install struct {
	At       time.Time
	Thing    protocol.ThingName
	Identity Identity
	To       Release
	// Back says that it was a roll-back.
	Back bool
}

// Listing is the members of a group as listed at one moment.
type Listing struct {
	At      time.Time
	Epoch   int
	Group   protocol.ThingGroupName
	Members map[protocol.ThingName]bool
}

// History is all that was seen from outside, each list in the order in which
// it was seen.
type History struct {
	// Epochs are the times at which the observer began to listen; between two
	// of them events may have been missed. Last is the arrival of the newest
	// event in each.
	Epochs, Last []time.Time
	// Groups and Jobs are those to be judged. The groups were made after the
	// first epoch began.
	Groups []protocol.ThingGroupName
	Jobs   []protocol.JobID
	// Standing are those of the groups that have no job, Gone are groups that
	// were judged and have been deleted since.
	Standing, Gone map[protocol.ThingGroupName]bool

	Memberships []Membership
	Presences   []Presence
	Ended       []Ended
	Sightings   []Sighting
	Reports     []Report
	Told        []Told
	Installs    []Install
	Listings    []Listing
	Statuses    []Status
	// Attempts are devices that dial, with pauses of at most Pause in between;
	// 0 is that nothing is known of it. Storms cut all of them off.
	Attempts []Attempt
	Pause    time.Duration
	Storms   []Storm
	// Samples are what G1 found while the fleet was moving.
	Samples Result
}

// State is what the server answers, and what the devices run, at one quiet
// moment.
type State struct {
	At      time.Time
	Groups  []GroupState
	Things  []Thing
	Jobs    []JobState
	Devices []DeviceState
	// RerunAfterAny says that every re-entry makes a new execution (profile
	// aws); otherwise rule 5 holds.
	RerunAfterAny bool
}

// Thing is a thing as a search answers it.
type Thing = naive.Thing

// GroupState is a group as the server answers.
type GroupState struct {
	Name  protocol.ThingGroupName
	Query string
	// Status is BUILDING, ACTIVE or REBUILDING.
	Status string
	// Members are as listed, page by page.
	Members []protocol.ThingName
}

// JobState is a job with all its executions as the server answers.
type JobState struct {
	ID         protocol.JobID
	CreatedAt  time.Time
	Groups     []protocol.ThingGroupName
	PerMinute  int
	Executions []ExecutionState
}

// ExecutionState is an execution as the server answers. VersionNumber is 0
// when it was not asked for, StartedAt zero when it was never started.
type ExecutionState struct {
	Thing               protocol.ThingName
	Number              int64
	Status              jobs.ExecutionStatus
	QueuedAt, StartedAt time.Time
	VersionNumber       int64
}

// DeviceState is the truth about a device, and its shadow at the server.
type DeviceState struct {
	Thing   protocol.ThingName
	Running Release
	// Idle says that it works on nothing, Connected that it has a session.
	Idle, Connected bool
	// ShadowVersion is 0, and Reported empty, when there is no shadow.
	ShadowVersion int64
	Reported      string
}
