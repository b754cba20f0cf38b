package group_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/internal/naive/naivetest"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// TestMembershipIsTheTruth drives index and matcher through random lives of
// things and groups, and after every step compares the membership with asking
// every query about every thing anew, in the naive way.
func TestMembershipIsTheTruth(t *testing.T) { rapid.Check(t, lives) }

// FuzzMembership is the same, steered by coverage: the bytes are the draws.
func FuzzMembership(f *testing.F) { naivetest.Fuzz(f, lives) }

func lives(t *rapid.T) {
	f := newFleet()
	f.populate(t)
	steps := f.steps()
	steps["reconfigure"] = f.reconfigure
	t.Repeat(steps)
}

// steps are what may happen to a fleet of any kind, and the check behind each.
func (f *fleet) steps() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"put thing":       f.putThing,
		"flip connection": f.flipConnection,
		"delete thing":    f.deleteThing,
		"create group":    f.createGroup,
		"change query":    f.changeQuery,
		"remove group":    f.removeGroup,
		"scan slice":      f.scanSlice,
		"scan all":        f.scanAll,
		"restart":         f.restart,
		"":                f.check,
	}
}

// TestOldestGroupsOfTheBound does the same under bounds that change: each thing
// is in the oldest of the groups that match it, as many as it has room for.
func TestOldestGroupsOfTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFleet()
		f.room = map[protocol.ThingName]int{}
		f.bound()
		f.populate(t)
		steps := f.steps()
		steps["change room"] = f.changeRoom
		t.Repeat(steps)
	})
}

// fleet is the system under test and the model that it is compared with.
type fleet struct {
	index   *index.Index
	matcher *group.Matcher

	config index.Config
	groups map[protocol.ThingGroupName]*modelGroup
	room   map[protocol.ThingName]int // what is not named has none; nil is no bound
	born   int                        // groups created so far
}

// modelGroup is a group as its owner knows it.
type modelGroup struct {
	query  *query.Query
	born   int // tells older from newer; pairs are of one age
	status group.Status
	cursor protocol.ThingName          // scanned up to here
	member map[protocol.ThingName]bool // by the memberships that were answered
}

func newFleet() *fleet {
	return &fleet{
		index: index.New(), matcher: group.New(), config: naivetest.Everything(),
		groups: map[protocol.ThingGroupName]*modelGroup{},
	}
}

// populate begins with a fleet that is alive: things, and groups that are ACTIVE.
func (f *fleet) populate(t *rapid.T) {
	for range 5 {
		f.putThing(t)
	}
	for i := range 5 {
		f.create(t, protocol.ThingGroupName(fmt.Sprintf("g%d", i)))
	}
	f.scanAll(t)
}

// take books memberships into the model; each must be a change to it.
func (f *fleet) take(t *rapid.T, ms []group.Membership) {
	for _, x := range ms {
		g := f.groups[x.Group]
		if g == nil {
			t.Fatalf("%+v of a group that is not there", x)
		}
		if g.member[x.Thing] == x.Joined {
			t.Fatalf("%+v twice in a row", x)
		}
		if x.Joined {
			g.member[x.Thing] = true
		} else {
			delete(g.member, x.Thing)
		}
	}
}

// apply lets the matcher see a change.
func (f *fleet) apply(t *rapid.T, c index.Change) {
	ms := f.matcher.Apply(c)
	for i, x := range ms {
		if x.Thing != c.Thing || i > 0 && ms[i-1].Group >= x.Group {
			t.Fatalf("memberships of a change of %s out of order: %+v", c.Thing, ms)
		}
	}
	f.take(t, ms)
}

func (f *fleet) putThing(t *rapid.T) {
	f.apply(t, f.index.Put(index.Flatten(naivetest.Source(t, drawThing(t)), f.config)))
}

func (f *fleet) flipConnection(t *rapid.T) {
	doc := f.index.Get(drawThing(t))
	if doc == nil {
		t.Skip("no such thing")
	}
	f.apply(t, f.index.Put(doc.WithConnectivity(naivetest.Connectivity(t))))
}

func (f *fleet) deleteThing(t *rapid.T) { f.apply(t, f.index.Delete(drawThing(t))) }

