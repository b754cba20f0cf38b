package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/store"
)

// visitsOf returns a thing's entries into a job's targets. The first one needs
// no row of its own: the execution that it brought tells when it was.
func (j *jobEntry) visitsOf(n protocol.ThingName) job.Visits {
	if v, ok := j.visits[n]; ok {
		return v
	}
	if last := j.latest[n]; last != nil {
		return job.Visits{At: []time.Time{last.QueuedAt}}
	}
	return job.Visits{}
}

func (j *jobEntry) dwelling(n protocol.ThingName) bool { return !j.visits[n].Until.IsZero() }

// remember keeps what a decision about a thing's entry or leave adds to its
// visits (rule 5). It comes before the decision is carried out.
func (t *tx) remember(j *jobEntry, c job.Change, d job.Decision) {
	v, known := j.visits[c.Thing]
	switch {
	case c.Dwelt || !c.Joined && c.Dwelling:
		v.Until = time.Time{}
		t.putVisits(j, c.Thing, v)
	case !t.cfg.Rules.DwellOnReentry || j.Selection != job.Continuous:
	case !c.Joined && c.Waiting && !known:
		t.putVisits(j, c.Thing, job.Visits{At: []time.Time{time.Unix(0, j.waiting.since[c.Thing])}})
	case c.Joined:
		v = j.visitsOf(c.Thing).Enter(t.now)
		if v.Until = d.Until; len(v.At) > 1 || d.Action != job.Queue && d.Action != job.Hold {
			t.putVisits(j, c.Thing, v)
		} else {
			t.forgetVisits(j, c.Thing)
		}
	}
}

func (t *tx) putVisits(j *jobEntry, n protocol.ThingName, v job.Visits) {
	j.setVisits(n, v)
	t.putThing(n, kindVisits, key(string(n), string(j.ID)), v)
	t.dwellUntil(j, n, v.Until)
}

func (j *jobEntry) setVisits(n protocol.ThingName, v job.Visits) {
	if j.visits == nil {
		j.visits = map[protocol.ThingName]job.Visits{}
	}
	j.visits[n] = v
}

func (t *tx) forgetVisits(j *jobEntry, n protocol.ThingName) {
	if _, known := j.visits[n]; known {
		delete(j.visits, n)
		t.delThing(n, kindVisits, key(string(n), string(j.ID)))
	}
}

func (t *tx) forgetAllVisits(j *jobEntry) {
	for _, n := range slices.Sorted(maps.Keys(j.visits)) {
		t.forgetVisits(j, n)
	}
}

// dwellUntil looks at a dwelling thing again when its dwell is over.
func (s *state) dwellUntil(j *jobEntry, n protocol.ThingName, until time.Time) {
	if !until.IsZero() {
		s.timers.add(timer{at: s.notBefore(until), kind: timerDwell, job: j.ID, thing: n})
	}
}

// endDwell lets a thing that has stayed for its dwell go on; one that left
// meanwhile, or left and came again, does not wait for this timer any more, and
// while a group of the job is built, another one comes behind.
func (t *tx) endDwell(due timer) {
	j := t.jobs[due.job]
	if j == nil || t.building(j) || !j.dwelling(due.thing) || t.notBefore(j.visits[due.thing].Until).After(t.now) {
		return
	}
	c := t.change(j, due.thing, true, false)
	c.Dwelling, c.Dwelt = false, true
	t.plan(j, []job.Change{c})
}

// visitsAt is a row of visits that waits for its job to be loaded.
type visitsAt struct {
	thing  protocol.ThingName
	job    protocol.JobID
	visits job.Visits
}

func (l *loader) visitsRow(r store.Row) error {
	return decodePair(r, func(thing, id string, v job.Visits) {
		l.visits = append(l.visits, visitsAt{protocol.ThingName(thing), protocol.JobID(id), v})
	})
}

func (l *loader) linkVisits() {
	for _, at := range l.visits {
		if j := l.jobs[at.job]; j != nil {
			j.setVisits(at.thing, at.visits)
			l.dwellUntil(j, at.thing, at.visits.Until)
		}
	}
}
