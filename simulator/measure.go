package simulator

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/simulator/device"
	"github.com/muster-iot/muster/simulator/load"
	"github.com/muster-iot/muster/simulator/oracle"
)

// The names of what is measured.
const (
	// LatencyConnect is from the moment a thing is due to connect for the
	// first time, or from dialing later on, until it is connected and
	// subscribed.
	LatencyConnect = "connect"
	// LatencyMembership is from the moment a change leaves a thing (CONNECT,
	// a shadow report, a success, the cut of its connection) until the
	// membership event that it brought about arrives at the observer.
	LatencyMembership = "change -> membership"
	// LatencyNotify is from the same moment until the notify-next of a new
	// execution arrives at the thing.
	LatencyNotify = "change -> notify-next"
	// LatencyUpdate is from the first word of an execution on the thing until
	// the server has accepted its success.
	LatencyUpdate = "update total"
)

// changesKept is how many changes of a thing are remembered.
const changesKept = 8

// change is what a thing did to the index.
type change struct {
	at                   time.Time
	membership, notified bool // measured already
}

// track is what is measured of one thing.
type track struct {
	due      time.Time // first connection
	dialing  time.Time
	told     string // what the shadow is known to say
	changes  []change
	heard    update.Identity // the newest execution heard of
	heardAt  time.Time
	finished update.Identity
	// installed is the execution that last brought another version.
	installed update.Identity
}

// measure turns what is seen into latencies.
type measure struct {
	recorder *load.Recorder // of the whole run

	mu     sync.Mutex
	phase  *load.Recorder // since Mark
	online []time.Time    // when sessions began, since Mark
	since  time.Time      // changes before it are not measured; zero: none is
	tracks map[protocol.ThingName]*track
}

func newMeasure() *measure {
	return &measure{
		recorder: load.NewRecorder(LatencyConnect, LatencyMembership, LatencyNotify, LatencyUpdate),
		phase:    load.NewRecorder(),
		tracks:   map[protocol.ThingName]*track{},
	}
}

// record is called with the lock held.
func (m *measure) record(name string, d time.Duration) {
	m.recorder.Record(name, d)
	m.phase.Record(name, d)
}

// expect notes when a thing is due to connect.
func (m *measure) expect(thing protocol.ThingName, due time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tracks[thing] = &track{due: due}
}

// watch begins to measure what changes bring about.
func (m *measure) watch(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since = now
}

func (m *measure) observe(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tracks[e.Thing]
	if t == nil {
		return
	}
	switch e.Kind {
	case device.Dialing:
		t.dialing = e.At
		t.changed(e.At)
	case device.Connected:
		m.connected(t, e)
	case device.Dropped, device.Crashed:
		t.changed(e.At)
	case device.Told:
		if said(e) != t.told {
			t.changed(e.At)
		}
	case device.ToldAcknowledged:
		t.told = said(e)
	case device.Installed:
		t.installed = e.Execution
	case device.Reporting:
		if e.Status == jobs.Succeeded {
			t.changed(e.At)
		}
	case device.Notified, device.Offered:
		m.heard(t, e)
	case device.Acknowledged:
		if e.Status == jobs.Succeeded && e.Execution == t.heard && t.finished != e.Execution {
			t.finished = e.Execution
			t.told = e.Claimed + "/" + e.ClaimedSeq // the server has copied it
			if t.installed == e.Execution {         // else it had the version already
				m.record(LatencyUpdate, e.At.Sub(t.heardAt))
			}
		}
	}
}

func said(e Event) string { return e.Claimed + "/" + e.ClaimedSeq }

func (m *measure) connected(t *track, e Event) {
	begun := t.dialing
	if !t.due.IsZero() {
		begun, t.due = t.due, time.Time{}
	}
	m.record(LatencyConnect, e.At.Sub(begun))
	m.online = append(m.online, e.At)
}

// heard measures the first word of a new execution.
func (m *measure) heard(t *track, e Event) {
	if e.Execution == t.heard {
		return
	}
	t.heard, t.heardAt = e.Execution, e.At
	if e.Kind != device.Notified || e.Status != jobs.Queued {
		return
	}
	if c := t.cause(m.since, e.At); c != nil && !c.notified {
		c.notified = true
		m.record(LatencyNotify, e.At.Sub(c.at))
	}
}