func (f *fleet) createGroup(t *rapid.T) {
	name := drawGroup(t)
	if f.groups[name] != nil {
		t.Skip("group exists")
	}
	f.create(t, name)
}

func (f *fleet) create(t *rapid.T, name protocol.ThingGroupName) {
	status, _ := group.Status("").Next(group.Created)
	f.born++
	f.groups[name] = &modelGroup{born: f.born / 2, query: drawQuery(t), status: status, member: map[protocol.ThingName]bool{}}
	f.matcher.Put(name, f.groups[name].query)
}

// bound bounds the matcher, if the fleet is.
func (f *fleet) bound() {
	if f.room == nil {
		return
	}
	f.matcher.Bound(group.Bound{
		Room:    func(thing protocol.ThingName) int { return f.room[thing] },
		Created: func(g protocol.ThingGroupName) time.Time { return time.Unix(int64(f.groups[g].born), 0) },
	})
}

// changeRoom gives a thing another number of groups; a change that says
// nothing is enough for the matcher to see it. It may fall below zero.
func (f *fleet) changeRoom(t *rapid.T) {
	doc := f.index.Get(drawThing(t))
	if doc == nil {
		t.Skip("no such thing")
	}
	f.room[doc.Thing()] = rapid.IntRange(-1, 5).Draw(t, "room")
	f.apply(t, f.index.Put(doc))
}

// pick draws one of the groups that there are.
func (f *fleet) pick(t *rapid.T) (protocol.ThingGroupName, *modelGroup) {
	if len(f.groups) == 0 {
		t.Skip("no groups")
	}
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(f.groups))).Draw(t, "group")
	return name, f.groups[name]
}

func (g *modelGroup) on(t *rapid.T, e group.Event) {
	next, ok := g.status.Next(e)
	if !ok {
		t.Fatalf("%s on %s cannot happen", g.status, e)
	}
	g.status, g.cursor = next, ""
}

func (f *fleet) changeQuery(t *rapid.T) {
	name, g := f.pick(t)
	g.query = drawQuery(t)
	g.on(t, group.QueryChanged)
	f.matcher.Put(name, g.query)
}

func (f *fleet) removeGroup(t *rapid.T) {
	name, g := f.pick(t)
	f.take(t, f.matcher.Remove(name))
	if len(g.member) > 0 {
		t.Fatalf("group %s is gone and keeps %v", name, g.member)
	}
	delete(f.groups, name)
}

func (f *fleet) scanSlice(t *rapid.T) {
	name, g := f.pick(t)
	if !g.status.NeedsScan() {
		t.Skip("nothing to scan")
	}
	f.scan(t, name, g, rapid.IntRange(1, 4).Draw(t, "slice"))
}

// scan goes on by up to limit things.
func (f *fleet) scan(t *rapid.T, name protocol.ThingGroupName, g *modelGroup, limit int) {
	docs := f.index.Range(g.cursor, limit)
	f.take(t, f.matcher.Scan(name, docs))
	if again := f.matcher.Scan(name, docs); again != nil {
		t.Fatalf("scanned again: %+v", again)
	}
	if len(docs) < limit {
		g.on(t, group.Scanned)
		return
	}
	g.cursor = docs[len(docs)-1].Thing()
}

func (f *fleet) scanAll(t *rapid.T) {
	for _, name := range slices.Sorted(maps.Keys(f.groups)) {
		if g := f.groups[name]; g.status.NeedsScan() {
			f.scan(t, name, g, f.index.Len()+1)
		}
	}
}

// reconfigure gives every document other fields, one after the other. ACTIVE
// groups stay right by Apply alone.
func (f *fleet) reconfigure(t *rapid.T) {
	f.config = naivetest.Config(t)
	for _, doc := range f.index.Range("", 0) {
		f.apply(t, f.index.Put(index.Flatten(doc.Source(), f.config)))
	}
}

