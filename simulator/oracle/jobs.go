package oracle

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
)

// checkJ1 counts each thing's executions of each job.
func checkJ1(h *History, s State) Result {
	r := Result{Name: J1}
	for _, j := range s.Jobs {
		byThing := of(j.Executions, func(x ExecutionState) protocol.ThingName { return x.Thing })
		entered := entries(h, j, s.RerunAfterAny)
		for _, thing := range slices.Sorted(maps.Keys(byThing)) {
			list := slices.SortedFunc(slices.Values(byThing[thing]), func(a, b ExecutionState) int { return cmp.Compare(a.Number, b.Number) })
			numbered(&r, s.At, j, list)
			seen := 0
			for _, x := range list {
				if !h.gap(x.QueuedAt) {
					seen++
				}
			}
			most := entered[thing].may
			r.check(seen <= most, thing, s.At, "job %s has %d executions for %s, which entered %d times", j.ID, seen, thing, most)
		}
		for _, thing := range slices.Sorted(maps.Keys(entered)) {
			if j.PerMinute == 0 && len(h.Epochs) == 1 {
				n, least := len(byThing[thing]), entered[thing].must
				r.check(n >= least, thing, s.At, "job %s has %d executions for %s, which entered %d times", j.ID, n, thing, least)
			}
		}
	}
	return r
}

// numbered checks one thing's executions of one job, sorted by number.
func numbered(r *Result, at time.Time, j JobState, list []ExecutionState) {
	for i, x := range list {
		r.check(x.Number == int64(i+1), x.Thing, at, "execution %d of job %s for %s stands at place %d", x.Number, j.ID, x.Thing, i+1)
		if i+1 < len(list) {
			r.check(x.Status.Terminal(), x.Thing, at, "execution %d of job %s for %s is %s, and there is a newer one", x.Number, j.ID, x.Thing, x.Status)
			r.check(!list[i+1].QueuedAt.Before(x.QueuedAt), x.Thing, at, "execution %d of job %s for %s is older than the one before", x.Number+1, j.ID, x.Thing)
		}
	}
}

// bounds are how many executions a thing has by what was seen of it.
type bounds struct{ must, may int }

// step is one event of a thing, in the order of the wire.
type step struct {
	order  int
	member *Membership
	online *Presence
	ended  *Ended
}

// entries counts the entries of every thing into the job's groups that
// qualify: it then has no execution that is still open, and, when nothing but
// connectivity made it leave and join, none that has ended other than by
// REMOVED (rule 5).
func entries(h *History, j JobState, rerunAfterAny bool) map[protocol.ThingName]bounds {
	steps := map[protocol.ThingName][]step{}
	for i, m := range h.Memberships {
		if slices.Contains(j.Groups, m.Group) {
			steps[m.Thing] = append(steps[m.Thing], step{order: m.order, member: &h.Memberships[i]})
		}
	}
	for i, p := range h.Presences {
		if steps[p.Thing] != nil {
			steps[p.Thing] = append(steps[p.Thing], step{order: p.order, online: &h.Presences[i]})
		}
	}
	for i, e := range h.Ended {
		if e.Job == j.ID && steps[e.Thing] != nil {
			steps[e.Thing] = append(steps[e.Thing], step{order: e.order, ended: &h.Ended[i]})
		}
	}
	counted := make(map[protocol.ThingName]bounds, len(steps))
	for thing, list := range steps {
		slices.SortFunc(list, func(a, b step) int { return cmp.Compare(a.order, b.order) })
		w := walk{job: j, rerunAfterAny: rerunAfterAny, in: map[protocol.ThingGroupName]bool{}}
		for _, s := range list {
			w.take(s)
		}
		w.begin(time.Unix(1<<40, 0))
		counted[thing] = w.bounds
	}
	return counted
}

// walk follows one thing.
type walk struct {
	job           JobState
	rerunAfterAny bool

	bounds bounds
	in     map[protocol.ThingGroupName]bool
	begun  bool // the job exists
	latest jobs.ExecutionStatus
	// byConnection says that the last leave came with the loss of a
	// connection; flipped is when the connection last changed.
	byConnection bool
	flipped      time.Time
	joined       []time.Time
	failed       int
}

func (w *walk) take(s step) {
	switch {
	case s.online != nil:
		w.flipped = s.online.Sent
	case s.ended != nil:
		w.latest = s.ended.Status
		if s.ended.Status == jobs.Failed {
			w.failed++
		}
	case s.member != nil:
		w.begin(s.member.Sent)
		w.member(*s.member)
	}
}

// begin makes the things that are members when the job is made enter it.
func (w *walk) begin(at time.Time) {
	if w.begun || !at.After(w.job.CreatedAt) {
		return
	}
	w.begun = true
	if len(w.in) > 0 {
		w.enter(w.job.CreatedAt, false)
	}
}

