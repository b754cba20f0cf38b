package load

import (
	"math/rand/v2"
	"time"
)

// Ramp spreads the starts of things evenly over a time, each at a random
// moment of its own slot, so that they are neither one storm nor in step.
type Ramp struct {
	// N is the number of things, Over the time in which they start.
	N    int
	Over time.Duration
}

// At returns when thing i starts, counted from the beginning of the ramp.
// i runs from 0 to N-1.
func (r Ramp) At(i int, rnd *rand.Rand) time.Duration {
	if r.N <= 0 || r.Over <= 0 {
		return 0
	}
	slot := float64(r.Over) / float64(r.N)
	return time.Duration((float64(i) + rnd.Float64()) * slot)
}

// PerSecond is how many things start in a second; 0 when all start at once.
func (r Ramp) PerSecond() float64 {
	if r.Over <= 0 {
		return 0
	}
	return float64(r.N) / r.Over.Seconds()
}
