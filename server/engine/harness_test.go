package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/presence"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/mem"
)

// sent is a message that left the engine.
type sent struct {
	topic   string
	payload string
	session uint64
}

// wire records what the engine sends.
type wire struct {
	mu  sync.Mutex
	all []sent
}

func (w *wire) add(s sent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, s)
}

func (w *wire) Publish(topic string, payload []byte) { w.add(sent{topic, string(payload), 0}) }
func (w *wire) Send(session uint64, topic string, payload []byte) {
	w.add(sent{topic, string(payload), session})
}

func (w *wire) Deliver(m protocol.Message) { w.add(sent{m.Topic, string(m.Payload), 0}) }

func (w *wire) PublishAnd(topic string, payload []byte, session uint64) {
	w.add(sent{topic, string(payload), session})
}

// take returns the topics sent since the last take, without their common prefix.
func (w *wire) take() []sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.all
	w.all = nil
	return all
}

func topics(all []sent, about string) []string {
	names := []string{}
	for _, s := range all {
		if strings.Contains(s.topic, about) {
			names = append(names, s.topic[strings.Index(s.topic, about)+len(about):])
		}
	}
	return names
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// fleet is an engine under test.
type fleet struct {
	*testing.T
	engine  *engine.Engine
	wire    *wire
	store   store.Store
	session uint64
	bound   int // GroupsPerThing
	stop    func()
}

const seedQuery = "connectivity.connected:true AND attributes.softwareVersion:5"

func start(t *testing.T, s store.Store, r rules.Rules) *fleet {
	t.Helper()
	return startAt(t, s, r, time.Time{})
}

// startAt starts an engine that knows of a time that has passed already.
func startAt(t *testing.T, s store.Store, r rules.Rules, floor time.Time) *fleet {
	t.Helper()
	if s == nil {
		s = mem.New()
	}
	f := &fleet{T: t, wire: &wire{}, store: s, bound: r.GroupsPerThing}
	e, err := engine.New(engine.Config{
		Store: s, Gateway: f.wire, Rules: r, Account: "123456789012", Region: "us-east-1",
		Logger: quiet(), Floor: floor,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.engine = e
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("engine ended with %v", err)
		}
	})
	t.Cleanup(f.stop)
	select {
	case <-e.Ready():
	case err := <-ended:
		ended <- nil
		t.Fatalf("engine did not start: %v", err)
	}
	return f
}

func do[R any](f *fleet, in engine.Input[R]) R {
	f.Helper()
	r, err := engine.Do(context.Background(), f.engine, in)
	if err != nil {
		f.Fatalf("%T: %v", in, err)
	}
	return r
}

func refused[R any](f *fleet, in engine.Input[R], code protocol.Code) error {
	f.Helper()
	_, err := engine.Do(context.Background(), f.engine, in)
	if err == nil || protocol.CodeOf(err) != code {
		f.Fatalf("%T: error %v, want code %s", in, err, code)
	}
	return err
}

// read lets see look at the fleet on the engine's goroutine, which it must not
// end: see reports with Error, never with Fatal.
func (f *fleet) read(see func(v *engine.View)) {
	f.Helper()
	if err := engine.Read(context.Background(), f.engine, func(v *engine.View) error { see(v); return nil }); err != nil {
		f.Fatal(err)
	}
}

// recovered waits until the engine has thrown the state of a failed commit away:
// until then a read may still meet it, and is Unavailable.
func (f *fleet) recovered() {
	f.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := engine.Read(context.Background(), f.engine, func(*engine.View) error { return nil })
		if err == nil {
			return
		}
		if protocol.CodeOf(err) != protocol.Unavailable || time.Now().After(deadline) {
			f.Fatal(err)
		}
	}
}

func (f *fleet) thing(name protocol.ThingName, version string) {
	f.Helper()
	do(f, engine.CreateThing{Name: name, Attributes: map[string]string{"softwareVersion": version}})
}

