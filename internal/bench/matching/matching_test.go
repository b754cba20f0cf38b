package matching_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/muster-iot/muster/internal/bench/matching"
)

// TestWays: every way gives the answers that the matcher gives, and those are
// what every query says.
func TestWays(t *testing.T) {
	for _, c := range []matching.Config{
		{Devices: 2000, Groups: 1000, Changes: 600},
		{Devices: 2000, Groups: 1000, Changes: 600, Tenants: true},
		{Devices: 500, Groups: 300, Changes: 600, Ranges: true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			w, err := matching.New(c)
			if err != nil {
				t.Fatal(err)
			}
			results, err := w.Measure(1, matching.Ways()...)
			if err != nil {
				t.Fatal(err)
			}
			if len(results) != len(matching.Ways()) || w.Moves() == 0 || w.Members() == 0 {
				t.Errorf("%d results; %f memberships change with a change, of %d", len(results), w.Moves(), w.Members())
			}
		})
	}
}

// BenchmarkChange is the CPU time of a change: go test -bench Change
// -matching.groups 100000 for another size.
func BenchmarkChange(b *testing.B) {
	for _, kind := range []string{"single fleet", "tenants", "ranges"} {
		for _, groups := range []int{100, 1000, *most} {
			b.Run(fmt.Sprintf("%s/groups=%d", kind, groups), func(b *testing.B) {
				w, err := matching.New(matching.Config{Devices: *devices, Groups: groups, Tenants: kind == "tenants", Ranges: kind == "ranges"})
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					results, err := w.Measure(5, matching.Floor, matching.Muster)
					if err != nil {
						b.Fatal(err)
					}
					for _, r := range results {
						b.ReportMetric(float64(r.Change.Nanoseconds()), r.Way+"-ns/change")
					}
				}
				b.ReportMetric(w.Moves(), "moves/change")
			})
		}
	}
}

var (
	most    = flag.Int("matching.groups", 10_000, "groups of the largest benchmark")
	devices = flag.Int("matching.devices", 100_000, "devices of the benchmarks")
)