func (w *walk) member(m Membership) {
	was := len(w.in) > 0
	if m.Added {
		w.in[m.Group] = true
	} else {
		delete(w.in, m.Group)
	}
	is := len(w.in) > 0
	// The change of the connection and what it does to the group are one step
	// of the server, with one time.
	byConnection := w.flipped.Equal(m.Sent)
	switch {
	case was && !is:
		w.byConnection = byConnection
	case !was && is && w.begun:
		w.enter(m.Sent, w.byConnection && byConnection)
	}
}

// enter counts an entry. A thing that enters often has to stay for a while,
// and one that failed often is held: then there may be no execution.
func (w *walk) enter(at time.Time, onlyConnection bool) {
	const often, oftenFailed = 3, 3
	w.joined = append(w.joined, at)
	switch {
	case w.latest != "" && !w.latest.Terminal():
		return
	case w.latest.Terminal() && w.latest != jobs.Removed && onlyConnection && !w.rerunAfterAny:
		return
	}
	w.latest = jobs.Queued
	w.bounds.may++
	if len(w.joined) < often && w.failed < oftenFailed {
		w.bounds.must++
	}
}

// checkJ2 compares when executions were made and started with when their
// things were members.
func checkJ2(h *History, s State) Result {
	r := Result{Name: J2}
	for _, j := range s.Jobs {
		events := of(h.Memberships, func(m Membership) protocol.ThingName {
			if !slices.Contains(j.Groups, m.Group) {
				return ""
			}
			return m.Thing
		})
		members := map[protocol.ThingName]bool{}
		for _, g := range s.Groups {
			if slices.Contains(j.Groups, g.Name) {
				for _, m := range g.Members {
					members[m] = true
				}
			}
		}
		for _, x := range j.Executions {
			if is, known := memberAt(h, events[x.Thing], x.QueuedAt); known {
				r.check(is, x.Thing, x.QueuedAt, "execution %d of job %s was made for %s while it was in no target", x.Number, j.ID, x.Thing)
			}
			if is, known := memberAt(h, events[x.Thing], x.StartedAt); known {
				r.check(is, x.Thing, x.StartedAt, "execution %d of job %s was started by %s after it had left", x.Number, j.ID, x.Thing)
			}
			if left, known := leftQueued(j, x, events[x.Thing]); known {
				r.check(left.IsZero(), x.Thing, left, "execution %d of job %s was in the queue when %s left, and was started later all the same", x.Number, j.ID, x.Thing)
			}
			r.check(x.Status != jobs.Queued || members[x.Thing], x.Thing, s.At,
				"execution %d of job %s is still QUEUED for %s, which has left", x.Number, j.ID, x.Thing)
		}
	}
	return r
}

// leftQueued looks for a leave between the making of an execution and its
// start. When it was made is known to the millisecond if a single entry of the
// thing falls into the second that it says, and the job has no rate.
func leftQueued(j JobState, x ExecutionState, events []Membership) (left time.Time, known bool) {
	if x.StartedAt.IsZero() || j.PerMinute > 0 || len(j.Groups) != 1 {
		return left, false
	}
	var made []time.Time
	if within(x.QueuedAt, j.CreatedAt) {
		made = append(made, j.CreatedAt)
	}
	for _, e := range events {
		if e.Added && e.Sent.After(j.CreatedAt) && within(x.QueuedAt, e.Sent) {
			made = append(made, e.Sent)
		}
	}
	if len(made) != 1 {
		return left, false
	}
	for _, e := range events {
		if !e.Added && e.Sent.After(made[0]) && e.Sent.Before(x.StartedAt) {
			return e.Sent, true
		}
	}
	return left, true
}

// within reports whether a time falls into the second that begins at another.
func within(second, at time.Time) bool {
	return !at.Before(second) && at.Before(second.Add(time.Second))
}

// memberAt tells from a thing's events whether it was in any of the groups at
// some moment of the second that begins at a time: executions have their times
// in whole seconds, events in milliseconds.
func memberAt(h *History, events []Membership, at time.Time) (was, known bool) {
	if at.IsZero() || h.gap(at) || h.gap(at.Add(time.Second)) {
		return false, false
	}
	if len(events) > 0 && events[0].Epoch > 1 {
		return false, false // what came before is not known
	}
	in := map[protocol.ThingGroupName]bool{}
	for _, e := range events {
		if !e.Sent.Before(at.Add(time.Second)) {
			break
		}
		if e.Sent.After(at) && (e.Added || in[e.Group]) {
			return true, true // it joined within the second, or was in when it began
		}
		in[e.Group] = e.Added
	}
	for _, member := range in {
		was = was || member
	}
	return was, true
}

