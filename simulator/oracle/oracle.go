// Package oracle judges a run: it keeps what was seen from outside (the
// server's events, what devices were told, said and truly ran) and checks the
// named invariants of Muster against it and against what the server answers
// in the end. It owns the history and the invariants; it never acts on the
// fleet, and it shares nothing with the server but the parser of the query
// language, whose meaning it takes from package naive.
//
// [Judge] is a pure function from a [History] and a [State] to one [Result]
// for each invariant. [Oracle] gathers the history while a fleet runs. Read on
// in judge.go (the list), groups.go, evaluate.go, jobs.go, durable.go,
// devices.go and connections.go.
package oracle

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/jobs"
)

// Oracle gathers the history of one run. It is safe for concurrent use.
type Oracle struct {
	mu    sync.Mutex
	h     History
	order int
	tally Tally
	seen  map[string]bool // ids of events
}

// New makes an oracle that has seen nothing.
func New() *Oracle {
	return &Oracle{seen: map[string]bool{}, h: History{
		Samples: Result{Name: G1}, Standing: map[protocol.ThingGroupName]bool{}, Gone: map[protocol.ThingGroupName]bool{},
	}}
}

// Tally counts what was seen.
type Tally struct {
	// Succeeded, Failed and Rejected count acknowledged reports.
	Succeeded, Failed, Rejected int
	// Joins and Leaves count membership events of the watched groups that have a job.
	Joins, Leaves int
	// Epochs counts connections of the observer, Seen everything that was seen.
	Epochs, Seen int
}

// Count reads the counts.
func (o *Oracle) Count(read func(Tally)) {
	o.mu.Lock()
	t := o.tally
	o.mu.Unlock()
	read(t)
}

// Watch adds a group and a job to what is judged.
func (o *Oracle) Watch(group protocol.ThingGroupName, job protocol.JobID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Contains(o.h.Groups, group) {
		o.h.Groups = append(o.h.Groups, group)
		for _, m := range o.h.Memberships {
			o.count(m)
		}
	}
	if !slices.Contains(o.h.Jobs, job) {
		o.h.Jobs = append(o.h.Jobs, job)
	}
}

// Stand adds a group that has no job to what is judged.
func (o *Oracle) Stand(group protocol.ThingGroupName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.h.Gone, group)
	o.h.Standing[group] = true
	if !slices.Contains(o.h.Groups, group) {
		o.h.Groups = append(o.h.Groups, group)
	}
}

// Fall says that a standing group was deleted: its members have to leave it.
func (o *Oracle) Fall(group protocol.ThingGroupName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.h.Standing, group)
	o.h.Gone[group] = true
	o.h.Groups = slices.DeleteFunc(slices.Clone(o.h.Groups), func(g protocol.ThingGroupName) bool { return g == group })
}

// Follows reports whether a group is judged and has a job.
func (o *Oracle) Follows(group protocol.ThingGroupName) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Contains(o.h.Groups, group) && !o.h.Standing[group]
}

// Describe takes a group as the server described it.
func (o *Oracle) Describe(s Status) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.h.Statuses = append(o.h.Statuses, s)
}

// Watched returns the groups and jobs that are judged.
func (o *Oracle) Watched() ([]protocol.ThingGroupName, []protocol.JobID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.h.Groups), slices.Clone(o.h.Jobs)
}

// Epoch notes that the observer began to listen, anew or for the first time.
func (o *Oracle) Epoch(at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.h.Epochs, o.h.Last = append(o.h.Epochs, at), append(o.h.Last, at)
	o.tally.Epochs = len(o.h.Epochs)
}

// Message takes an event of the server. It returns the membership event that
// it is, if it is one and was not seen before.
func (o *Oracle) Message(at time.Time, epoch int, topic string, payload []byte) (Membership, bool) {
	rest, ok := strings.CutPrefix(topic, "$aws/events/")
	if !ok {
		return Membership{}, false
	}
	family, _, _ := strings.Cut(rest, "/")
	o.mu.Lock()
	defer o.mu.Unlock()
	o.order++
	o.tally.Seen++
	if n := len(o.h.Last); n > 0 {
		o.h.Last[n-1] = at
	}
	switch family {
	case "thingGroupMembership":
		return o.membership(at, epoch, payload)
	case "presence":
		o.presence(at, epoch, payload)
	case "jobExecution":
		o.ended(at, epoch, payload)
	}
	return Membership{}, false
}

