package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/presence"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/mem"
)

// faulty is a store whose next commits may fail.
type faulty struct {
	store.Store
	fail    atomic.Pointer[error]
	commits atomic.Int64
}

func (s *faulty) Commit(ctx context.Context, b []store.ShardBatch) error {
	if err := s.fail.Load(); err != nil {
		return *err
	}
	s.commits.Add(1)
	return s.Store.Commit(ctx, b)
}

// TestFailedCommit: nothing of a failed commit is acknowledged, sent or
// remembered, and the engine goes on when the store does.
func TestFailedCommit(t *testing.T) {
	s := &faulty{Store: mem.New()}
	f := start(t, s, rules.Safe())
	f.allEvents()
	f.thing("dev1", "5")
	f.wire.take()
	broken := errors.New("disk full")
	s.fail.Store(&broken)
	refused(f, engine.CreateThing{Name: "dev2"}, protocol.Unavailable)
	refused(f, engine.UpdateThing{Name: "dev1", Update: registry.Update{Attributes: map[string]string{"softwareVersion": "6"}}}, protocol.Unavailable)
	if got := f.wire.take(); len(got) > 0 {
		t.Errorf("sent without commit: %+v", got)
	}
	s.fail.Store(nil)
	f.recovered()
	f.read(func(v *engine.View) {
		th, err := v.Thing("dev1")
		if err != nil || th.Attributes["softwareVersion"] != "5" {
			t.Errorf("a change that was not stored is seen: %+v, %v", th, err)
		}
		if _, err := v.Thing("dev2"); err == nil {
			t.Error("a thing that was not stored is seen")
		}
	})
	f.thing("dev2", "5")
}

// TestFenced: a worker whose fleet another one has claimed ends.
func TestFenced(t *testing.T) {
	s := mem.New()
	e, err := engine.New(engine.Config{Store: s, Gateway: &wire{}, Rules: rules.Safe(), Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(context.Background()) }()
	<-e.Ready()
	if _, err := s.Claim(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Do(context.Background(), e, engine.CreateThing{Name: "dev1"}); err == nil {
		t.Fatal("a fenced worker acknowledged a change")
	}
	if err := <-ended; !errors.Is(err, store.ErrFenced) {
		t.Errorf("Run ended with %v", err)
	}
}

// picture is what can be seen of a fleet from outside.
func (f *fleet) picture() map[string]any {
	f.Helper()
	p := map[string]any{}
	f.read(func(v *engine.View) {
		all := engine.Page{Max: 10_000}
		things, _, _ := v.Things(all, nil)
		p["things"] = things
		for _, th := range things {
			p["presence "+string(th.Name)], _ = v.Presence(th.Name)
			pending, _ := v.Pending(th.Name)
			pending.Timestamp = 0
			p["pending "+string(th.Name)] = pending
			p["executions "+string(th.Name)], _, _ = v.ExecutionsOfThing(th.Name, all, nil)
			p["groups "+string(th.Name)], _, _ = v.GroupsOf(th.Name, all)
		}
		groups, _, _ := v.Groups(all, nil)
		p["groups"] = groups
		for _, g := range groups {
			p["members "+string(g.Name)], _, _ = v.Members(g.Name, false, all)
			p["above "+string(g.Name)] = v.Above(g)
		}
		jobs, _, _ := v.Jobs(all, nil)
		p["jobs"] = jobs
		p["events"] = v.Events()
		p["indexing"] = v.Indexing()
	})
	found, err := f.search("*")
	p["index"] = []any{len(found), err}
	for _, d := range found {
		p["document "+string(d.Thing())], _ = d.Answer(d.Groups)
	}
	return p
}

// TestReload: after any history, a new engine over the same store shows the
// same fleet, and its groups are what their queries say (G1, D1).
func TestReload(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		s := mem.New()
		r := rules.Safe()
		r.GroupsPerThing = rapid.SampledFrom([]int{0, 2}).Draw(rt, "groups per thing")
		f := start(t, s, r)
		h := history{fleet: f, rng: rand.New(rand.NewPCG(seed, 1)), sessions: map[protocol.ThingName]uint64{}}
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			h.step()
		}
		f.allActive()
		f.check()
		if f.Failed() {
			rt.Fatalf("seed %d", seed)
		}
		before := f.picture()
		f.stop()
		again := start(t, s, r)
		after := again.picture()
		h.fleet = again
		for range 40 {
			h.step()
		}
		again.allActive()
		again.check()
		again.stop()
		for k, v := range before {
			want(t, fmt.Sprintf("%s after reload (seed %d)", k, seed), after[k], v)
		}
		if len(before) != len(after) {
			t.Fatalf("the reloaded fleet shows %d facts, not %d", len(after), len(before))
		}
	})
}

