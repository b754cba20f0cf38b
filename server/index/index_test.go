package index_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

func mustParse(t testing.TB, s string) *query.Query {
	t.Helper()
	q, err := query.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func thingsOf(docs []*index.Document) []protocol.ThingName {
	var names []protocol.ThingName
	for _, doc := range docs {
		names = append(names, doc.Thing())
	}
	return names
}

// TestIndexIsAnOrderedMap runs random operations against a map.
func TestIndexIsAnOrderedMap(t *testing.T) {
	connected := mustParse(t, "connectivity.connected:true")
	rapid.Check(t, func(t *rapid.T) {
		ix, model := index.New(), map[protocol.ThingName]*index.Document{}
		name := rapid.Custom(func(t *rapid.T) protocol.ThingName {
			return protocol.ThingName(fmt.Sprintf("t%02d", rapid.IntRange(0, 12).Draw(t, "thing")))
		})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n := name.Draw(t, "name")
				doc := index.Flatten(drawSource(t, n), full())
				change := ix.Put(doc)
				if change.Thing != n || change.Old != model[n] || change.New != doc {
					t.Fatalf("put answers %+v", change)
				}
				model[n] = doc
			},
			"delete": func(t *rapid.T) {
				n := name.Draw(t, "name")
				change := ix.Delete(n)
				if change.Thing != n || change.Old != model[n] || change.New != nil {
					t.Fatalf("delete answers %+v", change)
				}
				if (len(change.Fields) > 0) != (model[n] != nil) {
					t.Fatalf("delete of %v changes %q", model[n], change.Fields)
				}
				delete(model, n)
			},
			"": func(t *rapid.T) {
				compareWithModel(t, ix, model, connected, name.Draw(t, "after"), rapid.IntRange(0, 6).Draw(t, "limit"))
			},
		})
	})
}

func compareWithModel(t *rapid.T, ix *index.Index, model map[protocol.ThingName]*index.Document, q *query.Query, after protocol.ThingName, limit int) {
	if ix.Len() != len(model) {
		t.Fatalf("length %d, want %d", ix.Len(), len(model))
	}
	var all, matching []protocol.ThingName
	for _, n := range slices.Sorted(maps.Keys(model)) {
		if ix.Get(n) != model[n] {
			t.Fatalf("get %s is not what was put", n)
		}
		if n <= after {
			continue
		}
		all = append(all, n)
		if q.Match(model[n]) {
			matching = append(matching, n)
		}
	}
	if got := thingsOf(ix.Range(after, limit)); !slices.Equal(got, firstOf(all, limit)) {
		t.Fatalf("range behind %s, at most %d: %v, want %v", after, limit, got, firstOf(all, limit))
	}
	docs, more := ix.Select(q).Page(after, limit)
	want := firstOf(matching, limit)
	if got := thingsOf(docs); !slices.Equal(got, want) || more != (len(want) < len(matching)) {
		t.Fatalf("search behind %s, at most %d: %v, more %t; all: %v", after, limit, got, more, matching)
	}
}

// firstOf returns up to limit names; 0 is no limit.
func firstOf(names []protocol.ThingName, limit int) []protocol.ThingName {
	if limit == 0 || limit > len(names) {
		return names
	}
	return names[:limit]
}

func TestEmptyIndex(t *testing.T) {
	ix := index.New()
	docs, more := ix.Select(mustParse(t, "*")).Page("", 10)
	if ix.Len() != 0 || ix.Get("a") != nil || docs != nil || more || ix.Range("", 10) != nil {
		t.Error("an empty index is not empty")
	}
	if change := ix.Delete("a"); change.Thing != "a" || change.Old != nil || change.Fields != nil {
		t.Errorf("delete of an unknown thing answers %+v", change)
	}
}

