package index_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/internal/naive/naivetest"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// TestSearchesAreTheTruth drives an index through random lives of things, and
// compares searches, their pages and what they aggregate with the naive
// evaluator: also of searches that are stepped while things change, and of
// selections that are looked at when things have changed since.
func TestSearchesAreTheTruth(t *testing.T) { rapid.Check(t, searches) }

// FuzzSearch is the same, steered by coverage: the bytes are the draws.
func FuzzSearch(f *testing.F) { naivetest.Fuzz(f, searches) }

func searches(t *rapid.T) {
	l := &lives{
		T: t, index: rapid.SampledFrom([]func() *index.Index{index.New, index.NewSmall}).Draw(t, "size")(), config: naivetest.Everything(), groups: map[protocol.ThingName]map[protocol.ThingGroupName]bool{},
		ask: naivetest.Queries{Fields: naivetest.Fields(), Groups: []string{"red", "s1", "blue", "d2"}, Patterns: true, Depth: 3},
	}
	for range 8 {
		l.put()
	}
	for range 4 {
		l.standing = append(l.standing, l.ask.Draw(t))
	}
	actions := map[string]func(*rapid.T){
		"search":    l.in(func() { l.same(l.ask.Draw(l.T)) }),
		"aggregate": l.in(l.aggregate),
		"step":      l.in(l.stepWhileChanging),
		"":          l.in(l.check),
	}
	for name, do := range l.changes() {
		actions[name] = l.in(do)
	}
	t.Repeat(actions)
}

// lives is an index and the dynamic groups of its things.
type lives struct {
	*rapid.T
	index    *index.Index
	config   index.Config
	groups   map[protocol.ThingName]map[protocol.ThingGroupName]bool
	ask      naivetest.Queries
	standing []*query.Query // asked after every step
}

func (l *lives) in(do func()) func(*rapid.T) {
	return func(t *rapid.T) {
		l.T = t
		do()
	}
}

func (l *lives) changes() map[string]func() {
	return map[string]func(){
		"put": l.put, "connectivity": l.connectivity, "delete": l.delete, "join or leave": l.joinOrLeave, "reconfigure": l.reconfigure,
	}
}

func (l *lives) thing() protocol.ThingName { return naivetest.Thing(l.T, 12) }

func (l *lives) put() {
	src := naivetest.Source(l.T, l.thing())
	src.Version = rapid.Int64Range(1, 3).Draw(l.T, "version of the thing")
	l.index.Put(index.Flatten(src, l.config))
}

func (l *lives) connectivity() {
	if doc := l.index.Get(l.thing()); doc != nil {
		l.index.Put(doc.WithConnectivity(naivetest.Connectivity(l.T)))
	}
}

func (l *lives) delete() {
	name := l.thing()
	l.index.Delete(name)
	delete(l.groups, name)
}

func (l *lives) joinOrLeave() {
	doc := l.index.Get(l.thing())
	if doc == nil {
		return
	}
	if l.groups[doc.Thing()] == nil {
		l.groups[doc.Thing()] = map[protocol.ThingGroupName]bool{}
	}
	group := rapid.SampledFrom([]protocol.ThingGroupName{"blue", "d2"}).Draw(l.T, "dynamic group")
	if in := l.groups[doc.Thing()]; in[group] {
		l.index.Leave(doc.ID(), group)
		delete(in, group)
	} else {
		l.index.Join(doc.ID(), group)
		in[group] = true
	}
}

func (l *lives) reconfigure() {
	l.config = naivetest.Config(l.T)
	for _, doc := range l.index.Range("", 0) {
		l.index.Put(index.Flatten(doc.Source(), l.config))
	}
}

// things are those of the index, as a search shows them.
func (l *lives) things() []naive.Thing {
	var things []naive.Thing
	for _, doc := range l.index.Range("", 0) {
		thing, err := naivetest.Answered(doc, slices.Sorted(maps.Keys(l.groups[doc.Thing()]))...)
		if err != nil {
			l.Fatal(err)
		}
		thing.Version = doc.Source().Version
		things = append(things, thing)
	}
	return things
}

func matching(q *query.Query, things []naive.Thing) (names []protocol.ThingName) {
	for _, t := range things {
		if naive.Matches(q, t) {
			names = append(names, t.Name)
		}
	}
	return names
}

func (l *lives) check() {
	for _, q := range l.standing {
		l.same(q)
	}
}

// same compares a search, whole and by pages, with the naive evaluator.
func (l *lives) same(q *query.Query) {
	want := matching(q, l.things())
	s := l.index.Select(q)
	if s.Count() != len(want) {
		l.Fatalf("query %s counts %d, by the naive evaluator %v", q, s.Count(), want)
	}
	for size := range 3 { // 0 is all at once
		var got []protocol.ThingName
		for after, more := protocol.ThingName(""), true; more; {
			var page []*index.Document
			page, more = s.Page(after, size)
			for _, doc := range page {
				after = doc.Thing()
				got = append(got, after)
			}
		}
		if !slices.Equal(got, want) {
			l.Fatalf("query %s finds %v by pages of %d, by the naive evaluator %v", q, got, size, want)
		}
	}
}

