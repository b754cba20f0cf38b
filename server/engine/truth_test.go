package engine_test

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

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/internal/naive/naivetest"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/mem"
)

// TestTruth drives a whole engine at random: things, shadows, sessions, static
// and dynamic groups, what is indexed, restarts and commits that fail. After
// every step it compares what the engine answers with what the naive evaluator
// says of the things that a search shows: the members of every group (G1), the
// membership events (G3), that a group is built once and jobs wait for it (G4),
// and the lists of members over all pages (G5); some steps search and page.
func TestTruth(t *testing.T) { rapid.Check(t, truthful) }

// FuzzTruth is the same, steered by coverage.
func FuzzTruth(f *testing.F) { naivetest.Fuzz(f, truthful) }

func truthful(t *rapid.T) {
	w := newTruth(t)
	defer w.stop()
	w.populate()
	actions := map[string]func(*rapid.T){"": w.in(w.check)}
	for name, do := range w.changes() {
		actions[name] = w.in(do)
	}
	for name, do := range map[string]func(){
		"search":           w.searchSome,
		"page and change":  w.pageWhileChanging,
		"restart":          w.restart,
		"a commit fails":   w.failCommit,
		"create group":     w.createGroup,
		"change group":     w.changeGroup,
		"delete group":     w.deleteGroup,
		"create job":       w.createJob,
		"reconfigure":      w.reconfigure,
		"switch off or on": w.switchOff,
	} {
		actions[name] = w.in(do)
	}
	t.Repeat(actions)
}

// membership is a thing in a group.
type membership struct {
	group protocol.ThingGroupName
	thing protocol.ThingName
}

// truth is an engine under random inputs, and what its events say.
type truth struct {
	*rapid.T // of the step
	rules    rules.Rules
	ask      naivetest.Queries // queries of dynamic groups
	store    *ledger
	wire     *wire
	engine   *engine.Engine
	stop     func()

	session  uint64
	sessions map[protocol.ThingName]uint64
	jobs     int
	// members are those of the dynamic groups, by the events.
	members map[membership]bool
}

func newTruth(t *rapid.T) *truth {
	r := rapid.SampledFrom([]rules.Rules{rules.Safe(), rules.Safe(), rules.AWS()}).Draw(t, "profile")
	r.GroupsPerThing = rapid.SampledFrom([]int{r.GroupsPerThing, r.GroupsPerThing, 2}).Draw(t, "groups per thing")
	w := &truth{
		T: t, rules: r, store: newLedger(), wire: &wire{}, sessions: map[protocol.ThingName]uint64{}, members: map[membership]bool{},
		ask: naivetest.Queries{Fields: truthFields(), Groups: append(staticNames(), "nowhere"), Depth: 2},
	}
	w.start()
	return w
}

// truthFields are those of naivetest, and what the engine fills besides.
func truthFields() []string {
	return append(naivetest.Fields(), "attributes.softwareVersion", "connectivity.connected", "shadow.reported.softwareVersion")
}

// The names are words of values, so that terms without a field meet them.
func staticNames() []string  { return []string{"red", "s1", "BLUE"} }
func dynamicNames() []string { return []string{"blue", "gw-200", "d3", "d4", "d5", "true"} }

const truthThings = 5

// in makes an action of a step.
func (w *truth) in(do func()) func(*rapid.T) {
	return func(t *rapid.T) {
		w.T = t
		do()
	}
}

func (w *truth) start() {
	e, err := engine.New(engine.Config{
		Store: w.store, Gateway: w.wire, Rules: w.rules, Account: "123456789012", Region: "us-east-1", Logger: quiet(),
	})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	w.engine = e
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	select {
	case <-e.Ready():
	case <-e.Done():
		w.Fatalf("the engine does not start: %v", <-ended)
	}
}

// populate begins with a fleet that is alive.
func (w *truth) populate() {
	enabled := map[event.Type]bool{}
	for _, k := range event.Types {
		enabled[k] = true
	}
	w.must(feed(w, engine.UpdateEvents{Enabled: enabled}))
	config := naivetest.Everything()
	w.must(feed(w, engine.UpdateIndexing{Thing: &config}))
	for _, name := range []protocol.ThingTypeName{"red", "Blue"} {
		w.must(feed(w, engine.CreateThingType{Name: name}))
	}
	w.quiet()
	for range 3 {
		w.createThing()
		w.updateShadow()
		w.createStatic()
		w.createGroup()
		w.move()
	}
}

// feed submits an input. What AWS would refuse is fine; the rest ends the test.
func feed[R any](w *truth, in engine.Input[R]) (answer R, ok bool) {
	answer, err := engine.Do(context.Background(), w.engine, in)
	if err == nil {
		return answer, true
	}
	switch code := protocol.CodeOf(err); code {
	case protocol.Internal, protocol.Unavailable:
		w.Fatalf("%T: %v", in, err)
	}
	return answer, false
}

// must wants what feed answers to be no refusal.
func (w *truth) must(_ any, ok bool) {
	if !ok {
		w.Fatal("an input of the beginning was refused")
	}
}

// read looks at the fleet; while the engine loads its state again it waits.
func (w *truth) read(see func(v *engine.View)) {
	w.patient(func() error {
		return engine.Read(context.Background(), w.engine, func(v *engine.View) error { see(v); return nil })
	})
}

// patient repeats what is Unavailable while the engine loads its state again.
func (w *truth) patient(do func() error) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := do()
		switch {
		case err == nil:
			return
		case protocol.CodeOf(err) != protocol.Unavailable || time.Now().After(deadline):
			w.Fatal(err)
		}
	}
}