func TestOnlyConnectivity(t *testing.T) {
	base := index.Source{ThingName: "a", Attributes: map[string]string{"v": "5"}}
	online, updated := base, base
	online.Connectivity = index.Connectivity{Connected: true, Timestamp: 1}
	updated.Connectivity = online.Connectivity
	updated.Attributes = map[string]string{"v": "6"}
	doc := func(s index.Source) *index.Document { return index.Flatten(s, full()) }
	for _, c := range []struct {
		name string
		from []*index.Document // put before
		to   *index.Document   // nil: delete
		want bool
	}{
		{"came", nil, doc(base), false},
		{"went", []*index.Document{doc(base)}, nil, false},
		{"nothing", []*index.Document{doc(base)}, doc(base), false},
		{"connected", []*index.Document{doc(base)}, doc(online), true},
		{"disconnected", []*index.Document{doc(online)}, doc(base), true},
		{"connected and updated", []*index.Document{doc(base)}, doc(updated), false},
		{"updated", []*index.Document{doc(online)}, doc(updated), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ix := index.New()
			for _, d := range c.from {
				ix.Put(d)
			}
			change := ix.Delete
			if c.to != nil {
				change = func(protocol.ThingName) index.Change { return ix.Put(c.to) }
			}
			if got := change("a"); got.OnlyConnectivity() != c.want {
				t.Errorf("only connectivity: %t of %q", !c.want, got.Fields)
			}
		})
	}
}

func TestSearchSeesDynamicGroups(t *testing.T) {
	ix := index.New()
	for _, src := range []index.Source{
		{ThingName: "a", GroupNames: []string{"static"}}, {ThingName: "b"}, {ThingName: "c"},
	} {
		ix.Put(index.Flatten(src, full()))
	}
	for thing, groups := range map[protocol.ThingName][]protocol.ThingGroupName{"a": {"dyn"}, "b": {"dyn", "other"}} {
		for _, group := range groups {
			ix.Join(ix.Get(thing).ID(), group)
		}
	}
	for _, c := range []struct {
		query string
		want  []protocol.ThingName
	}{
		{"thingGroupNames:dyn", []protocol.ThingName{"a", "b"}},
		{"thingGroupNames:dyn thingGroupNames:static", []protocol.ThingName{"a"}},
		{"thingGroupNames:*", []protocol.ThingName{"a", "b"}},
		{"-thingGroupNames:dyn", []protocol.ThingName{"c"}},
		{"other", []protocol.ThingName{"b"}},
		{"static", []protocol.ThingName{"a"}},
		{"thingName:a", []protocol.ThingName{"a"}},
	} {
		docs, _ := ix.Select(mustParse(t, c.query)).Page("", 0)
		if got := thingsOf(docs); !slices.Equal(got, c.want) {
			t.Errorf("%q finds %v, want %v", c.query, got, c.want)
		}
	}
	if mustParse(t, "thingGroupNames:dyn").Match(ix.Get("a")) {
		t.Error("the document itself is in a dynamic group: group queries would depend on themselves")
	}
}

func BenchmarkFlatten(b *testing.B) {
	src, cfg := pump(b), full()
	b.ReportAllocs()
	for b.Loop() {
		index.Flatten(src, cfg)
	}
}

// BenchmarkConnectivityFlip is the commonest change: derive, put, compare.
func BenchmarkConnectivityFlip(b *testing.B) {
	ix := index.New()
	for i := range 10_000 {
		src := pump(b)
		src.ThingName = protocol.ThingName(fmt.Sprintf("pump-%05d", i))
		ix.Put(index.Flatten(src, full()))
	}
	doc := ix.Get("pump-05000")
	b.ReportAllocs()
	for b.Loop() {
		doc = doc.WithConnectivity(index.Connectivity{Connected: !doc.Source().Connectivity.Connected})
		if change := ix.Put(doc); !change.OnlyConnectivity() {
			b.Fatal(change.Fields)
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	ix := index.New()
	for i := range 10_000 {
		ix.Put(index.Flatten(index.Source{
			ThingName:  protocol.ThingName(fmt.Sprintf("t%05d", i)),
			Attributes: map[string]string{"softwareVersion": fmt.Sprint(i % 7)},
		}, full()))
	}
	q := mustParse(b, "connectivity.connected:true AND attributes.softwareVersion:5")
	for b.Loop() {
		ix.Select(q).Page("", 50)
	}
}

func thingName(i int) protocol.ThingName { return protocol.ThingName(fmt.Sprintf("t%d", i)) }