// allActive waits until every group is built.
func (f *fleet) allActive() {
	f.Helper()
	var names []protocol.ThingGroupName
	f.read(func(v *engine.View) {
		groups, _, _ := v.Groups(engine.Page{Max: 1000}, nil)
		for _, g := range groups {
			names = append(names, g.Name)
		}
	})
	for _, n := range names {
		f.active(n)
	}
}

// check compares groups and counts with what they must be.
func (f *fleet) check() {
	f.Helper()
	f.checkGroups()
	f.read(func(v *engine.View) {
		all := engine.Page{Max: 10_000}
		jobsOf, _, _ := v.Jobs(all, nil)
		for _, j := range jobsOf {
			counts := job.Counts{}
			latest := map[protocol.ThingName]job.Execution{}
			xs, _, _ := v.ExecutionsOfJob(j.ID, all, nil)
			for _, x := range xs {
				if last, seen := latest[x.Thing]; x.Number != last.Number+1 || seen && !last.Status.Terminal() {
					f.Errorf("execution %d of %s on %s follows %+v", x.Number, j.ID, x.Thing, last)
				}
				latest[x.Thing] = x
			}
			for _, x := range latest {
				counts[x.Status]++
				if e, err := v.Explain(x.Thing, j.ID); x.Status == jobs.Queued && (err != nil || !e.Target) {
					f.Errorf("execution %d of %s on %s is QUEUED, but the thing is no target: %+v, %v", x.Number, j.ID, x.Thing, e, err)
				}
			}
			want(f, "counts of "+string(j.ID), j.Counts, counts)
		}
	})
}

// checkGroups compares the members of every group with its query, and under a
// bound of groups a thing with the oldest that match. The query of a static group
// is its name in the index, which finds indirect members too.
func (f *fleet) checkGroups() {
	f.Helper()
	all := engine.Page{Max: 10_000}
	var groups []group.Group // the oldest first
	taken := map[protocol.ThingName]int{}
	members := map[protocol.ThingGroupName][]protocol.ThingName{}
	f.read(func(v *engine.View) {
		groups, _, _ = v.Groups(all, nil)
		things, _, _ := v.Things(all, nil)
		for _, th := range things {
			mine, _, _ := v.GroupsOf(th.Name, all)
			taken[th.Name] = len(slices.DeleteFunc(mine, group.Group.Dynamic))
		}
		for _, g := range groups {
			members[g.Name], _, _ = v.Members(g.Name, true, all)
		}
	})
	for _, g := range groups {
		query := g.QueryString
		if !g.Dynamic() {
			query = "thingGroupNames:" + string(g.Name)
		}
		found, err := f.search(query)
		if err != nil {
			f.Error(err)
		}
		names := []protocol.ThingName{}
		for _, d := range found {
			n := d.Thing()
			if g.Dynamic() && f.bound > 0 {
				if taken[n] >= f.bound {
					continue
				}
				taken[n]++
			}
			names = append(names, n)
		}
		slices.Sort(members[g.Name]) // they come in the order of their creation
		want(f, "members of "+string(g.Name), members[g.Name], names)
	}
}

// history drives a fleet at random; errors that AWS would answer are fine.
type history struct {
	*fleet
	rng      *rand.Rand
	sessions map[protocol.ThingName]uint64
}

func (h *history) thingName() protocol.ThingName {
	return protocol.ThingName(fmt.Sprintf("dev%d", h.rng.IntN(5)))
}

func (h *history) groupName(n int) protocol.ThingGroupName {
	return protocol.ThingGroupName(fmt.Sprintf("G%d", n))
}

// targets are those of a job: any kind alone, or with others.
func (h *history) targets(n protocol.ThingName) []string {
	dynamic, static := groupARN(string(h.groupName(h.rng.IntN(3)))), groupARN(string(h.static()))
	return [][]string{{static}, {static}, {dynamic}, {static, dynamic}, {dynamic, thingARN(string(n))}}[h.rng.IntN(5)]
}

// static is one of few static groups.
func (h *history) static() protocol.ThingGroupName {
	return protocol.ThingGroupName(fmt.Sprintf("S%d", h.rng.IntN(4)))
}

