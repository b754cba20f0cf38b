package engine

import (
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/job"
)

// counts reports whether a thing is a member that jobs know of. The members
// of a group below a static one are members of both.
func (s *state) counts(g protocol.ThingGroupName, n protocol.ThingName) bool {
	e := s.groups[g]
	switch {
	case e == nil:
		return false
	case e.Dynamic():
		return !e.held[n] && s.matcher.Contains(g, s.index.Get(n))
	}
	return s.tree.Contains(g, n, true)
}

// members returns the things that a job on the group targets, by name.
func (s *state) members(g protocol.ThingGroupName) []protocol.ThingName {
	if s.tree.Has(g) {
		return s.tree.Members(g, true)
	}
	return s.matcher.Members(g)
}

// targets reports whether a thing is in the targets of a job, now and before
// the given flips of its memberships. An awaited group does not count yet.
func (s *state) targets(j *jobEntry, n protocol.ThingName, flips flips) (before, now bool) {
	if slices.Contains(j.Things, n) {
		return true, true
	}
	for _, g := range j.Groups {
		if slices.Contains(j.Awaiting, g) {
			continue
		}
		in := s.counts(g, n)
		was := in
		if _, flipped := flips[g]; flipped {
			was = !in
		}
		before, now = before || was, now || in
	}
	return before, now
}

// retarget plans what the flips of a thing's memberships mean for the jobs
// that target these groups.
func (t *tx) retarget(n protocol.ThingName, flips flips, byConnectivity bool) {
	var affected []protocol.JobID
	for g := range flips {
		affected = append(affected, t.targetingGroup[g]...)
	}
	slices.Sort(affected)
	for _, id := range slices.Compact(affected) {
		j := t.jobs[id]
		before, now := t.targets(j, n, flips)
		if before == now || now && j.Selection == job.Snapshot {
			continue
		}
		t.plan(j, []job.Change{t.change(j, n, now, byConnectivity)})
	}
}

func (t *tx) change(j *jobEntry, n protocol.ThingName, joined, byConnectivity bool) job.Change {
	c := job.Change{
		Thing: n, Joined: joined, ByConnectivity: byConnectivity,
		Latest: j.latest[n], Waiting: j.waiting.has(n), Dwelling: j.dwelling(n),
	}
	if joined {
		c.Entry = len(j.visitsOf(n).Enter(t.now).At)
	}
	return c
}

// plan asks the planner and does what it decides.
func (t *tx) plan(j *jobEntry, changes []job.Change) {
	for i, d := range job.Plan(t.now, j.Job, t.cfg.Rules, changes, j.waiting.len()) {
		c := changes[i]
		if !c.Joined && c.Latest != nil && c.Latest.LeftByConnectivity != c.ByConnectivity {
			c.Latest.LeftByConnectivity = c.ByConnectivity
			t.putThing(c.Thing, kindExecution, executionKey(c.Latest), c.Latest)
		}
		t.remember(j, c, d)
		switch d.Action {
		case job.Queue:
			t.queue(j, d.Thing)
		case job.Hold:
			t.wait(j, d.Thing)
		case job.Forget:
			t.forgetWaiting(j, d.Thing)
		case job.Remove:
			t.end(c.Latest, jobs.Leave, nil)
		}
	}
}

// queue makes a new execution for a thing.
func (t *tx) queue(j *jobEntry, n protocol.ThingName) {
	number := int64(1)
	if last := j.latest[n]; last != nil {
		number = last.Number + 1
	}
	t.seq++
	x := job.NewExecution(j.ID, n, number, t.seq, t.now)
	e := t.name(n)
	t.touchQueue(n)
	if last := j.latest[n]; last != nil {
		j.counts[last.Status]--
	}
	e.execs = append(e.execs, &x)
	j.execs = append(j.execs, &x)
	j.latest[n] = &x
	j.counts[x.Status]++
	t.putThing(n, kindExecution, executionKey(&x), x)
	if next := j.Granted(t.cfg.Rules, t.now); !next.NextGrant.Equal(j.NextGrant) {
		j.Job = next
		t.putJob(j)
	}
}

