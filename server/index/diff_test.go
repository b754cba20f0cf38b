package index_test

import (
	"slices"
	"testing"

	"github.com/muster-iot/muster/server/index"
)

// TestDiff: what Put and Delete would change is told, and nothing is changed.
func TestDiff(t *testing.T) {
	cfg := index.Config{ThingIndexingMode: index.Registry}
	doc := func(version string) *index.Document {
		return index.Flatten(index.Source{ThingName: "dev1", Attributes: map[string]string{"v": version}}, cfg)
	}
	ix := index.New()
	if c := ix.Diff(doc("5")); c.Old != nil || c.New == nil || ix.Len() != 0 {
		t.Errorf("of a new thing %+v, %d things", c, ix.Len())
	}
	ix.Put(doc("5"))
	for _, v := range []string{"5", "6"} {
		told := ix.Diff(doc(v))
		if now := ix.Get("dev1").Values("attributes.v")[0].Text; now != "5" {
			t.Errorf("the index has %s", now)
		}
		done := ix.Put(doc(v))
		if !slices.Equal(told.Fields, done.Fields) || told.New.ID() != done.New.ID() {
			t.Errorf("told %v, done %v", told.Fields, done.Fields)
		}
		ix.Put(doc("5"))
	}
	if c := ix.DiffDelete("dev1"); c.New != nil || c.Old == nil || ix.Len() != 1 {
		t.Errorf("a deletion is %+v, %d things", c, ix.Len())
	}
}