// membership measures a membership event. The server's time in it, a
// millisecond at best, tells which change it comes from.
func (m *measure) membership(e oracle.Membership) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tracks[e.Thing]
	if t == nil {
		return
	}
	if c := t.cause(m.since, e.Sent.Add(time.Millisecond)); c != nil && !c.membership {
		c.membership = true
		m.record(LatencyMembership, e.At.Sub(c.at))
	}
}

func (t *track) changed(at time.Time) {
	if len(t.changes) == changesKept {
		t.changes = append(t.changes[:0], t.changes[1:]...)
	}
	t.changes = append(t.changes, change{at: at})
}

// cause returns the last change in a span of time.
func (t *track) cause(since, until time.Time) *change {
	if since.IsZero() {
		return nil
	}
	for i := len(t.changes) - 1; i >= 0; i-- {
		if c := &t.changes[i]; !c.at.After(until) {
			if c.at.Before(since) {
				return nil
			}
			return c
		}
	}
	return nil
}

// Watch tells the fleet which group and job it is about, just before or after
// the job is made. From then on it measures what changes of its things bring about; the oracle
// takes them in. The group must not have been there before the fleet started.
func (f *Fleet) Watch(group protocol.ThingGroupName, job protocol.JobID) {
	f.oracle.Watch(group, job)
	f.measure.watch(time.Now())
}

// MakeGroup makes a dynamic group that is judged and has no job; ChangeGroup
// gives it another query, and DeleteGroup deletes it. What changes of things
// bring about in it is not measured.
func (f *Fleet) MakeGroup(ctx context.Context, name protocol.ThingGroupName, query string) error {
	f.oracle.Stand(name)
	if _, err := f.api.CreateDynamicGroup(ctx, name, query); err != nil {
		return fmt.Errorf("cannot make group %s: %w", name, err)
	}
	_, err := f.describe(ctx, name)
	return err
}

// ChangeGroup gives a group of MakeGroup another query.
func (f *Fleet) ChangeGroup(ctx context.Context, name protocol.ThingGroupName, query string) error {
	if err := f.api.UpdateDynamicGroup(ctx, name, query); err != nil {
		return fmt.Errorf("cannot change group %s: %w", name, err)
	}
	_, err := f.describe(ctx, name)
	return err
}

// DeleteGroup deletes a group of MakeGroup: everything has to leave it.
func (f *Fleet) DeleteGroup(ctx context.Context, name protocol.ThingGroupName) error {
	f.oracle.Fall(name)
	if err := f.api.DeleteGroup(ctx, name); err != nil {
		return fmt.Errorf("cannot delete group %s: %w", name, err)
	}
	return nil
}

// Watched returns which groups and jobs the fleet is about.
func (f *Fleet) Watched() ([]protocol.ThingGroupName, []protocol.JobID) { return f.oracle.Watched() }

// Latencies returns what was measured, in the order connect, membership,
// notify-next, update, and the floor when there was one.
func (f *Fleet) Latencies() []load.Summary { return f.measure.recorder.Summaries() }

// Phase is what was measured since [Fleet.Mark].
type Phase struct {
	// Connects is how often sessions began.
	Connects  load.Rate
	latencies *load.Recorder
}

// Latency returns one of the latencies; its count is 0 when there was none.
func (p Phase) Latency(name string) load.Summary { return p.latencies.Summary(name) }

// Mark begins a phase.
func (f *Fleet) Mark() {
	m := f.measure
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase, m.online = load.NewRecorder(), nil
}

// Phase returns what was measured in the phase so far.
func (f *Fleet) Phase() Phase {
	m := f.measure
	m.mu.Lock()
	defer m.mu.Unlock()
	return Phase{Connects: load.RateOf(m.online), latencies: m.phase}
}

// Name returns the name of thing n.
func (f *Fleet) Name(n int) protocol.ThingName {
	return protocol.ThingName(nameOf(f.cfg.Prefix, n))
}

// Replay returns the part of a command line that makes the same draws again.
func (f *Fleet) Replay() string { return "--seed " + strconv.FormatUint(f.cfg.Seed, 10) }