func (o *Oracle) membership(at time.Time, epoch int, payload []byte) (Membership, bool) {
	var e event.MembershipChange
	if json.Unmarshal(payload, &e) != nil || o.seen[e.EventID] {
		return Membership{}, false
	}
	o.seen[e.EventID] = true
	m := Membership{
		At: at, Sent: time.UnixMilli(e.Timestamp), Epoch: epoch, ID: e.EventID, order: o.order,
		Group: protocol.ThingGroupName(nameIn(e.GroupARN)), Thing: protocol.ThingName(nameIn(e.ThingARN)),
		Added: e.Operation == "ADDED",
	}
	o.h.Memberships = append(o.h.Memberships, m)
	o.count(m)
	return m, true
}

func (o *Oracle) count(m Membership) {
	switch {
	case !slices.Contains(o.h.Groups, m.Group) || o.h.Standing[m.Group]:
	case m.Added:
		o.tally.Joins++
	default:
		o.tally.Leaves++
	}
}

func (o *Oracle) presence(at time.Time, epoch int, payload []byte) {
	var e event.Presence
	if json.Unmarshal(payload, &e) != nil {
		return
	}
	o.h.Presences = append(o.h.Presences, Presence{
		At: at, Sent: time.UnixMilli(e.Timestamp), Epoch: epoch, order: o.order,
		Thing: protocol.ThingName(e.ClientID), Connected: e.EventType == event.Connected,
	})
}

func (o *Oracle) ended(at time.Time, epoch int, payload []byte) {
	var e event.JobExecutionChange
	if json.Unmarshal(payload, &e) != nil || o.seen[e.EventID] {
		return
	}
	o.seen[e.EventID] = true
	o.h.Ended = append(o.h.Ended, Ended{
		At: at, Epoch: epoch, order: o.order, Thing: protocol.ThingName(nameIn(e.ThingARN)),
		Job: protocol.JobID(e.JobID), Number: e.ExecutionNumber, Status: e.Status,
	})
}

// nameIn returns what stands behind the slash of an ARN.
func nameIn(arn string) string {
	_, name, _ := strings.Cut(arn, "/")
	return name
}

// Sight, Report, Tell and Install take what devices were told, said and did.
func (o *Oracle) Sight(s Sighting) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tally.Seen++
	o.h.Sightings = append(o.h.Sightings, s)
}

// Report takes a report that left, or its acknowledgement.
func (o *Oracle) Report(r Report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tally.Seen++
	o.h.Reports = append(o.h.Reports, r)
	if !r.Acknowledged {
		return
	}
	switch r.Status {
	case jobs.Succeeded:
		o.tally.Succeeded++
	case jobs.Failed:
		o.tally.Failed++
	case jobs.Rejected:
		o.tally.Rejected++
	}
}

// Tell takes a shadow report that left, or its acknowledgement.
func (o *Oracle) Tell(t Told) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tally.Seen++
	o.h.Told = append(o.h.Told, t)
}

// Install takes a change of what a device runs.
func (o *Oracle) Install(i Install) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tally.Seen++
	o.h.Installs = append(o.h.Installs, i)
}

// List takes the members of a group as they were listed.
func (o *Oracle) List(at time.Time, group protocol.ThingGroupName, members []protocol.ThingName) {
	set := make(map[protocol.ThingName]bool, len(members))
	for _, m := range members {
		set[m] = true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.h.Listings = append(o.h.Listings, Listing{At: at, Epoch: len(o.h.Epochs), Group: group, Members: set})
}

// Sample checks G1 while the fleet is moving: things that look the same
// before and after the members were listed were so meanwhile, too.
func (o *Oracle) Sample(at time.Time, g GroupState, before, after []Thing) {
	later := make(map[protocol.ThingName]Thing, len(after))
	for _, t := range after {
		later[t.Name] = t
	}
	var still []Thing
	for _, t := range before {
		if l, ok := later[t.Name]; ok && t.Same(l) {
			still = append(still, t)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	r := truth(at, g, still, o.h.dynamic)
	o.h.Samples.Checks += r.Checks
	o.h.Samples.Violations = append(o.h.Samples.Violations, r.Violations...)
}

// Judge checks all invariants against the history so far and a state of the
// server. replay says in each violation how to run it again.
func (o *Oracle) Judge(s State, replay string) []Result {
	o.mu.Lock()
	h := o.h
	// The lists only grow, so what is seen here does not change any more.
	h.Epochs, h.Last = slices.Clone(h.Epochs), slices.Clone(h.Last)
	h.Samples.Violations = slices.Clone(h.Samples.Violations)
	h.Standing, h.Gone = maps.Clone(h.Standing), maps.Clone(h.Gone)
	o.mu.Unlock()
	return Judge(&h, s, replay)
}
