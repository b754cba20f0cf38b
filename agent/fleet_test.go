package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/agent"
	"github.com/muster-iot/muster/agent/journal"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
	document "github.com/muster-iot/muster/protocol/update"
)

const thing = protocol.ThingName("pump-17")

// fleet is a fleet side with one thing: its queue of executions and its
// shadow, by the rules of AWS IoT reference 7 and 9. It is the agent's
// transport too.
type fleet struct {
	t *testing.T

	mu       sync.Mutex
	queue    []*jobs.Execution // every execution ever, in order
	reported map[string]any
	// log is everything that was said, one line each.
	log []string
	// session is the open one.
	session  *fleetSession
	sessions int
	// Faults: fault is asked for every request; down refuses connections.
	fault func(n int, topic string) fault
	asked int
	down  bool
}

// fault is what goes wrong with a request.
type fault string

const (
	none     fault = ""
	lost     fault = "lost"     // taken, and the answer is lost
	ignored  fault = "ignored"  // never arrives
	cut      fault = "cut"      // taken, and then the connection is lost
	throttle fault = "throttle" // rejected for now
)

type fleetSession struct {
	fleet   *fleet
	deliver func(string, []byte)
	once    sync.Once
	done    chan struct{}
}

func newFleet(t *testing.T) *fleet { return &fleet{t: t, reported: map[string]any{}} }

func (f *fleet) Connect(ctx context.Context, filters []string, deliver func(string, []byte)) (agent.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, filter := range filters {
		if !topic.Own(thing, filter) {
			f.t.Errorf("subscribes to %s", filter)
		}
	}
	f.sessions++
	if f.down {
		return nil, errors.New("connection refused")
	}
	f.session = &fleetSession{fleet: f, deliver: deliver, done: make(chan struct{})}
	return f.session, ctx.Err()
}

func (s *fleetSession) Done() <-chan struct{} { return s.done }
func (s *fleetSession) Close()                { s.once.Do(func() { close(s.done) }) }

func (s *fleetSession) Publish(ctx context.Context, name string, payload []byte) error {
	select {
	case <-s.done:
		return errors.New("the connection was lost")
	default:
	}
	f := s.fleet
	f.mu.Lock()
	f.asked++
	what := none
	if f.fault != nil {
		what = f.fault(f.asked, name)
	}
	var send []func()
	if what == throttle {
		send = []func(){s.reply(name+topic.Rejected, jobs.RejectedMessage{Code: jobs.CodeRequestThrottled, ClientToken: token(payload)})}
	} else if what != ignored {
		send = f.handle(s, name, payload)
	}
	f.mu.Unlock()
	switch what {
	case lost:
		send = nil
	case cut:
		s.Close()
		return errors.New("the connection was lost")
	}
	for _, do := range send {
		do()
	}
	return ctx.Err()
}

func token(payload []byte) string {
	var m struct{ ClientToken string }
	_ = json.Unmarshal(payload, &m)
	return m.ClientToken
}

// reply returns the delivery of a message.
func (s *fleetSession) reply(name string, message any) func() {
	payload, err := json.Marshal(message)
	if err != nil {
		s.fleet.t.Error(err)
	}
	return func() {
		select {
		case <-s.done:
		default:
			s.deliver(name, payload)
		}
	}
}

func (f *fleet) say(format string, args ...any) { f.log = append(f.log, fmt.Sprintf(format, args...)) }

// handle answers a request; the caller holds mu and delivers.
func (f *fleet) handle(s *fleetSession, name string, payload []byte) []func() {
	if name == topic.Shadow(thing, "", "update") {
		return f.shadow(s, name, payload)
	}
	asked, ok := topic.Parse(name)
	if !ok || asked.Thing != thing {
		f.t.Errorf("publishes to %s", name)
		return nil
	}
	switch asked.Kind {
	case topic.StartNextJobExecution:
		x := f.head()
		if x != nil && x.Status == jobs.Queued {
			x.Status = jobs.InProgress
			x.VersionNumber++
			f.say("started %s", x.JobID)
		}
		return []func(){s.reply(name+topic.Accepted, jobs.ExecutionAccepted{Execution: x, ClientToken: token(payload)})}
	case topic.DescribeJobExecution:
		return f.describe(s, name, asked.JobID, payload)
	case topic.UpdateJobExecution:
		return f.update(s, name, asked.JobID, payload)
	}
	f.t.Errorf("asks %s", asked.Kind)
	return nil
}

func (f *fleet) describe(s *fleetSession, name string, job protocol.JobID, payload []byte) []func() {
	if job == topic.NextJob {
		return []func(){s.reply(name+topic.Accepted, jobs.ExecutionAccepted{Execution: f.head(), ClientToken: token(payload)})}
	}
	x, rejected := f.find(job, payload)
	if rejected != nil {
		return []func(){s.reply(name+topic.Rejected, rejected)}
	}
	return []func(){s.reply(name+topic.Accepted, jobs.ExecutionAccepted{Execution: x, ClientToken: token(payload)})}
}

