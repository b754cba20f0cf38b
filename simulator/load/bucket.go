package load

import "time"

// Bucket is a token bucket: it lets things begin at a rate, and after a pause,
// of its own or of a machine that was busy, at most Burst of them at once. It
// is not safe for concurrent use.
type Bucket struct {
	// PerSecond is how many begin in a second; 0 or less is as many as there
	// are. Burst is the most at once, at least one.
	PerSecond float64
	Burst     int

	full time.Time // when the bucket is full again; zero: it is
}

// Take takes the next token and returns how long to wait for it.
func (b *Bucket) Take(now time.Time) time.Duration {
	if b.PerSecond <= 0 {
		return 0
	}
	each := time.Duration(float64(time.Second) / b.PerSecond)
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(each)
	return max(0, b.full.Sub(now)-time.Duration(max(1, b.Burst))*each)
}
