package job

import (
	"slices"
	"time"
)

const (
	// EntryWindow is how long an entry into a job's targets counts (rule 5).
	EntryWindow = time.Hour
	// freeEntries is how many entries within the window get their execution at once.
	freeEntries  = 2
	firstDwell   = 10 * time.Second
	longestDwell = 10 * time.Minute
)

// Visits is what a job remembers of a thing that comes and goes (rule 5).
type Visits struct {
	// At are the entries within the window, the oldest first.
	At []time.Time `json:"at"`
	// Until is how long the thing must stay before it gets an execution; zero
	// when it does not wait for that.
	Until time.Time `json:"until,omitzero"`
}

// Enter returns the visits after one more entry at now.
func (v Visits) Enter(now time.Time) Visits {
	from := now.Add(-EntryWindow)
	at := slices.DeleteFunc(slices.Clone(v.At), func(at time.Time) bool { return !at.After(from) })
	return Visits{At: append(at, now)}
}

// DwellOf returns how long a thing must stay a member after its n-th entry
// within the window before it gets an execution: nothing for the first two,
// then 10 s, doubled with each further entry, at most 10 minutes (rule 5).
func DwellOf(n int) time.Duration {
	if n <= freeEntries {
		return 0
	}
	d := firstDwell
	for range n - freeEntries - 1 {
		if d = 2 * d; d >= longestDwell {
			return longestDwell
		}
	}
	return d
}
