package group

import (
	"maps"
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// MaxDebounce is the longest that a membership may wait.
const MaxDebounce = time.Hour

// ParseDebounce reads how long joins and leaves that connectivity alone caused
// wait in a group (rule 9): a duration such as 30s, from 0 to [MaxDebounce].
// The error is an InvalidRequest.
func ParseDebounce(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > MaxDebounce {
		return 0, protocol.Errorf(protocol.InvalidRequest, "connectivityDebounce %q is not a duration from 0s to 1h, such as 30s", protocol.Clip(text, 40))
	}
	return d, nil
}

// Debounce lets joins and leaves that connectivity alone caused wait before
// they are carried out (rule 9). How long is the caller's to know: it calls
// [Matcher.EndWait] when the time is over.
//
// Until then a join that waits is as if the query did not match yet, a leave as
// if it still did, for members, the bound and all that is derived from them. A
// flip back ends the waiting, and nothing has happened. It also ends when
// another field that the query mentions changes while the answer is as it was
// when the waiting began, and when Scan comes to the thing: then connectivity
// is not the cause alone any more and the membership changes at once.
type Debounce struct {
	// Waits says whether memberships of the group have to wait.
	Waits func(protocol.ThingGroupName) bool
	// Changed hears, in the course of Apply, Scan, EndWait and Remove, that a
	// membership begins to wait or does not wait any more.
	Changed func(Wait)
}

// Wait is that a membership begins to wait, or does not wait any more.
type Wait struct {
	Thing protocol.ThingName
	Group protocol.ThingGroupName
	// Leaves tells leaves that begin to wait from joins.
	Leaves bool
	Over   bool
}

// debounce holds the memberships that wait: of each, the query's answer
// differs from what the matcher goes by.
type debounce struct {
	Debounce
	waiting map[uint32][]*entry // by the number of the thing
}

// Debounce sets how memberships wait. It is called once, before Put.
func (m *Matcher) Debounce(d Debounce) {
	m.debounce = debounce{Debounce: d, waiting: map[uint32][]*entry{}}
}

// RestoreWait makes a join, or a leave, wait as it was stored, after the
// memberships were restored and before Recall. It reports false, and does
// nothing, if there is no such group.
func (m *Matcher) RestoreWait(name protocol.ThingGroupName, doc *index.Document, leaves bool) bool {
	e := m.groups[name]
	if e == nil {
		return false
	}
	id, t := doc.ID(), m.things.at(doc)
	m.debounce.waiting[id] = append(m.debounce.waiting[id], e)
	if leaves && !t.in(e) && m.bound.Room != nil {
		m.bound.refused[id] = append(m.bound.refused[id], e)
	}
	return true
}

// Waits reports whether the membership of the thing of a document waits in a
// group.
func (m *Matcher) Waits(name protocol.ThingGroupName, doc *index.Document) bool {
	return slices.ContainsFunc(m.debounce.waiting[doc.ID()], func(e *entry) bool { return e.name == name })
}

// EndWait ends that the membership of a thing in a group waits, and returns who
// joined and left by that, as Apply does. Nothing happens if it does not wait.
func (m *Matcher) EndWait(name protocol.ThingGroupName, doc *index.Document) []Membership {
	if !m.Waits(name, doc) {
		return nil
	}
	return m.Scan(name, []*index.Document{doc})
}

// hold takes out of the flips of a change those that have to wait, and adds
// those that do not wait any more.
func (m *Matcher) hold(c index.Change, id uint32, t *thing, flips []decision) []decision {
	waiting := m.debounce.waiting[id]
	if len(waiting) == 0 && (m.debounce.Waits == nil || len(flips) == 0 || !c.OnlyConnectivity()) {
		return flips
	}
	s := m.sift(c, t, waiting, m.bound.refused[id], flips)
	for _, f := range s.begin {
		m.debounce.begin(id, f.entry, Wait{Thing: c.Thing, Group: f.name, Leaves: !f.matches})
	}
	for _, e := range s.end {
		m.debounce.end(id, c.Thing, e)
	}
	return s.now
}

// sifted is what flips come to: those that are carried out now, those that
// begin to wait, and the groups whose flip waits no longer.
type sifted struct {
	now, begin []decision
	end        []*entry
}

func (m *Matcher) sift(c index.Change, t *thing, waiting, refused []*entry, flips []decision) (s sifted) {
	connectivity := c.OnlyConnectivity()
	for _, f := range flips {
		switch {
		case slices.Contains(waiting, f.entry): // looked at below
		case connectivity && m.debounce.Waits != nil && m.debounce.Waits(f.name):
			s.begin = append(s.begin, f)
		default:
			s.now = append(s.now, f)
		}
	}
	for _, e := range waiting {
		switch matches := e.query.Match(c.New); {
		case matches == matched(e, t, refused):
			s.end = append(s.end, e)
		case mentions(e.query, c.Fields):
			s.end = append(s.end, e)
			s.now = append(s.now, decision{e, matches})
		}
	}
	slices.SortFunc(s.now, byName)
	return s
}

func (d *debounce) begin(id uint32, e *entry, w Wait) {
	d.waiting[id] = append(d.waiting[id], e)
	d.Changed(w)
}

// end is nothing if the membership does not wait.
func (d *debounce) end(id uint32, thing protocol.ThingName, e *entry) {
	waiting := d.waiting[id]
	i := slices.Index(waiting, e)
	if i < 0 {
		return
	}
	if len(waiting) == 1 {
		delete(d.waiting, id)
	} else {
		d.waiting[id] = slices.Delete(slices.Clone(waiting), i, i+1)
	}
	d.Changed(Wait{Thing: thing, Group: e.name, Over: true})
}

// endAll is that a thing is gone.
func (d *debounce) endAll(id uint32, thing protocol.ThingName) {
	for _, e := range slices.Clone(d.waiting[id]) {
		d.end(id, thing, e)
	}
}

// forget drops a group that is gone.
func (d *debounce) forget(e *entry, ts things) {
	for _, id := range slices.Sorted(maps.Keys(d.waiting)) {
		d.end(id, ts[id].name, e)
	}
}

// mentions reports whether the query may look at one of the fields, those of
// connectivity aside.
func mentions(q *query.Query, fields []string) bool {
	exact, below := q.Fields(), q.PathsBelow()
	for _, field := range fields {
		if !query.InFieldless(field) {
			continue
		}
		if q.HasFieldless() || slices.Contains(exact, field) {
			return true
		}
		for path := range upwards(field) {
			if slices.Contains(below, path) {
				return true
			}
		}
	}
	return false
}
