package load

import (
	"slices"
	"time"
)

// Rate is how often something happened.
type Rate struct {
	// Count is how many there were; Mean is their number per second from the
	// first to the last, Peak the largest number within any second.
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
	Peak  int     `json:"peak"`
}

// RateOf counts moments, in whatever order. What happens within less than a
// second has its number as its mean.
func RateOf(moments []time.Time) Rate {
	sorted := slices.SortedFunc(slices.Values(moments), time.Time.Compare)
	r := Rate{Count: len(sorted)}
	if r.Count == 0 {
		return r
	}
	span := max(time.Second, sorted[r.Count-1].Sub(sorted[0]))
	r.Mean = float64(r.Count) / span.Seconds()
	first := 0
	for i, at := range sorted {
		for at.Sub(sorted[first]) >= time.Second {
			first++
		}
		r.Peak = max(r.Peak, i-first+1)
	}
	return r
}