// checkJ3 puts all that was ever seen of each execution in the order of its
// versions and looks at the transitions.
func checkJ3(h *History, s State) Result {
	r := Result{Name: J3}
	type execution struct {
		thing protocol.ThingName
		id    Identity
	}
	seen := map[execution][]Sighting{}
	for _, x := range h.Sightings {
		seen[execution{x.Thing, x.Identity}] = append(seen[execution{x.Thing, x.Identity}], x)
	}
	for _, rep := range h.Reports {
		if rep.Acknowledged && rep.VersionNumber > 0 {
			k := execution{rep.Thing, rep.Identity}
			seen[k] = append(seen[k], Sighting{At: rep.At, Thing: rep.Thing, Identity: rep.Identity, Status: rep.Status, VersionNumber: rep.VersionNumber})
		}
	}
	for _, j := range s.Jobs {
		for _, x := range j.Executions {
			if x.VersionNumber == 0 {
				continue
			}
			id := Identity{Job: j.ID, Number: x.Number, QueuedAt: x.QueuedAt.Unix()}
			k := execution{x.Thing, id}
			seen[k] = append(seen[k], Sighting{At: s.At, Thing: x.Thing, Identity: id, Status: x.Status, VersionNumber: x.VersionNumber})
		}
	}
	for _, list := range seen {
		slices.SortStableFunc(list, func(a, b Sighting) int { return cmp.Compare(a.VersionNumber, b.VersionNumber) })
		transitions(&r, list)
	}
	endings(&r, h, s)
	slices.SortStableFunc(r.Violations, func(a, b Violation) int { return cmp.Compare(a.Thing, b.Thing) })
	return r
}

// follows lists what may come after a status that is no end.
func follows(s jobs.ExecutionStatus) []jobs.ExecutionStatus {
	switch s {
	case jobs.Queued:
		return []jobs.ExecutionStatus{jobs.InProgress, jobs.Succeeded, jobs.Failed, jobs.Rejected, jobs.Removed, jobs.Canceled}
	case jobs.InProgress:
		return []jobs.ExecutionStatus{
			jobs.InProgress, jobs.Succeeded, jobs.Failed, jobs.Rejected, jobs.TimedOut, jobs.Removed, jobs.Canceled,
		}
	}
	return nil
}

func transitions(r *Result, list []Sighting) {
	for i, x := range list {
		r.check(x.VersionNumber > 1 || x.Status == jobs.Queued || x.VersionNumber == 0, x.Thing, x.At,
			"execution %d of job %s for %s begins as %s", x.Identity.Number, x.Identity.Job, x.Thing, x.Status)
		if i == 0 {
			continue
		}
		before := list[i-1]
		if before.VersionNumber == x.VersionNumber {
			r.check(before.Status == x.Status, x.Thing, x.At, "version %d of execution %d of job %s for %s is both %s and %s",
				x.VersionNumber, x.Identity.Number, x.Identity.Job, x.Thing, before.Status, x.Status)
			continue
		}
		// With versions in between, one step through IN_PROGRESS may be unseen.
		legal := slices.Contains(follows(before.Status), x.Status) ||
			x.VersionNumber > before.VersionNumber+1 && before.Status == jobs.Queued && slices.Contains(follows(jobs.InProgress), x.Status)
		r.check(legal, x.Thing, x.At, "execution %d of job %s for %s went from %s (version %d) to %s (version %d)",
			x.Identity.Number, x.Identity.Job, x.Thing, before.Status, before.VersionNumber, x.Status, x.VersionNumber)
	}
}

// endings checks that each execution ended once, and as it is now.
func endings(r *Result, h *History, s State) {
	type execution struct {
		thing  protocol.ThingName
		job    protocol.JobID
		number int64
	}
	ended := map[execution]Ended{}
	for _, e := range h.Ended {
		k := execution{e.Thing, e.Job, e.Number}
		first, twice := ended[k]
		r.check(!twice, e.Thing, e.At, "execution %d of job %s for %s ended twice: %s and %s", e.Number, e.Job, e.Thing, first.Status, e.Status)
		r.check(e.Status.Terminal(), e.Thing, e.At, "execution %d of job %s for %s is said to have ended as %s", e.Number, e.Job, e.Thing, e.Status)
		ended[k] = e
	}
	for _, j := range s.Jobs {
		for _, x := range j.Executions {
			e, is := ended[execution{x.Thing, j.ID, x.Number}]
			if is {
				r.check(e.Status == x.Status, x.Thing, s.At, "execution %d of job %s for %s ended as %s and is %s", x.Number, j.ID, x.Thing, e.Status, x.Status)
			}
		}
	}
}
