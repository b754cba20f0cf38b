package load_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/simulator/load"
)

func TestSameSeedSameDraws(t *testing.T) {
	draw := func(seed uint64, path ...string) (list [8]uint64) {
		r := load.Rand(seed, path...)
		for i := range list {
			list[i] = r.Uint64()
		}
		return list
	}
	first, again := draw(1, "device", "a"), draw(1, "device", "a")
	if first != again {
		t.Error("the same path of the same seed draws something else")
	}
	seen := map[[8]uint64]string{}
	for seed := range uint64(20) {
		for _, path := range [][]string{nil, {"device"}, {"device", "a"}, {"device", "b"}, {"devicea"}, {"device/a"}, {"ramp", "1"}, {"ramp", "2"}} {
			d, name := draw(seed, path...), fmt.Sprint(seed, path)
			if other, taken := seen[d]; taken {
				t.Errorf("%s and %s draw the same", name, other)
			}
			seen[d] = name
		}
	}
}

// TestDrawsStay pins the draws: a run is only reproducible while they stay.
func TestDrawsStay(t *testing.T) {
	for _, c := range []struct {
		seed uint64
		path []string
		want uint64
	}{
		{0, nil, 0x813f0174a2367c13}, {1, []string{"device", "sim-00000"}, 0x2b2e843f25db99fa}, {42, []string{"fault", "3"}, 0x833c3856d1a2aa40},
	} {
		if got := load.Derive(c.seed, c.path...); got != c.want {
			t.Errorf("Derive(%d, %q) = %#x, it was %#x", c.seed, c.path, got, c.want)
		}
	}
}

func TestRamp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := load.Ramp{N: rapid.IntRange(0, 200).Draw(t, "n"), Over: time.Duration(rapid.Int64Range(-5, 1e10).Draw(t, "over"))}
		rnd := load.Rand(rapid.Uint64().Draw(t, "seed"), "ramp")
		last := time.Duration(0)
		for i := range r.N {
			at := r.At(i, rnd)
			if at < last || at > max(r.Over, 0) {
				t.Fatalf("thing %d of %d starts at %v of %v, after one at %v", i, r.N, at, r.Over, last)
			}
			last = at
		}
	})
}

func TestRecorder(t *testing.T) {
	r := load.NewRecorder("first", "second")
	for i := 1; i <= 100; i++ {
		r.Record("second", time.Duration(i)*time.Millisecond)
	}
	r.Record("third", -time.Second)
	r.Record("third", 100*time.Hour)
	list := r.Summaries()
	if len(list) != 3 || list[0].Name != "first" || list[0].Count != 0 || list[2].Name != "third" {
		t.Fatalf("summaries: %+v", list)
	}
	within := func(name string, got, want time.Duration) {
		t.Helper()
		if got < want-want/500 || got > want+want/500 {
			t.Errorf("%s is %v, want %v to three digits", name, got, want)
		}
	}
	second := r.Summary("second")
	within("p50", second.P50, 50*time.Millisecond)
	within("p99", second.P99, 99*time.Millisecond)
	within("max", second.Max, 100*time.Millisecond)
	within("the longest", r.Summary("third").Max, time.Hour)
	if r.Summary("third").P50 != 0 {
		t.Errorf("a negative latency counts as %v", r.Summary("third").P50)
	}
	if s := r.Summary("none"); s.Count != 0 || s.Name != "none" {
		t.Errorf("summary of nothing: %+v", s)
	}
}