func (f *fleet) connect(name protocol.ThingName) uint64 {
	f.Helper()
	f.session++
	do(f, engine.Connect{ClientID: string(name), Session: f.session, IP: "127.0.0.1"})
	return f.session
}

func (f *fleet) disconnect(name protocol.ThingName, session uint64) {
	f.Helper()
	do(f, engine.Disconnect{ClientID: string(name), Session: session, Reason: presence.Reason("CONNECTION_LOST")})
}

func (f *fleet) group(name protocol.ThingGroupName, query string) {
	f.Helper()
	do(f, engine.CreateDynamicGroup{Name: name, Query: query})
	f.active(name)
}

// active waits until a group is ACTIVE; building is background work.
func (f *fleet) active(name protocol.ThingGroupName) {
	f.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		var status group.Status
		f.read(func(v *engine.View) {
			g, err := v.Group(name)
			if err != nil {
				f.Error(err)
			}
			status = g.Status
		})
		if !status.NeedsScan() || f.Failed() {
			return
		}
		if time.Now().After(deadline) {
			f.Fatalf("group %s is still %s", name, status)
		}
	}
}

func groupARN(name string) string { return "arn:aws:iot:us-east-1:123456789012:thinggroup/" + name }
func thingARN(name string) string { return "arn:aws:iot:us-east-1:123456789012:thing/" + name }

func (f *fleet) job(id protocol.JobID, s job.Selection, targets ...string) job.Job {
	f.Helper()
	return do(f, engine.CreateJob{ID: id, Targets: targets, Selection: s, Document: `{"do":"it"}`})
}

const musterDocument = `{"muster":1,"operation":"install","product":"app","target":"app/app-6.tar.zst","version":"6","seq":60000}`

func (f *fleet) startNext(name protocol.ThingName) *jobs.Execution {
	f.Helper()
	return do(f, engine.StartNext{Thing: name})
}

func (f *fleet) update(name protocol.ThingName, id protocol.JobID, s jobs.ExecutionStatus, details jobs.StatusDetails) {
	f.Helper()
	do(f, engine.UpdateExecution{Thing: name, JobID: id, Request: jobs.UpdateRequest{Status: s, StatusDetails: details}})
}

func (f *fleet) report(name protocol.ThingName, fields map[string]any) {
	f.Helper()
	do(f, engine.UpdateShadow{Thing: name, Update: shadow.ReportedUpdate(fields)})
}

// executions returns "number:STATUS" of a thing's executions of a job.
func (f *fleet) executions(name protocol.ThingName, id protocol.JobID) []string {
	f.Helper()
	got := []string{}
	f.read(func(v *engine.View) {
		all, _, err := v.ExecutionsOfThing(name, engine.Page{Max: 1000}, func(x job.Execution) bool { return x.JobID == id })
		if err != nil {
			f.Error(err)
		}
		for _, x := range all {
			got = append(got, fmt.Sprintf("%d:%s", x.Number, x.Status))
		}
	})
	return got
}

func (f *fleet) members(name protocol.ThingGroupName) []protocol.ThingName {
	f.Helper()
	var got []protocol.ThingName
	f.read(func(v *engine.View) {
		page, _, err := v.Members(name, false, engine.Page{Max: 10_000})
		if err != nil {
			f.Error(err)
		}
		got = append(got, page...)
	})
	return got
}

// search returns all things that a query finds.
func (f *fleet) search(query string) ([]engine.Found, error) {
	f.Helper()
	found, _, err := engine.Search(context.Background(), f.engine, engine.Question{Query: query}, engine.Page{Max: 10_000})
	return found, err
}

func (f *fleet) allEvents() {
	f.Helper()
	on := map[event.Type]bool{}
	for _, k := range event.Types {
		on[k] = true
	}
	do(f, engine.UpdateEvents{Enabled: on})
}

// want compares what can be seen; it reports and goes on, so that it may be
// called during a read.
func want[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func has(all []string, one string) bool { return slices.Contains(all, one) }