// wait lets a thing wait for the job's rate.
func (t *tx) wait(j *jobEntry, n protocol.ThingName) {
	j.waiting.add(n, t.now.UnixNano())
	t.putThing(n, kindWaiting, key(string(n), string(j.ID)), waitingRow{Since: t.now.UnixNano()})
	t.releaseAt(j, j.NextGrant)
}

// releaseAt looks at a job's waiting things again at a time; once is enough.
func (s *state) releaseAt(j *jobEntry, at time.Time) {
	if !j.releaseSet {
		j.releaseSet = true
		s.timers.add(timer{at: at, kind: timerRelease, job: j.ID})
	}
}

func (t *tx) forgetWaiting(j *jobEntry, n protocol.ThingName) {
	if j.waiting.has(n) {
		j.waiting.remove(n)
		t.delThing(n, kindWaiting, key(string(n), string(j.ID)))
		t.ended = append(t.ended, j.ID)
	}
}

// releaseWaiting gives things that waited their execution as the rate allows,
// but not while a group of the job is built: who waits may be about to leave.
func (t *tx) releaseWaiting(j *jobEntry) {
	for j.waiting.len() > 0 && j.Status == job.InProgress && !t.building(j) {
		ok, at := j.Release(t.now)
		if !ok {
			t.releaseAt(j, at)
			return
		}
		n := j.waiting.first()
		t.forgetWaiting(j, n)
		t.queue(j, n)
	}
}

// building reports whether a group of the job is not ACTIVE (rule 8).
func (s *state) building(j *jobEntry) bool {
	return slices.ContainsFunc(j.Groups, func(name protocol.ThingGroupName) bool {
		g := s.groups[name]
		return g != nil && g.Status.NeedsScan()
	})
}

// resume looks again at the jobs that waited for a group to be built.
func (s *state) resume(g protocol.ThingGroupName) {
	for _, id := range s.targetingGroup[g] {
		j := s.jobs[id]
		if j.waiting.len() > 0 {
			s.releaseAt(j, j.NextGrant)
		}
		for n, v := range j.visits {
			s.dwellUntil(j, n, v.Until)
		}
	}
}

// activated is that a group became ACTIVE: what joined meanwhile, or for jobs
// that waited for the group all its members, are the jobs' to take (rule 8).
func (t *tx) activated(g *groupEntry) {
	held := g.held
	g.held = nil
	joined := make([]protocol.ThingName, 0, len(held))
	for n := range held {
		joined = append(joined, n)
	}
	slices.Sort(joined)
	for _, n := range joined {
		t.putThing(n, kindMember, key(string(n), string(g.Name)), memberRow{})
	}
	for _, id := range slices.Clone(t.targetingGroup[g.Name]) {
		j := t.jobs[id]
		if slices.Contains(j.Awaiting, g.Name) {
			j.Awaiting = remove(slices.Clone(j.Awaiting), g.Name)
			t.putJob(j)
			t.enter(j, g.Name, t.matcher.Members(g.Name), true)
			t.ended = append(t.ended, id)
		} else if j.Selection == job.Continuous {
			t.enter(j, g.Name, joined, true)
		}
	}
	t.resume(g.Name)
}

// enter plans the entry of a group's members into a job. A thing that another
// target of the job has brought in does not enter twice.
func (t *tx) enter(j *jobEntry, g protocol.ThingGroupName, members []protocol.ThingName, initial bool) {
	flip := flips{g: true}
	changes := make([]job.Change, 0, len(members))
	for _, n := range members {
		if before, _ := t.targets(j, n, flip); !before {
			c := t.change(j, n, true, false)
			c.Initial = initial
			changes = append(changes, c)
		}
	}
	t.plan(j, changes)
}
