package index_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/internal/naive/naivetest"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// TestFindIsExact drives an index through random lives of things and groups
// while searches are on their way, each step of which is a random time after the
// one before: at its last step a search has found what every query matches,
// asked of every thing anew.
func TestFindIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newLife(t)
		for range rapid.IntRange(1, 30).Draw(t, "things at first") {
			f.put(t)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put":       f.put,
			"put again": f.put,
			"flip":      f.flip,
			"put back":  f.putBack,
			"delete":    f.delete,
			"join":      f.join,
			"leave":     f.leave,
			"find":      f.find,
			"step":      f.step,
			"step more": f.step,
			"finish":    f.finish,
			"close":     f.close,
			"page":      f.page,
			"aggregate": f.aggregate,
			"":          f.check,
		})
	})
}

// life is an index and what it must be equal to.
type life struct {
	ix      *index.Index
	config  index.Config
	queries naivetest.Queries
	docs    map[protocol.ThingName]*index.Document
	groups  map[protocol.ThingName][]protocol.ThingGroupName
	past    []*index.Document
	finds   []*search
	found   []*search // done
}

type search struct {
	*index.Find
	q         *query.Query
	alone     bool // sees no dynamic groups
	selection *index.Selection
}

// dynamicGroups are groups to join: none has the name of a static one, for all
// groups have names of their own, but some differ from one by case alone.
func dynamicGroups() []protocol.ThingGroupName {
	return []protocol.ThingGroupName{"Red", "d1", "d2", "RED", "blue whale", "whale", "1"}
}

func newLife(t *rapid.T) *life {
	f := &life{
		ix: index.NewSmall(), config: naivetest.Everything(),
		queries: naivetest.Queries{Fields: append(naivetest.Fields(), "thingGroupNames"), Groups: []string{"red", "s1", "d1", "d2", "whale"}, Patterns: true, Depth: 3},
		docs:    map[protocol.ThingName]*index.Document{}, groups: map[protocol.ThingName][]protocol.ThingGroupName{},
	}
	if rapid.IntRange(0, 9).Draw(t, "size") == 0 {
		f.ix = index.New()
	}
	return f
}

func (f *life) thing(t *rapid.T) protocol.ThingName { return naivetest.Thing(t, 40) }

func (f *life) take(t *rapid.T, n protocol.ThingName, doc *index.Document) {
	old := f.docs[n]
	change := f.ix.Put(doc)
	if change.Thing != n || change.Old != old || change.New == nil {
		t.Fatalf("put of %s answers %+v", n, change)
	}
	f.docs[n] = change.New
	if old != nil {
		f.past = append(f.past, old)
	}
}

func (f *life) put(t *rapid.T) {
	n := f.thing(t)
	f.take(t, n, index.Flatten(naivetest.Source(t, n), f.config))
}

func (f *life) flip(t *rapid.T) {
	n := f.thing(t)
	if f.docs[n] == nil {
		t.Skip("no such thing")
	}
	f.take(t, n, f.docs[n].WithConnectivity(naivetest.Connectivity(t)))
}

// putBack puts a document that was replaced, or a relative of it.
func (f *life) putBack(t *rapid.T) {
	if len(f.past) == 0 {
		t.Skip("nothing was replaced")
	}
	doc := rapid.SampledFrom(f.past).Draw(t, "document")
	if rapid.Bool().Draw(t, "connected anew") {
		doc = doc.WithConnectivity(naivetest.Connectivity(t))
	}
	f.take(t, doc.Thing(), doc)
}

func (f *life) delete(t *rapid.T) {
	n := f.thing(t)
	if change := f.ix.Delete(n); change.Old != f.docs[n] || change.New != nil || change.Thing != n {
		t.Fatalf("delete of %s answers %+v", n, change)
	}
	delete(f.docs, n)
	delete(f.groups, n)
}

func (f *life) join(t *rapid.T) {
	n, g := f.thing(t), rapid.SampledFrom(dynamicGroups()).Draw(t, "group")
	if doc := f.docs[n]; doc != nil {
		f.ix.Join(doc.ID(), g)
		if !slices.Contains(f.groups[n], g) {
			f.groups[n] = append(f.groups[n], g)
		}
	}
}

func (f *life) leave(t *rapid.T) {
	n, g := f.thing(t), rapid.SampledFrom(dynamicGroups()).Draw(t, "group")
	if doc := f.docs[n]; doc != nil {
		f.ix.Leave(doc.ID(), g)
		f.groups[n] = slices.DeleteFunc(slices.Clone(f.groups[n]), func(o protocol.ThingGroupName) bool { return o == g })
	}
}

func (f *life) find(t *rapid.T) {
	s := &search{q: f.queries.Draw(t), alone: rapid.Bool().Draw(t, "alone")}
	if s.alone {
		s.Find = f.ix.FindAlone(s.q)
	} else {
		s.Find = f.ix.Find(s.q)
	}
	f.finds = append(f.finds, s)
}

