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
		if most := r.PerSecond() * r.Over.Seconds(); r.Over > 0 && (most > float64(r.N)*1.001 || most < float64(r.N)*0.999) {
			t.Fatalf("%d things within %v are %v a second", r.N, r.Over, r.PerSecond())
		}
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

func TestRate(t *testing.T) {
	at := func(seconds ...float64) (list []time.Time) {
		for _, s := range seconds {
			list = append(list, time.Unix(1000, 0).Add(time.Duration(s*float64(time.Second))))
		}
		return list
	}
	for _, c := range []struct {
		name    string
		moments []time.Time
		want    load.Rate
	}{
		{"nothing", nil, load.Rate{}},
		{"one", at(5), load.Rate{Count: 1, Mean: 1, Peak: 1}},
		{"all at once", at(1, 1, 1, 1), load.Rate{Count: 4, Mean: 4, Peak: 4}},
		{"one a second", at(1, 2, 3, 4, 5), load.Rate{Count: 5, Mean: 1.25, Peak: 1}},
		{"across a second's border, in no order", at(2.1, 4, 1.7, 1.9, 2.6), load.Rate{Count: 5, Mean: 5 / 2.3, Peak: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := load.RateOf(c.moments)
			if diff := got.Mean - c.want.Mean; diff > 0.001 || diff < -0.001 || got.Count != c.want.Count || got.Peak != c.want.Peak {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestBucket: however busy the machine is in between, no span of time sees
// more than the burst and the rate allow, and who waits is let in at the rate.
func TestBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := load.Bucket{PerSecond: rapid.Float64Range(0.5, 5000).Draw(t, "rate"), Burst: rapid.IntRange(0, 50).Draw(t, "burst")}
		now := time.Unix(1000, 0)
		var begun []time.Time
		for _, busy := range rapid.SliceOfN(rapid.IntRange(0, 3_000_000), 1, 100).Draw(t, "busy") {
			now = now.Add(time.Duration(busy/1000) * time.Duration(busy%1000) * time.Microsecond)
			now = now.Add(b.Take(now))
			begun = append(begun, now)
		}
		for i := range begun {
			for j := i; j < len(begun); j++ {
				most := float64(max(1, b.Burst)) + begun[j].Sub(begun[i]).Seconds()*b.PerSecond*1.0001 + 0.01
				if n := j - i + 1; float64(n) > most {
					t.Fatalf("%d begin within %v, at most %.2f may", n, begun[j].Sub(begun[i]), most)
				}
			}
		}
	})
	b, now := load.Bucket{PerSecond: 100, Burst: 5}, time.Unix(1000, 0)
	for i := range 100 {
		wait := b.Take(now)
		if i < 5 && wait != 0 {
			t.Errorf("thing %d of the burst waits for %v", i, wait)
		}
		now = now.Add(wait)
	}
	if took := now.Sub(time.Unix(1000, 0)); took != 950*time.Millisecond {
		t.Errorf("95 things after a burst of 5 at 100 a second take %v", took)
	}
	if wait := (&load.Bucket{}).Take(now); wait != 0 {
		t.Errorf("without a rate, it waits for %v", wait)
	}
}
