package index_test

import (
	"fmt"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
)

func TestFlattenGroup(t *testing.T) {
	doc := index.FlattenGroup(index.GroupSource{
		Name: "oslo", ID: "g-1", Description: "pumps of Oslo", ParentNames: []string{"norway", "europe"},
		Attributes: map[string]string{"floor": "2"}, Version: 7,
	})
	const want = "attributes.floor=2\ndescription=pumps of Oslo\nparentGroupNames=europe,norway\nthingGroupId=g-1\nthingGroupName=oslo"
	if got := dump(doc); got != want || doc.Name() != "oslo" || doc.Group().Version != 7 {
		t.Errorf("%s is\n%s", doc.Name(), got)
	}
	ix := index.New()
	ix.Put(doc)
	version := index.Field{Name: "version", Type: index.Number}
	if s := ix.Select(mustParse(t, "attributes.floor:2")).Statistics(version); s.Count != 1 || s.Sum != 7 {
		t.Errorf("statistics of the version: %+v", s)
	}
	if change := ix.Delete("oslo"); len(change.Fields) != 5 || ix.Len() != 0 {
		t.Errorf("delete answers %+v", change)
	}
}

func TestManagedField(t *testing.T) {
	for _, c := range []struct {
		name string
		want index.FieldType // empty: not managed
	}{
		{"thingName", index.String},
		{"registry.version", index.Number},
		{"shadow.name.health.version", index.Number},
		{"shadow.name.$package.hasDelta", index.Boolean},
		{"shadow.name.a.b.version", ""},
		{"shadow.name..version", ""},
		{"attributes.a", ""},
	} {
		f, ok := index.ManagedField(c.name)
		if ok != (c.want != "") || f.Type != c.want || ok && f.Name != c.name {
			t.Errorf("%s is managed: %t as %+v, want type %q", c.name, ok, f, c.want)
		}
	}
}

// TestSearchThatFellBehind lets more things change between two steps than are
// remembered: the search begins anew, and its answer is exact.
func TestSearchThatFellBehind(t *testing.T) {
	ix := index.NewSmall()
	put := func(i int, version string) {
		ix.Put(index.Flatten(index.Source{
			ThingName:  protocol.ThingName(fmt.Sprintf("t%03d", i)),
			Attributes: map[string]string{"version": version},
		}, full()))
	}
	const things = 100
	for i := range things {
		put(i, "5")
	}
	f := ix.Find(mustParse(t, "thingName:*1 AND attributes.version:5"))
	for range 3 {
		if !f.Step() {
			t.Fatal("the search is over before anything has changed")
		}
	}
	for i := range things {
		put(i, "6")
	}
	put(1, "5")
	for f.Step() {
	}
	docs, _ := f.Selection().Page("", 0)
	if len(docs) != 1 || docs[0].Thing() != "t001" {
		t.Errorf("found %v, want t001", thingsOf(docs))
	}
}