// find returns an open execution of a job, or why there is none.
func (f *fleet) find(job protocol.JobID, payload []byte) (*jobs.Execution, *jobs.RejectedMessage) {
	var m struct {
		ExecutionNumber int64
		ClientToken     string
	}
	_ = json.Unmarshal(payload, &m)
	for _, x := range f.queue {
		if x.JobID == job && x.ExecutionNumber == m.ExecutionNumber {
			if x.Status.Terminal() {
				return nil, &jobs.RejectedMessage{Code: jobs.CodeTerminalStateReached, ClientToken: m.ClientToken, ExecutionState: &jobs.State{Status: x.Status, VersionNumber: x.VersionNumber}}
			}
			return x, nil
		}
	}
	return nil, &jobs.RejectedMessage{Code: jobs.CodeResourceNotFound, ClientToken: m.ClientToken}
}

func (f *fleet) update(s *fleetSession, name string, job protocol.JobID, payload []byte) []func() {
	x, rejected := f.find(job, payload)
	if rejected != nil {
		f.say("refused %s of %s", rejected.Code, job)
		return []func(){s.reply(name+topic.Rejected, rejected)}
	}
	var m jobs.UpdateRequest
	if err := json.Unmarshal(payload, &m); err != nil {
		f.t.Error(err)
	}
	if m.ExpectedVersion == nil || int64(*m.ExpectedVersion) != x.VersionNumber {
		return []func(){s.reply(name+topic.Rejected, jobs.RejectedMessage{Code: jobs.CodeVersionMismatch, ClientToken: m.ClientToken, ExecutionState: &jobs.State{Status: x.Status, VersionNumber: x.VersionNumber}})}
	}
	x.Status, x.StatusDetails = m.Status, m.StatusDetails
	x.VersionNumber++
	f.say("%s %s %s", x.JobID, m.Status, details(m.StatusDetails))
	send := []func(){s.reply(name+topic.Accepted, jobs.UpdateAccepted{ClientToken: m.ClientToken, ExecutionState: &jobs.State{Status: x.Status, VersionNumber: x.VersionNumber}})}
	if m.Status.Terminal() {
		send = append(send, s.reply(topic.Jobs(thing, "notify-next"), jobs.NotifyNext{Execution: f.head()}))
	}
	return send
}

func details(d jobs.StatusDetails) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(d)) {
		parts = append(parts, k+"="+d[k])
	}
	return strings.Join(parts, " ")
}

func (f *fleet) shadow(s *fleetSession, name string, payload []byte) []func() {
	var m struct {
		State struct{ Reported map[string]any }
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		f.t.Error(err)
	}
	maps.Copy(f.reported, m.State.Reported)
	f.say("shadow softwareVersion=%v", m.State.Reported["softwareVersion"])
	return []func(){s.reply(name+topic.Accepted, map[string]any{"clientToken": token(payload), "version": 1})}
}

// head returns the execution at the head of the queue: running ones first.
func (f *fleet) head() *jobs.Execution {
	for _, want := range []jobs.ExecutionStatus{jobs.InProgress, jobs.Queued} {
		for _, x := range f.queue {
			if x.Status == want {
				return x
			}
		}
	}
	return nil
}

// push queues an execution and notifies the device if it is the new head.
func (f *fleet) push(job protocol.JobID, doc string) *jobs.Execution {
	f.mu.Lock()
	x := &jobs.Execution{JobID: job, Status: jobs.Queued, QueuedAt: time.Now().Unix(), VersionNumber: 1, ExecutionNumber: 1, JobDocument: []byte(doc)}
	for _, old := range f.queue {
		if old.JobID == job {
			x.ExecutionNumber = old.ExecutionNumber + 1
		}
	}
	f.queue = append(f.queue, x)
	send := f.notice(x)
	f.mu.Unlock()
	send()
	return x
}

// notice returns the notification of a new head; the caller holds mu.
func (f *fleet) notice(x *jobs.Execution) func() {
	if f.session == nil || x != nil && f.head() != x {
		return func() {}
	}
	return f.session.reply(topic.Jobs(thing, "notify-next"), jobs.NotifyNext{Execution: x})
}

// end ends an execution from the fleet side.
func (f *fleet) end(x *jobs.Execution, status jobs.ExecutionStatus) {
	f.mu.Lock()
	x.Status = status
	x.VersionNumber++
	send := f.notice(f.head())
	f.mu.Unlock()
	send()
}

// drop ends the session; refuse says whether new ones are refused from now on.
func (f *fleet) drop(refuse bool) {
	f.mu.Lock()
	s := f.session
	f.session, f.down = nil, refuse
	f.mu.Unlock()
	if s != nil {
		s.Close()
	}
}

// said returns the log and forgets it.
func (f *fleet) said() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	said := f.log
	f.log = nil
	return said
}

// connects returns how often a connection was tried.
func (f *fleet) connects() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions
}

func (f *fleet) status(x *jobs.Execution) jobs.ExecutionStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return x.Status
}

