package oracle

import (
	"fmt"
	"time"

	"github.com/muster-iot/muster/protocol"
)

// The invariants.
const (
	// G1: a thing is a member of a group exactly when the group's query
	// matches it.
	G1 = "G1"
	// G2: in a fleet at rest, the server sees connected exactly the things that
	// are, and the members of a group are those that its query matches in the world.
	G2 = "G2"
	// G3: membership events alternate, start with added and end in what is listed.
	G3 = "G3"
	// G4: a group is built once for each version of it, and until then no job
	// gives out executions for it.
	G4 = "G4"
	// G5: the list of members, over all its pages, has each member once, and those
	// that searches say are in the group.
	G5 = "G5"
	// J1: executions are numbered without gaps, one for each entry that qualifies.
	J1 = "J1"
	// J2: an execution is created and started only while its thing is a member.
	J2 = "J2"
	// J3: executions make legal transitions only, and end once.
	J3 = "J3"
	// D1: nothing that was acknowledged is lost.
	D1 = "D1"
	// A4: an execution is installed at most once.
	A4 = "A4"
	// A5: what a device reports is what it runs.
	A5 = "A5"
	// A7: devices dial seldom enough, and not in waves.
	A7 = "A7"
)

// title says in a few words what an invariant promises.
func title(name string) string {
	return map[string]string{
		G1: "members are what the query matches",
		G2: "the server sees the world as it is",
		G3: "membership events alternate and end in the members",
		G4: "built once, and no job before",
		G5: "listed once, and as searches say",
		J1: "one execution for each entry",
		J2: "no execution outside of membership",
		J3: "legal transitions, one end",
		D1: "what was acknowledged is there",
		A4: "one install for each execution",
		A5: "what is reported is what runs",
		A7: "devices dial seldom, and not in waves",
	}[name]
}

// Result is how one invariant held.
type Result struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Checks counts what was compared.
	Checks     int         `json:"checks"`
	Violations []Violation `json:"violations,omitempty"`
}

// OK reports whether the invariant held.
func (r Result) OK() bool { return len(r.Violations) == 0 }

// Violation is one place where an invariant did not hold.
type Violation struct {
	// Thing is empty when it is about no single one.
	Thing protocol.ThingName `json:"thing,omitempty"`
	// At is when it was seen.
	At   time.Time `json:"at"`
	What string    `json:"what"`
	// Replay is how to run it again.
	Replay string `json:"replay,omitempty"`
}

// check is one comparison: what is wrong is noted unless ok.
func (r *Result) check(ok bool, thing protocol.ThingName, at time.Time, format string, args ...any) {
	r.Checks++
	if !ok {
		r.Violations = append(r.Violations, Violation{Thing: thing, At: at, What: fmt.Sprintf(format, args...)})
	}
}

// Judge checks every invariant, in the order of their names.
func Judge(h *History, s State, replay string) []Result {
	results := []Result{
		checkG1(h, s), checkG2(s), checkG3(h, s), checkG4(h, s), checkG5(s), checkJ1(h, s), checkJ2(h, s), checkJ3(h, s), checkD1(h, s),
		checkA4(h, s), checkA5(h, s), checkA7(h),
	}
	for i := range results {
		results[i].Title = title(results[i].Name)
		for j := range results[i].Violations {
			results[i].Violations[j].Replay = replay
		}
	}
	return results
}

// gap reports whether events at a time may have been missed: it lies between
// the last event of one epoch and the beginning of the next, or before the
// first. The margin covers clocks and delivery.
func (h *History) gap(at time.Time) bool {
	const margin = time.Second
	if len(h.Epochs) == 0 || at.Before(h.Epochs[0].Add(-margin)) {
		return true
	}
	for i := 1; i < len(h.Epochs); i++ {
		if at.After(h.Last[i-1].Add(-margin)) && at.Before(h.Epochs[i].Add(margin)) {
			return true
		}
	}
	return false
}

// of splits a list by thing, keeping its order.
func of[T any](list []T, thing func(T) protocol.ThingName) map[protocol.ThingName][]T {
	split := map[protocol.ThingName][]T{}
	for _, v := range list {
		split[thing(v)] = append(split[thing(v)], v)
	}
	return split
}