// stepWhileChanging lets things change between the steps of a search and
// behind them.
func (l *lives) stepWhileChanging() {
	q := l.ask.Draw(l.T)
	changes := l.changes()
	names := slices.Sorted(maps.Keys(changes))
	f := l.index.Find(q)
	for f.Step() {
		changes[rapid.SampledFrom(names).Draw(l.T, "meanwhile")]()
	}
	s := f.Selection()
	found := matching(q, l.things())
	if s.Count() != len(found) || s.IDs().GetCardinality() != uint64(len(found)) {
		l.Fatalf("query %s found %v, by the naive evaluator %v", q, s.IDs(), found)
	}
	gone := map[protocol.ThingName]bool{} // at some time
	for range rapid.IntRange(0, 16).Draw(l.T, "changes since") {
		changes[rapid.SampledFrom(names).Draw(l.T, "since")]()
		for _, n := range found {
			gone[n] = gone[n] || l.index.Get(n) == nil
		}
	}
	now := matching(q, l.things())
	page, _ := s.Page("", 0)
	var listed []protocol.ThingName
	for _, doc := range page {
		listed = append(listed, doc.Thing())
		if !slices.Contains(now, doc.Thing()) {
			l.Fatalf("query %s lists %s, which it does not match any more", q, doc.Thing())
		}
	}
	if !slices.IsSorted(listed) || len(slices.Compact(slices.Clone(listed))) != len(listed) {
		l.Fatalf("query %s lists %v", q, listed)
	}
	for _, n := range found {
		if slices.Contains(now, n) && !gone[n] && !slices.Contains(listed, n) {
			l.Fatalf("query %s does not list %s, which it matched and matches", q, n)
		}
	}
}

// aggregate compares what is aggregated with the naive way.
func (l *lives) aggregate() {
	q := l.ask.Draw(l.T)
	f := index.Field{
		Name: rapid.SampledFrom([]string{
			"attributes.a", "attributes.b", "shadow.reported.a", "shadow.reported.b", "shadow.name.s1.reported.a", "connectivity.connected", "connectivity.timestamp",
			"thingName", "registry.thingTypeName", "registry.thingGroupNames", "registry.version", "shadow.version", "shadow.name.s1.version", "shadow.hasDelta",
		}).Draw(l.T, "field"),
		Type: rapid.SampledFrom([]index.FieldType{index.Number, index.Number, index.String, index.Boolean}).Draw(l.T, "type"),
	}
	var things []naive.Thing
	for _, t := range l.things() {
		if naive.Matches(q, t) {
			things = append(things, t)
		}
	}
	s, kind := l.index.Select(q), naive.Kind(f.Type)
	if got, want := naive.Statistics(s.Statistics(f)), naive.Stats(things, f.Name, kind); !alike(got, want) {
		l.Fatalf("query %s, field %s: statistics %+v, want %+v", q, f, got, want)
	}
	if got, want := s.Cardinality(f), naive.Cardinality(things, f.Name, kind); got != int64(want) {
		l.Fatalf("query %s, field %s: cardinality %d, want %d", q, f, got, want)
	}
	most := rapid.IntRange(1, 4).Draw(l.T, "buckets")
	var got []naive.Bucket
	for _, b := range s.Buckets(f, most) {
		got = append(got, naive.Bucket(b))
	}
	if want := naive.Buckets(things, f.Name, kind, most); !slices.Equal(got, want) {
		l.Fatalf("query %s, field %s: buckets %v, want %v", q, f, got, want)
	}
	if f.Type != index.Number {
		return
	}
	percents := []float64{0, 1, 25, 50, 62.5, 99, 100}
	if got, want := s.Percentiles(f, percents), naive.Percentiles(things, f.Name, percents); !slices.EqualFunc(got, want, close) {
		l.Fatalf("query %s, field %s: percentiles %v, want %v", q, f, got, want)
	}
}

// alike compares statistics up to what the order of additions makes of them.
func alike(a, b naive.Statistics) bool {
	spread := 1e-9 * math.Max(1, math.Max(a.SumOfSquares, b.SumOfSquares))
	return a.Count == b.Count && a.Minimum == b.Minimum && a.Maximum == b.Maximum && close(a.Sum, b.Sum) && close(a.Average, b.Average) &&
		close(a.SumOfSquares, b.SumOfSquares) && math.Abs(a.Variance-b.Variance) <= spread &&
		math.Abs(a.StdDeviation-b.StdDeviation) <= math.Sqrt(spread)
}

func close(a, b float64) bool {
	return math.Abs(a-b) <= 1e-9*math.Max(1, math.Max(math.Abs(a), math.Abs(b)))
}

// TestRangesWhileValuesGo: ranges are right while the values of a field come
// and go in any order, so that what holds them is cut up and joined again.
func TestRangesWhileValuesGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const things = 16
		ix, there := index.NewSmall(), map[int]bool{}
		for _, i := range rapid.Permutation(numbersTo(things)).Draw(t, "come") {
			src := index.Source{ThingName: protocol.ThingName(fmt.Sprintf("t%02d", i)), Attributes: map[string]string{"n": strconv.Itoa(i)}}
			ix.Put(index.Flatten(src, naivetest.Everything()))
			there[i] = true
		}
		for _, i := range rapid.Permutation(numbersTo(things)).Draw(t, "go") {
			ix.Delete(protocol.ThingName(fmt.Sprintf("t%02d", i)))
			delete(there, i)
			low, high := rapid.IntRange(0, 3).Draw(t, "low"), rapid.IntRange(8, things).Draw(t, "high")
			want := 0
			for n := range there {
				if low <= n && n <= high {
					want++
				}
			}
			q, err := query.Parse(fmt.Sprintf("attributes.n:[%d TO %d]", low, high))
			if err != nil {
				t.Fatal(err)
			}
			if got := ix.Select(q).Count(); got != want {
				t.Fatalf("query %s counts %d of %v, want %d", q, got, there, want)
			}
		}
	})
}

func numbersTo(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}
