package matching

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muster-iot/muster/server/index"
)

// Result is what a way costs.
type Result struct {
	Way string
	// Change is the CPU time of a change: the median of the rounds.
	Change time.Duration
	// Changes is how many were measured in each round.
	Changes int
}

// Moves is how many memberships a change begins or ends, on average.
func (w *Workload) Moves() float64 {
	n := 0
	for _, a := range w.answers {
		n += len(a)
	}
	return float64(n) / float64(len(w.answers))
}

// Members is how many memberships there are.
func (w *Workload) Members() int {
	n := 0
	for _, groups := range w.start {
		n += len(groups)
	}
	return n
}

// Measure checks each way and measures it in turns with the others. Slow ways
// are given fewer of the changes.
func (w *Workload) Measure(rounds int, names ...string) ([]Result, error) {
	var runs []*run
	for _, name := range names {
		r := &run{w: w, name: name, way: w.way(name), last: len(w.changes) / 2}
		if err := r.prepare(); err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	for range rounds {
		for _, r := range runs {
			r.round()
		}
	}
	var results []Result
	for _, r := range runs {
		slices.Sort(r.costs)
		results = append(results, Result{r.name, r.costs[len(r.costs)/2], 2 * r.last})
	}
	return results, nil
}

// run is a way that is measured on the first changes up to last and what
// undoes them.
type run struct {
	w     *Workload
	name  string
	way   Way
	last  int
	costs []time.Duration
}

// prepare makes as many changes as fit into a moment and no less than 60, and
// compares the answers with the known ones.
func (r *run) prepare() error {
	const (
		moment = 300 * time.Millisecond
		least  = 60
	)
	start := time.Now()
	for n := range r.last {
		if n >= least && time.Since(start) > moment {
			r.last = n
			break
		}
		if err := r.check(n); err != nil {
			return err
		}
	}
	for n := len(r.w.changes) - r.last; n < len(r.w.changes); n++ {
		if err := r.check(n); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) check(n int) error {
	moves := r.way.Apply(n, r.w.changes[n])
	if m, ok := r.way.(*muster); ok {
		moves = nil
		for _, ms := range m.last {
			number := slices.IndexFunc(r.w.answers[n], func(x move) bool { return groupName(int(x.group)) == ms.Group })
			if number < 0 {
				return fmt.Errorf("%s answers change %d with %v", r.name, n, ms)
			}
			moves = append(moves, move{r.w.answers[n][number].group, ms.Joined})
		}
	}
	if !slices.Equal(moves, r.w.answers[n]) {
		return fmt.Errorf("%s answers change %d with %v, not %v", r.name, n, moves, r.w.answers[n])
	}
	return nil
}

// round makes the changes and undoes them.
func (r *run) round() {
	all := len(r.w.changes)
	start := threadTime()
	r.apply(0, r.w.changes[:r.last])
	r.apply(all-r.last, r.w.changes[all-r.last:])
	r.costs = append(r.costs, (threadTime()-start)/time.Duration(2*r.last))
}

func (r *run) apply(first int, changes []index.Change) {
	for i, c := range changes {
		r.way.Apply(first+i, c)
	}
}

// threadTime is the CPU time of this thread, which the caller stays on.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
