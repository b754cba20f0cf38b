package oracle

import (
	"maps"
	"slices"
	"time"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
	"github.com/muster-iot/muster/simulator/load"
)

// Attempt is a device that dials.
type Attempt struct {
	At    time.Time
	Thing protocol.ThingName
}

// Storm is the loss of every connection at once.
type Storm struct {
	// Back is when the network is there again. Before, it was away for long
	// enough that the pauses of all agents have grown to the longest.
	Back time.Time
	// Things is how many were cut off.
	Things int
}

// checkG2 compares what the server believes of connections with what is, and
// the members of groups with what their queries say of the things as they are
// in the world. It is to be asked when the fleet is at rest.
func checkG2(s State) Result {
	r := Result{Name: G2}
	things := make(map[protocol.ThingName]Thing, len(s.Things))
	for _, t := range s.Things {
		things[t.Name] = t
	}
	for _, d := range s.Devices {
		t, known := things[d.Thing]
		if !known {
			r.check(!d.Connected, d.Thing, s.At, "%s is connected, and the index does not know it", d.Thing)
			continue
		}
		r.check(t.Connected == d.Connected, d.Thing, s.At, "%s has a connection: %t; the index says %t", d.Thing, d.Connected, t.Connected)
		world := inTheWorld(t, d)
		for _, g := range s.Groups {
			r.world(s, g, world)
		}
	}
	return r
}

// inTheWorld is a thing as it is: connected or not, and on the version that it
// runs, if it has had the time to say so.
func inTheWorld(t Thing, d DeviceState) Thing {
	t.Connected = d.Connected
	if version, known := t.Attributes["softwareVersion"]; known && d.Idle && d.Connected && version != d.Running.Version {
		t.Attributes = maps.Clone(t.Attributes)
		t.Attributes["softwareVersion"] = d.Running.Version
	}
	return t
}

// world wants a thing to be in a group exactly when it belongs there.
func (r *Result) world(s State, g GroupState, t Thing) {
	q, err := query.Parse(g.Query)
	if err != nil {
		return // G1 says so
	}
	dynamic := func(name string) bool {
		return slices.ContainsFunc(s.Groups, func(g GroupState) bool { return string(g.Name) == name })
	}
	want, is := naive.Matches(q, t.Outside(dynamic)), slices.Contains(g.Members, t.Name)
	r.check(want == is, t.Name, s.At, "group %s: query %s is %t of %s as it is in the world, membership is %t", g.Name, g.Query, want, t.Name, is)
}

// Converged reports whether the server sees the connections as they are (G2).
func Converged(s State) bool { return checkG2(s).OK() }

const (
	// leastStorm is the smallest number of things whose return is judged: few
	// come together by chance.
	leastStorm = 100
	// wave bounds how many come back in one second, compared with an even
	// return over the longest pause. Full jitter makes it 1.8 for pauses of
	// five seconds, no jitter as many as the pause has seconds.
	wave = 3
)

// checkA7 looks at how often each device dials and how storms ebb. Devices
// pause by full jitter, at most for h.Pause.
func checkA7(h *History) Result {
	r := Result{Name: A7}
	if h.Pause <= 0 {
		return r
	}
	// Twice as often as by jitter on average, besides the first, short pauses.
	most := 10 + int(4*time.Minute/h.Pause)
	byThing := of(h.Attempts, func(a Attempt) protocol.ThingName { return a.Thing })
	for _, thing := range slices.Sorted(maps.Keys(byThing)) {
		busiest(&r, thing, byThing[thing], most)
	}
	for _, storm := range h.Storms {
		if storm.Things >= leastStorm {
			ebb(&r, h, storm)
		}
	}
	return r
}

// busiest finds the minute in which a device dials most often.
func busiest(r *Result, thing protocol.ThingName, attempts []Attempt, most int) {
	first, n, at := 0, 0, time.Time{}
	for i, a := range attempts {
		for a.At.Sub(attempts[first].At) >= time.Minute {
			first++
		}
		if i-first+1 > n {
			n, at = i-first+1, a.At
		}
	}
	r.check(n <= most, thing, at, "%s dials %d times within a minute, at most %d are in order", thing, n, most)
}

// ebb compares the busiest second after a storm with an even return.
func ebb(r *Result, h *History, storm Storm) {
	var moments []time.Time
	for _, a := range h.Attempts {
		if !a.At.Before(storm.Back) && a.At.Before(storm.Back.Add(h.Pause)) {
			moments = append(moments, a.At)
		}
	}
	even := float64(storm.Things) / h.Pause.Seconds()
	peak := load.RateOf(moments).Peak
	r.check(float64(peak) <= wave*even, "", storm.Back, "%d of %d things dial within one second after a storm, at most %d times the even %.0f are in order",
		peak, storm.Things, wave, even)
}

// Dial takes an attempt to connect; pause is the longest that agents make
// between two.
func (o *Oracle) Dial(a Attempt, pause time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.h.Pause = pause
	o.h.Attempts = append(o.h.Attempts, a)
}

// Storm takes a storm.
func (o *Oracle) Storm(s Storm) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.h.Storms = append(o.h.Storms, s)
}