func (f *life) step(t *rapid.T) {
	if len(f.finds) == 0 {
		t.Skip("no search")
	}
	f.stepOf(t, rapid.IntRange(0, len(f.finds)-1).Draw(t, "search"))
}

// stepOf steps one of the searches; it reports whether there is more to do.
func (f *life) stepOf(t *rapid.T, i int) bool {
	s := f.finds[i]
	if s.Step() {
		return true
	}
	s.selection = s.Selection()
	var got []protocol.ThingName
	for it := s.selection.IDs().Iterator(); it.HasNext(); {
		doc := f.ix.At(it.Next())
		if doc == nil {
			t.Fatalf("query %s found a thing that is not there", s.q)
		}
		got = append(got, doc.Thing())
	}
	slices.Sort(got)
	if want := f.matching(s); !slices.Equal(got, want) {
		t.Fatalf("query %s found %v, want %v", s.q, got, want)
	}
	if s.selection.Count() != len(got) {
		t.Fatalf("query %s counts %d, found %v", s.q, s.selection.Count(), got)
	}
	f.finds = slices.Delete(f.finds, i, i+1)
	f.found = append(f.found, s)
	return false
}

func (f *life) finish(t *rapid.T) {
	for i := len(f.finds) - 1; i >= 0; i-- {
		for f.stepOf(t, i) {
		}
	}
}

func (f *life) close(t *rapid.T) {
	if len(f.finds) == 0 {
		t.Skip("no search")
	}
	i := rapid.IntRange(0, len(f.finds)-1).Draw(t, "search")
	f.finds[i].Close()
	if f.finds[i].Step() {
		t.Fatal("a search that was given up goes on")
	}
	f.finds = slices.Delete(f.finds, i, i+1)
}

// groupsSeen are the dynamic groups of a thing that a search sees.
func (f *life) groupsSeen(s *search, n protocol.ThingName) []protocol.ThingGroupName {
	if s.alone {
		return nil
	}
	return f.groups[n]
}

// matching asks the query of a search about all things.
func (f *life) matching(s *search) []protocol.ThingName {
	var names []protocol.ThingName
	for _, n := range slices.Sorted(maps.Keys(f.docs)) {
		if s.q.Match(grouped{f.docs[n], f.groupsSeen(s, n)}) {
			names = append(names, n)
		}
	}
	return names
}

// page compares a page of what was found some time ago with the things that
// were found and still match, or do again.
func (f *life) page(t *rapid.T) {
	if len(f.found) == 0 {
		t.Skip("nothing was found")
	}
	s := rapid.SampledFrom(f.found).Draw(t, "selection")
	after := rapid.SampledFrom([]protocol.ThingName{"", "t15", "t3", "z"}).Draw(t, "after")
	limit := rapid.IntRange(0, 5).Draw(t, "limit")
	var want []protocol.ThingName
	for _, n := range f.still(s) {
		if n > after {
			want = append(want, n)
		}
	}
	docs, more := s.selection.Page(after, limit)
	first := firstOf(want, limit)
	if got := thingsOf(docs); !slices.Equal(got, first) || more != (len(first) < len(want)) {
		t.Fatalf("query %s, behind %q, at most %d: %v, more %t; all: %v", s.q, after, limit, got, more, want)
	}
	for _, doc := range docs {
		if doc != f.docs[doc.Thing()] {
			t.Fatalf("%s is not the document that was put last", doc.Thing())
		}
	}
}

// still lists the things that have the numbers that were found and match.
func (f *life) still(s *search) []protocol.ThingName {
	var names []protocol.ThingName
	for _, n := range f.matching(s) {
		if s.selection.IDs().Contains(f.docs[n].ID()) {
			names = append(names, n)
		}
	}
	return names
}

func (f *life) check(t *rapid.T) {
	if f.ix.Len() != len(f.docs) {
		t.Fatalf("%d things, want %d", f.ix.Len(), len(f.docs))
	}
	for n, doc := range f.docs {
		if f.ix.Get(n) != doc || f.ix.At(doc.ID()) != doc {
			t.Fatalf("%s is not the document that was put last", n)
		}
	}
}

// grouped is a document with further values of thingGroupNames.
type grouped struct {
	*index.Document
	names []protocol.ThingGroupName
}

func (g grouped) added() []query.Value {
	var values []query.Value
	for _, n := range g.names {
		values = append(values, query.NewValue(string(n)))
	}
	return values
}

func (g grouped) Values(field string) []query.Value {
	if field == "thingGroupNames" {
		return append(g.added(), g.Document.Values(field)...)
	}
	return g.Document.Values(field)
}

func (g grouped) Has(path string) bool {
	return path == "thingGroupNames" && len(g.names) > 0 || g.Document.Has(path)
}

func (g grouped) Each(yield func(query.Value) bool) {
	for _, v := range g.added() {
		if !yield(v) {
			return
		}
	}
	g.Document.Each(yield)
}
