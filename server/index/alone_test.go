package index_test

import (
	"fmt"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
)

// TestFindAlone: a search as of the query of a dynamic group sees static groups
// and not the dynamic ones that things have joined; any other sees both.
func TestFindAlone(t *testing.T) {
	ix := index.New()
	for _, src := range []index.Source{
		{ThingName: "a", GroupNames: []string{"static"}, Attributes: map[string]string{"k": "v"}},
		{ThingName: "b", Attributes: map[string]string{"k": "v", "w": "dynamic"}},
		{ThingName: "c"},
	} {
		ix.Put(index.Flatten(src, full()))
	}
	for _, n := range []protocol.ThingName{"a", "c"} {
		ix.Join(ix.Get(n).ID(), "Dynamic")
	}
	for _, c := range []struct{ query, all, alone string }{
		{"thingGroupNames:dynamic", "[a c]", "[]"},
		{"thingGroupNames:dyn*", "[a c]", "[]"},
		{"thingGroupNames:static", "[a]", "[a]"},
		{"thingGroupNames:*", "[a c]", "[a]"},
		{"NOT thingGroupNames:*", "[b]", "[b c]"},
		{"dynamic", "[a b c]", "[b]"},
		{"NOT dynamic", "[]", "[a c]"},
		{"dynam*", "[a b c]", "[b]"},
		{"attributes.k:v AND NOT thingGroupNames:dynamic", "[b]", "[a b]"},
		{"attributes.k:v dynamic", "[a b]", "[b]"},
	} {
		q := mustParse(t, c.query)
		if all, alone := found(ix.Find(q)), found(ix.FindAlone(q)); all != c.all || alone != c.alone {
			t.Errorf("%s found %s and alone %s, want %s and %s", c.query, all, alone, c.all, c.alone)
		}
	}
}

// found steps a search to its end and lists the things that it found.
func found(f *index.Find) string {
	for f.Step() {
	}
	docs, _ := f.Selection().Page("", 0)
	return fmt.Sprint(thingsOf(docs))
}

// TestFindAloneFollows: a thing that joins while such a search is on its way is
// judged without what it has joined, and so is what is aggregated.
func TestFindAloneFollows(t *testing.T) {
	ix := index.New()
	ix.Put(index.Flatten(index.Source{ThingName: "a", GroupNames: []string{"static"}}, full()))
	f := ix.FindAlone(mustParse(t, "NOT dynamic"))
	ix.Join(ix.Get("a").ID(), "dynamic")
	for f.Step() {
	}
	ix.Leave(ix.Get("a").ID(), "dynamic")
	ix.Join(ix.Get("a").ID(), "other")
	s := f.Selection()
	if docs, _ := s.Page("", 0); len(docs) != 1 {
		t.Errorf("found %v", thingsOf(docs))
	}
	field := index.Field{Name: "thingGroupNames", Type: index.String}
	if got := s.Buckets(field, 10); len(got) != 1 || got[0] != (index.Bucket{Key: "static", Count: 1}) {
		t.Errorf("buckets %v", got)
	}
}
