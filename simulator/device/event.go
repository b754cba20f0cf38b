package device

import (
	"time"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
)

// EventKind is what can happen on a device.
type EventKind string

const (
	// Dialing begins an attempt to connect, Connected ends a good one: the
	// device has subscribed. Unreachable ends one that failed.
	Dialing     EventKind = "dialing"
	Connected   EventKind = "connected"
	Unreachable EventKind = "unreachable"
	// Disconnected is the end of a session, whoever ended it.
	Disconnected EventKind = "disconnected"
	// PhaseEntered follows the agent's update machine.
	PhaseEntered EventKind = "phase"
	// Notified is the arrival of notify-next with an execution, Offered that
	// of an answer to $next/get or start-next with one.
	Notified EventKind = "notified"
	Offered  EventKind = "offered"
	// Described is the arrival of an execution's state in an answer.
	Described EventKind = "described"
	// Reporting is that a report about an execution leaves the device,
	// Acknowledged that the server has accepted it, Refused that it has not.
	Reporting    EventKind = "reporting"
	Acknowledged EventKind = "acknowledged"
	Refused      EventKind = "refused"
	// Told is that a shadow report leaves, ToldAcknowledged that the server
	// has accepted it.
	Told             EventKind = "told"
	ToldAcknowledged EventKind = "told-acknowledged"
	// Installed is that an update made another version the running one,
	// WentBack that a roll-back did.
	Installed EventKind = "installed"
	WentBack  EventKind = "went-back"
	// Crashed is a power cut, Dropped a cut of the network.
	Crashed EventKind = "crashed"
	Dropped EventKind = "dropped"
)

// Event is one thing that happened on a device.
type Event struct {
	At    time.Time
	Thing protocol.ThingName
	Kind  EventKind
	// Took comes with Connected: the time since Dialing.
	Took time.Duration
	// Phase comes with PhaseEntered and Told.
	Phase update.Phase
	// Execution is what the event is about. QueuedAt is 0 when the device has
	// never heard it.
	Execution update.Identity
	// Status and VersionNumber are those of the execution, as sent or heard.
	// VersionNumber is the shadow's with ToldAcknowledged.
	Status        jobs.ExecutionStatus
	VersionNumber int64
	// Claimed is the version that a report says; empty when it says none.
	Claimed string
	// ClaimedSeq is the release counter that it says, as text.
	ClaimedSeq string
	// Running is what the machine ran when a report left or an execution was
	// heard of, and what it runs since Installed, WentBack and Crashed.
	Running update.Release
}