// regroup changes the static groups at random.
func (h *history) regroup(n protocol.ThingName) error {
	ctx := context.Background()
	var err error
	switch h.rng.IntN(8) {
	case 0, 1, 2:
		in := engine.CreateStaticGroup{Name: h.static()}
		if h.rng.IntN(3) > 0 {
			in.Parent = h.static()
		}
		_, err = engine.Do(ctx, h.engine, in)
	case 3:
		_, err = engine.Do(ctx, h.engine, engine.DeleteStaticGroup{Name: h.static()})
	default:
		_, err = engine.Do(ctx, h.engine, engine.MoveThing{
			Thing: n, OverrideDynamic: h.rng.IntN(2) == 0,
			Remove: []protocol.ThingGroupName{h.static()}[:h.rng.IntN(2)], Add: []protocol.ThingGroupName{h.static()}[:h.rng.IntN(2)],
		})
	}
	return err
}

func (h *history) step() {
	n := h.thingName()
	id := protocol.JobID(fmt.Sprintf("j%d", h.rng.IntN(3)))
	version := fmt.Sprint(4 + h.rng.IntN(3))
	try := func(_ any, err error) {
		if err != nil && (protocol.CodeOf(err) == protocol.Internal || protocol.CodeOf(err) == protocol.Unavailable) {
			h.Fatal(err)
		}
	}
	ctx := context.Background()
	switch h.rng.IntN(20) {
	case 0, 1, 2:
		try(engine.Do(ctx, h.engine, engine.CreateThing{Name: n, Attributes: map[string]string{"softwareVersion": version}}))
	case 3, 4:
		h.sessions[n] = h.connect(n)
	case 5:
		h.disconnect(n, h.sessions[n])
	case 6:
		h.report(n, map[string]any{"softwareVersion": version})
	case 7:
		try(engine.Do(ctx, h.engine, engine.UpdateThing{Name: n, Update: registry.Update{Attributes: map[string]string{"softwareVersion": version}}}))
	case 8:
		try(engine.Do(ctx, h.engine, engine.CreateDynamicGroup{Name: h.groupName(h.rng.IntN(3)), Query: seedQuery}))
	case 9:
		q := "attributes.softwareVersion:" + version + " OR NOT connectivity.connected:true"
		if h.rng.IntN(2) == 0 {
			q = "thingGroupNames:" + string(h.static())
		}
		try(engine.Do(ctx, h.engine, engine.UpdateDynamicGroup{Name: h.groupName(h.rng.IntN(3)), Query: &q}))
	case 10, 11:
		selection := []job.Selection{job.Continuous, job.Snapshot}[h.rng.IntN(2)]
		try(engine.Do(ctx, h.engine, engine.CreateJob{
			ID: id, Selection: selection, Document: musterDocument, RatePerMinute: h.rng.IntN(2), // 1 a minute: none is released while the test looks
			Targets: h.targets(n),
		}))
	case 16, 17, 18, 19:
		try(nil, h.regroup(n))
	case 12:
		try(engine.Do(ctx, h.engine, engine.StartNext{Thing: n}))
	case 13:
		status := []jobs.ExecutionStatus{jobs.InProgress, jobs.Succeeded, jobs.Failed, jobs.Rejected}[h.rng.IntN(4)]
		try(engine.Do(ctx, h.engine, engine.UpdateExecution{Thing: n, JobID: id, Request: jobs.UpdateRequest{
			Status: status, StatusDetails: jobs.StatusDetails{"softwareVersion": version},
		}}))
	case 14:
		try(engine.Do(ctx, h.engine, engine.CancelJob{ID: id, Force: h.rng.IntN(2) == 0}))
	case 15:
		switch h.rng.IntN(4) {
		case 0:
			try(engine.Do(ctx, h.engine, engine.DeleteThing{Name: n}))
		case 1:
			try(engine.Do(ctx, h.engine, engine.DeleteJob{ID: id, Force: true}))
		case 2:
			try(engine.Do(ctx, h.engine, engine.DeleteDynamicGroup{Name: h.groupName(h.rng.IntN(3))}))
		case 3:
			try(engine.Do(ctx, h.engine, engine.CancelExecution{Thing: n, JobID: id, Force: true}))
		}
	}
}