// world is the device's side: a disk, an application, a repository. It
// survives the agent, as a device survives its process.
type world struct {
	disk *durable.Crashable

	mu        sync.Mutex
	running   string // version
	unpacked  map[string]bool
	installs  map[string]int // by version
	downloads int
	removed   int
	// wrong is asked before every work and decides how it ends.
	wrong func(work string) error
	// slow is how long every work takes. One that is stopped needs a second
	// to end, as a killed command does.
	slow time.Duration
	busy []string
	// committed are the releases that targets were resolved over.
	committed []update.Release
	// targets is the signed repository.
	targets map[string]firmware.Target
}

func newWorld() *world {
	w := &world{
		disk: durable.NewCrashable(), running: "5", unpacked: map[string]bool{"5": true},
		installs: map[string]int{}, targets: map[string]firmware.Target{},
	}
	for n, version := range []string{"5", "6", "7"} {
		t := firmware.Target{
			Path: "app/app-" + version, Length: 1, SHA256: firmware.Digest{byte(n + 5)},
			Custom: firmware.Custom{Product: "app", Version: version, Seq: int64(n+5) * 10000, TargetFormat: firmware.FormatAppDir},
		}
		w.targets[t.Path] = t
	}
	return w
}

// doc is the job document that names a version.
func (w *world) doc(version string) string {
	data, err := json.Marshal(w.targets["app/app-"+version].Document())
	if err != nil {
		panic(err)
	}
	return string(data)
}

func (w *world) work(ctx context.Context, name string) error {
	w.mu.Lock()
	w.busy = append(w.busy, name)
	if len(w.busy) > 1 {
		panic(fmt.Sprintf("works at the same time: %v", w.busy))
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.busy = nil
	}()
	if w.slow > 0 {
		t := time.NewTimer(w.slow)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			pass(time.Second)
			return ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrong != nil {
		if err := w.wrong(name); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (w *world) Resolve(ctx context.Context, _ time.Time, doc document.Document, committed update.Release) (firmware.Target, error) {
	w.committed = append(w.committed, committed)
	if err := w.work(ctx, "resolve"); err != nil {
		return firmware.Target{}, err
	}
	t, ok := w.targets[doc.Target]
	if !ok {
		return t, update.Refusef("target %s is not in the signed release list", doc.Target)
	}
	return t, nil
}

func (w *world) Fetch(ctx context.Context, _ firmware.Target) error {
	err := w.work(ctx, "fetch")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.downloads++
	return err
}

func (w *world) Verify(ctx context.Context, _ firmware.Target) error { return w.work(ctx, "verify") }
func (w *world) File(t firmware.Target) string                       { return t.Path }
func (w *world) Remove(firmware.Target) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removed++
	return nil
}

func (w *world) Prepare(ctx context.Context, _ firmware.Target) error { return w.work(ctx, "prepare") }

func (w *world) Install(ctx context.Context, t firmware.Target, _ string) error {
	if err := w.work(ctx, "install"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unpacked[t.Custom.Version] = true
	w.installs[t.Custom.Version]++
	return nil
}

func (w *world) Switch(ctx context.Context, t firmware.Target) error {
	w.mu.Lock()
	if !w.unpacked[t.Custom.Version] {
		w.mu.Unlock()
		return errors.New("not installed")
	}
	w.running = t.Custom.Version
	w.mu.Unlock()
	return w.work(ctx, "switch")
}

func (w *world) Check(ctx context.Context, t firmware.Target) error {
	if err := w.work(ctx, "check"); err != nil {
		return err
	}
	return w.runs(t.Custom.Version)
}

func (w *world) Commit(ctx context.Context, t firmware.Target) error {
	if err := w.work(ctx, "commit"); err != nil {
		return err
	}
	return w.runs(t.Custom.Version)
}

func (w *world) runs(version string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running != version {
		return fmt.Errorf("version %s runs", w.running)
	}
	return nil
}

func (w *world) Rollback(ctx context.Context, to update.Release, failed firmware.Target) error {
	if err := w.work(ctx, "rollback"); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.unpacked[to.Version] {
		return fmt.Errorf("version %s is not there", to.Version)
	}
	w.running = to.Version
	if v := failed.Custom.Version; v != to.Version {
		delete(w.unpacked, v)
	}
	return nil
}

func (w *world) Current() (update.Release, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return update.ReleaseOf(w.targets["app/app-"+w.running]), nil
}

func (w *world) version() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

// device is a running agent in its world.
type device struct {
	*world
	fleet *fleet
	stop  func()
}

// boot starts an agent; stop ends it, as abruptly as a context can.
func boot(t *testing.T, w *world, f *fleet, change ...func(*agent.Config)) *device {
	t.Helper()
	cfg := agent.Config{
		Thing: thing, Transport: f, Journal: journal.New(w.disk), Trust: w, Fetcher: w,
		Installers: map[string]agent.Installer{"app": w}, Seed: 1,
	}
	for _, c := range change {
		c(&cfg)
	}
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	d := &device{world: w, fleet: f}
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return d
}