// quiet waits until all background work is through, and returns the dynamic
// groups in the order of their creation and whether things are indexed.
func (w *truth) quiet() (groups []group.Group, indexed bool) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		busy := false
		w.read(func(v *engine.View) {
			status := v.Indexing().Status
			indexed = status != engine.IndexOff
			busy = indexed && status != engine.IndexActive
			groups, _, _ = v.Groups(engine.Page{Max: 1000}, group.Group.Dynamic)
			for _, g := range groups {
				busy = busy || g.Status.NeedsScan()
			}
		})
		if !busy {
			return groups, indexed
		}
		if time.Now().After(deadline) {
			w.Fatalf("background work does not end: %+v", groups)
		}
	}
}

// things returns what a search for all things shows.
func (w *truth) things() []naive.Thing {
	var things []naive.Thing
	for _, d := range w.search("*", engine.Page{Max: 1000}).found {
		things = append(things, w.answered(d))
	}
	return things
}

func (w *truth) answered(d engine.Found) naive.Thing {
	thing, err := naivetest.Answered(d.Document, d.Groups...)
	if err != nil {
		w.Fatal(err)
	}
	return thing
}

// page is what a search answers.
type page struct {
	found []engine.Found
	next  string
}

func (w *truth) search(query string, p engine.Page) (answer page) {
	w.patient(func() (err error) {
		answer.found, answer.next, err = engine.Search(context.Background(), w.engine, engine.Question{Query: query}, p)
		return err
	})
	return answer
}

// events books the membership events: each of them must be a change (G3).
func (w *truth) events() {
	for _, s := range w.wire.take() {
		rest, ok := strings.CutPrefix(s.topic, "$aws/events/thingGroupMembership/thingGroup/")
		if !ok {
			continue
		}
		part := strings.Split(rest, "/")
		m := membership{protocol.ThingGroupName(part[0]), protocol.ThingName(part[2])}
		joined := part[3] == "added"
		if slices.Contains(staticNames(), part[0]) {
			continue
		}
		if w.members[m] == joined {
			w.Fatalf("G3: %s of thing %s in group %s twice in a row", part[3], m.thing, m.group)
		}
		if joined {
			w.members[m] = true
		} else {
			delete(w.members, m)
		}
	}
}

// ledger is a store whose next commit may fail, and which judges what is
// committed (G4).
type ledger struct {
	*mem.Store
	mu   sync.Mutex
	fail bool
	// groups are the dynamic ones as committed, jobs the groups that jobs target.
	groups map[string]group.Group
	jobs   map[string][]protocol.ThingGroupName
	execs  map[string]bool
	broken []string
}

func newLedger() *ledger {
	return &ledger{Store: mem.New(), groups: map[string]group.Group{}, jobs: map[string][]protocol.ThingGroupName{}, execs: map[string]bool{}}
}

// failNext makes the next commit fail.
func (l *ledger) failNext(fail bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = fail
}

// faults returns what was wrong with what was committed.
func (l *ledger) faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.broken)
}

var errDisk = errors.New("disk full")

func (l *ledger) Commit(ctx context.Context, batches []store.ShardBatch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail {
		l.fail = false
		return errDisk
	}
	if err := l.Store.Commit(ctx, batches); err != nil {
		return err
	}
	before := maps.Clone(l.groups)
	var made []string
	for _, b := range batches {
		for _, op := range b.Ops {
			switch op.Kind {
			case "group":
				l.group(op.Key, op.Value)
			case "job":
				l.job(op.Key, op.Value)
			case "execution":
				if op.Value != nil && !l.execs[op.Key] {
					l.execs[op.Key] = true
					made = append(made, op.Key)
				}
			}
		}
	}
	l.executions(made, before)
	return nil
}

// group follows the status of a dynamic group: for each query version it is
// built, and ACTIVE once and for all.
func (l *ledger) group(name string, row []byte) {
	var g group.Group
	if row == nil {
		delete(l.groups, name)
		return
	}
	if err := json.Unmarshal(row, &g); err != nil || !g.Dynamic() {
		return
	}
	old, there := l.groups[name]
	there = there && old.ID == g.ID
	switch {
	case !there && g.Status != group.Building,
		there && old.Generation == g.Generation && old.Status == group.Active && g.Status != group.Active,
		there && old.Generation < g.Generation && !g.Status.NeedsScan(),
		there && old.Generation > g.Generation:
		l.broken = append(l.broken, fmt.Sprintf("G4: group %s went from %s (generation %d) to %s (generation %d)", name, old.Status, old.Generation, g.Status, g.Generation))
	}
	l.groups[name] = g
}

func (l *ledger) job(id string, row []byte) {
	var j struct{ Groups []protocol.ThingGroupName }
	if row != nil && json.Unmarshal(row, &j) == nil {
		l.jobs[id] = j.Groups
	}
}

// executions wants the group of a new execution to be ACTIVE, before the
// commit or after it.
func (l *ledger) executions(made []string, before map[string]group.Group) {
	for _, key := range made {
		part := strings.Split(key, "\x00")
		for _, name := range l.jobs[part[1]] {
			after, was := l.groups[string(name)], before[string(name)]
			if after.Status != group.Active && was.Status != group.Active {
				l.broken = append(l.broken, fmt.Sprintf("G4: %s got an execution of job %s while group %s was %s", part[0], part[1], name, after.Status))
			}
		}
	}
}

// TestIndexingStaysOnForGroups: a configuration without a mode is one that is
// off, too.
func TestIndexingStaysOnForGroups(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.group("all", "*")
	for _, mode := range []index.Mode{index.Off, ""} {
		refused(f, engine.UpdateIndexing{Thing: &index.Config{ThingIndexingMode: mode}}, protocol.InvalidRequest)
	}
}