// TestReconnectGrace: a restart does not empty the groups; devices that do
// not come back within the grace are disconnected by the server.
func TestReconnectGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		f := start(t, s, rules.Safe())
		f.group("V5", seedQuery)
		for _, n := range []protocol.ThingName{"back", "gone"} {
			f.thing(n, "5")
			f.connect(n)
		}
		f.job("j", job.Continuous, groupARN("V5"))
		f.stop()

		f = start(t, s, rules.Safe())
		defer f.stop()
		want(t, "members after the restart", f.members("V5"), []protocol.ThingName{"back", "gone"})
		f.connect("back")
		time.Sleep(rules.Safe().ReconnectGrace + time.Second)
		want(t, "members after the grace", f.members("V5"), []protocol.ThingName{"back"})
		want(t, "execution of the one that came back", f.executions("back", "j"), []string{"1:QUEUED"})
		want(t, "execution of the one that did not", f.executions("gone", "j"), []string{"1:REMOVED"})
		f.read(func(v *engine.View) {
			if p, _ := v.Presence("gone"); p.Reason != presence.ServerError {
				t.Errorf("presence %+v", p)
			}
		})
	})
}

// TestOverdueTimersWait: what expired while the server was down fires no
// earlier than the grace after the start.
func TestOverdueTimersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		f := start(t, s, rules.Safe())
		f.thing("dev1", "5")
		do(f, engine.CreateJob{ID: "j", Targets: []string{thingARN("dev1")}, Document: "{}", TimeoutMinutes: 1})
		f.startNext("dev1")
		f.stop()
		time.Sleep(time.Hour)
		f = start(t, s, rules.Safe())
		defer f.stop()
		time.Sleep(rules.Safe().OverdueGrace - 2*time.Second)
		f.update("dev1", "j", jobs.InProgress, nil) // a report must not end the grace
		time.Sleep(time.Second)
		want(t, "within the grace", f.executions("dev1", "j"), []string{"1:IN_PROGRESS"})
		time.Sleep(2 * time.Second)
		want(t, "after the grace", f.executions("dev1", "j"), []string{"1:TIMED_OUT"})
	})
}

// TestRestartKeepsWhatJobsKnow: members that a job has learned of, the cause of
// a leave and the switched events are all there after a restart.
func TestRestartKeepsWhatJobsKnow(t *testing.T) {
	s := mem.New()
	f := start(t, s, rules.Safe())
	f.allEvents()
	for _, n := range []protocol.ThingName{"queued", "failed"} {
		f.thing(n, "5")
		f.connect(n)
	}
	f.group("V5", seedQuery) // both are found while it is BUILDING
	f.job("j", job.Continuous, groupARN("V5"))
	f.update("failed", "j", jobs.Failed, nil)
	f.disconnect("failed", f.session)
	f.stop()

	f = start(t, s, rules.Safe())
	f.connect("failed")
	want(t, "connectivity alone, across the restart", f.executions("failed", "j"), []string{"1:FAILED"})
	session := f.connect("queued")
	f.wire.take()
	f.disconnect("queued", session)
	want(t, "left", f.executions("queued", "j"), []string{"1:REMOVED"})
	if got := topics(f.wire.take(), "$aws/events/jobExecution/"); !has(got, "j/removed") {
		t.Errorf("events after the restart: %v", got)
	}
}

// recorder is a store that remembers the statuses of a group as they were committed.
type recorder struct {
	store.Store
	mu       sync.Mutex
	statuses []group.Status
}

func (s *recorder) Commit(ctx context.Context, batches []store.ShardBatch) error {
	err := s.Store.Commit(ctx, batches)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range batches {
		for _, op := range b.Ops {
			var g group.Group
			if op.Kind == "group" && json.Unmarshal(op.Value, &g) == nil && err == nil {
				s.statuses = append(s.statuses, g.Status)
			}
		}
	}
	return err
}

// TestCommittedStatuses: a group is BUILDING, ACTIVE, REBUILDING in the
// committed history, however fast that goes for who only looks.
func TestCommittedStatuses(t *testing.T) {
	s := &recorder{Store: mem.New()}
	f := start(t, s, rules.Safe())
	f.thing("dev1", "5")
	f.group("V5", seedQuery)
	query := "attributes.softwareVersion:5"
	do(f, engine.UpdateDynamicGroup{Name: "V5", Query: &query})
	f.active("V5")
	cfg := index.Config{ThingIndexingMode: index.Registry}
	do(f, engine.UpdateIndexing{Thing: &cfg})
	f.active("V5")
	f.stop()
	want(t, "statuses", s.statuses, []group.Status{
		group.Building, group.Active, group.Rebuilding, group.Active, group.Rebuilding, group.Active,
	})
}
