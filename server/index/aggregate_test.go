package index_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/internal/naive/naivetest"
	"github.com/muster-iot/muster/server/index"
)

// aggregate compares aggregations with counting things one by one.
func (f *life) aggregate(t *rapid.T) {
	if len(f.found) == 0 {
		t.Skip("nothing was found")
	}
	s := rapid.SampledFrom(f.found).Draw(t, "selection")
	field := index.Field{
		Name: rapid.SampledFrom(append(naivetest.Fields(), "thingGroupNames", "registry.thingGroupNames", "shadow.name.s1.version")).Draw(t, "field"),
		Type: rapid.SampledFrom([]index.FieldType{index.Number, index.String, index.Boolean}).Draw(t, "type"),
	}
	var things []naive.Thing
	for _, n := range f.still(s) {
		thing, err := naivetest.Answered(f.docs[n], f.groupsSeen(s, n)...)
		if err != nil {
			t.Fatal(err)
		}
		things = append(things, thing)
	}
	kind := naive.Kind(field.Type)
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) })
	if diff := cmp.Diff(index.Statistics(naive.Stats(things, field.Name, kind)), s.selection.Statistics(field), near); diff != "" {
		t.Fatalf("statistics of %+v among %s: %s", field, s.q, diff)
	}
	if kind == naive.Number {
		percents := []float64{0, 10, 33.3, 50, 100}
		if diff := cmp.Diff(naive.Percentiles(things, field.Name, percents), s.selection.Percentiles(field, percents), near); diff != "" {
			t.Fatalf("percentiles of %+v among %s: %s", field, s.q, diff)
		}
	}
	want := naive.Buckets(things, field.Name, kind, 1000)
	got := s.selection.Buckets(field, 1000)
	if n := s.selection.Cardinality(field); n != int64(len(got)) {
		t.Fatalf("cardinality of %+v among %s: %d, want %d", field, s.q, n, len(got))
	}
	if kind == naive.String {
		return // see TestBucketsOfText
	}
	var buckets []index.Bucket
	for _, b := range want {
		buckets = append(buckets, index.Bucket(b))
	}
	if !slices.Equal(got, buckets) {
		t.Fatalf("buckets of %+v among %s: %v, want %v", field, s.q, got, buckets)
	}
}

func TestPercentiles(t *testing.T) {
	ix := index.New()
	for i, n := range []string{"47", "70", "71", "72", "73", "74", "75", "97", "98", "99"} {
		ix.Put(index.Flatten(index.Source{ThingName: thingName(i), Attributes: map[string]string{"n": n}}, full()))
	}
	got := ix.Select(mustParse(t, "*")).Percentiles(index.Field{Name: "attributes.n", Type: index.Number}, []float64{10, 25, 50, 75, 90, 0, 100})
	want := []float64{67.7, 71.25, 73.5, 91.5, 98.1, 47, 99}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-9 {
			t.Errorf("percentiles %v, want %v", got, want)
		}
	}
	if got := ix.Select(mustParse(t, "*")).Percentiles(index.Field{Name: "attributes.none", Type: index.Number}, []float64{50}); got != nil {
		t.Errorf("percentiles of nothing: %v", got)
	}
}

func TestBucketsOfText(t *testing.T) {
	ix := index.New()
	for i, site := range []string{"Oslo", "oslo", "OSLO", "bergen", "Bergen", "5", "5.0"} {
		ix.Put(index.Flatten(index.Source{ThingName: thingName(i), Attributes: map[string]string{"site": site}}, full()))
	}
	all := ix.Select(mustParse(t, "*"))
	site := index.Field{Name: "attributes.site", Type: index.String}
	want := []index.Bucket{{Key: "OSLO", Count: 3}, {Key: "Bergen", Count: 2}, {Key: "5", Count: 1}, {Key: "5.0", Count: 1}}
	if got := all.Buckets(site, 10); !slices.Equal(got, want) {
		t.Errorf("buckets %v, want %v", got, want)
	}
	if got := all.Buckets(site, 2); !slices.Equal(got, want[:2]) {
		t.Errorf("two buckets %v, want %v", got, want[:2])
	}
	if got := all.Cardinality(site); got != 4 {
		t.Errorf("cardinality %d, want 4", got)
	}
	site.Type = index.Number
	if got := all.Buckets(site, 10); !slices.Equal(got, []index.Bucket{{Key: "5", Count: 2}}) {
		t.Errorf("buckets of numbers %v", got)
	}
}
