package naive_test

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/protocol"
)

// temperatures are the things of the reference's percentile check, one without
// a value and one whose value is no number.
func temperatures() []naive.Thing {
	var things []naive.Thing
	for i, v := range []string{"47", "70", "71", "72", "73", "74", "75", "97", "98", "99", "", "hot"} {
		things = append(things, naive.Thing{Name: protocol.ThingName("t" + strconv.Itoa(i)), Attributes: map[string]string{"temp": v}})
	}
	return things
}

// TestPercentilesOfTheReference: AWS IoT reference 3.6.
func TestPercentilesOfTheReference(t *testing.T) {
	got := naive.Percentiles(temperatures(), "attributes.temp", []float64{10, 25, 50, 75, 90, 0, 100})
	for i, want := range []float64{67.7, 71.25, 73.5, 91.5, 98.1, 47, 99} {
		if math.Abs(got[i]-want) > 1e-9 {
			t.Errorf("percentile %d is %v, want %v", i, got[i], want)
		}
	}
	if got := naive.Percentiles(nil, "attributes.temp", []float64{50}); got != nil {
		t.Errorf("percentiles of nothing are %v", got)
	}
}

func TestStatistics(t *testing.T) {
	things := []naive.Thing{
		{Attributes: map[string]string{"n": "2"}, Indexed: true, Connected: true},
		{Attributes: map[string]string{"n": "4"}, Indexed: true},
		{Attributes: map[string]string{"n": "4.0"}, Indexed: true, Connected: true},
		{Attributes: map[string]string{"n": "many"}, Version: 7},
	}
	want := naive.Statistics{Count: 3, Sum: 10, Average: 10.0 / 3, Minimum: 2, Maximum: 4, SumOfSquares: 36, Variance: 8.0 / 9, StdDeviation: math.Sqrt(8.0 / 9)}
	got := naive.Stats(things, "attributes.n", naive.Number)
	if math.Abs(got.Variance-want.Variance) > 1e-12 || math.Abs(got.StdDeviation-want.StdDeviation) > 1e-12 {
		t.Errorf("numbers: %+v, want %+v", got, want)
	}
	got.Variance, got.StdDeviation = want.Variance, want.StdDeviation
	if got != want {
		t.Errorf("numbers: %+v, want %+v", got, want)
	}
	if got, want := naive.Stats(things, "attributes.n", naive.String), (naive.Statistics{Count: 4}); got != want {
		t.Errorf("strings: %+v, want %+v", got, want)
	}
	if got, want := naive.Stats(things, "connectivity.connected", naive.Boolean), (naive.Statistics{Count: 3, Sum: 2, Average: 2.0 / 3, Maximum: 1}); got != want {
		t.Errorf("booleans: %+v, want %+v", got, want)
	}
	if got := naive.Stats(things, "registry.version", naive.Number); got.Maximum != 7 {
		t.Errorf("versions: %+v", got)
	}
	if got := naive.Cardinality(things, "attributes.n", naive.Number); got != 3-1 {
		t.Errorf("%d different numbers, want 2", got)
	}
	if got := naive.Cardinality(things, "attributes.n", naive.String); got != 4 {
		t.Errorf("%d different strings, want 4", got)
	}
}

func TestBuckets(t *testing.T) {
	things := fixtures(t)
	got := naive.Buckets(things, "registry.thingGroupNames", naive.String, 10)
	if want := []naive.Bucket{{Key: "oslo-pumps", Count: 2}, {Key: "floor2", Count: 1}}; !slices.Equal(got, want) {
		t.Errorf("groups: %v, want %v", got, want)
	}
	if got := naive.Buckets(things, "registry.thingTypeName", naive.String, 1); !slices.Equal(got, []naive.Bucket{{Key: "Pump", Count: 2}}) {
		t.Errorf("types: %v", got)
	}
	if got := naive.Buckets(things, "shadow.reported.tags", naive.String, 1); !slices.Equal(got, []naive.Bucket{{Key: "blue", Count: 1}}) {
		t.Errorf("tags: %v", got)
	}
}