// restart builds a new matcher from what the owner has stored.
func (f *fleet) restart(t *rapid.T) {
	f.matcher = group.New()
	f.bound()
	for name, g := range f.groups {
		f.matcher.Put(name, g.query)
		for thing := range g.member {
			if !f.matcher.Restore(name, f.index.Get(thing)) {
				t.Fatalf("cannot restore %s in %s", thing, name)
			}
		}
	}
	for _, doc := range f.index.Range("", 0) {
		f.matcher.Recall(doc)
	}
}

// check is the invariant: the matcher lists what it answered, and the members
// of an ACTIVE group are the things that its query matches.
func (f *fleet) check(t *rapid.T) {
	things := f.things(t)
	if f.room != nil {
		f.checkOldest(t, things)
	}
	if f.matcher.Len() != len(f.groups) {
		t.Fatalf("%d groups, want %d", f.matcher.Len(), len(f.groups))
	}
	groupsOf := map[protocol.ThingName][]protocol.ThingGroupName{}
	for _, name := range slices.Sorted(maps.Keys(f.groups)) {
		g := f.groups[name]
		members := f.matcher.Members(name)
		if want := slices.Sorted(maps.Keys(g.member)); !slices.Equal(members, want) || f.matcher.Count(name) != len(want) {
			t.Fatalf("group %s lists %v, answered %v", name, members, want)
		}
		for _, m := range members {
			groupsOf[m] = append(groupsOf[m], name)
		}
		if g.status == group.Active && f.room == nil {
			checkActive(t, name, g, things)
		}
	}
	for _, thing := range things {
		if got := f.matcher.GroupsOf(f.index.Get(thing.Name)); !slices.Equal(got, groupsOf[thing.Name]) {
			t.Fatalf("thing %s is in %v, want %v", thing.Name, got, groupsOf[thing.Name])
		}
		delete(groupsOf, thing.Name)
	}
	if len(groupsOf) > 0 {
		t.Fatalf("things that are gone are members: %v", groupsOf)
	}
}

// things are those of the index, as a search shows them.
func (f *fleet) things(t *rapid.T) []naive.Thing {
	var things []naive.Thing
	for _, doc := range f.index.Range("", 0) {
		thing, err := naivetest.Answered(doc)
		if err != nil {
			t.Fatal(err)
		}
		things = append(things, thing)
	}
	return things
}

// checkOldest compares the memberships of every thing with the oldest groups
// that match it, once all groups are ACTIVE.
func (f *fleet) checkOldest(t *rapid.T, things []naive.Thing) {
	for _, g := range f.groups {
		if g.status != group.Active {
			return
		}
	}
	for _, thing := range things {
		var oldest []protocol.ThingGroupName
		for name, g := range f.groups {
			if naive.Matches(g.query, thing) {
				oldest = append(oldest, name)
			}
		}
		slices.SortFunc(oldest, func(a, b protocol.ThingGroupName) int {
			return cmp.Or(cmp.Compare(f.groups[a].born, f.groups[b].born), cmp.Compare(a, b))
		})
		oldest = oldest[:min(len(oldest), max(0, f.room[thing.Name]))]
		slices.Sort(oldest)
		if got := f.matcher.GroupsOf(f.index.Get(thing.Name)); !slices.Equal(got, oldest) {
			t.Fatalf("thing %s with room for %d is in %v, want %v", thing.Name, f.room[thing.Name], got, oldest)
		}
	}
}

func checkActive(t *rapid.T, name protocol.ThingGroupName, g *modelGroup, things []naive.Thing) {
	for _, thing := range things {
		if want := naive.Matches(g.query, thing); g.member[thing.Name] != want {
			t.Fatalf("group %s, query %s: %s is a member: %t, matches: %t", name, g.query, thing.Name, !want, want)
		}
	}
}

func drawThing(t *rapid.T) protocol.ThingName { return naivetest.Thing(t, 5) }

func drawGroup(t *rapid.T) protocol.ThingGroupName {
	return protocol.ThingGroupName(fmt.Sprintf("g%d", rapid.IntRange(0, 7).Draw(t, "group")))
}

// drawQuery draws a query over the whole grammar.
func drawQuery(t *rapid.T) *query.Query {
	return naivetest.Queries{Fields: naivetest.Fields(), Groups: []string{"red", "s1"}, Patterns: true, Depth: 3}.Draw(t)
}
