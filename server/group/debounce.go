package group

import (
	"maps"
	"slices"
	"strings"
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
		return 0, protocol.Errorf(protocol.InvalidRequest, "connectivityDebounce %q is not a duration from 0s to %s, such as 30s", clip(text), MaxDebounce)
	}
	return d, nil
}

func clip(s string) string {
	const most = 40
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
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
	waiting map[protocol.ThingName][]*entry
}

// Debounce sets how memberships wait. It is called once, before Put.
func (m *Matcher) Debounce(d Debounce) {
	m.debounce = debounce{Debounce: d, waiting: map[protocol.ThingName][]*entry{}}
}

// RestoreWait makes a join, or a leave, wait as it was stored, after the
// memberships were restored and before Recall. It reports false, and does
// nothing, if there is no such group.
func (m *Matcher) RestoreWait(name protocol.ThingGroupName, doc *index.Document, leaves bool) bool {
	e := m.groups[name]
	if e == nil {
		return false
	}
	thing := doc.Thing()
	m.debounce.waiting[thing] = append(m.debounce.waiting[thing], e)
	if leaves && !e.members.Has(thing) && m.bound.room != nil {
		m.bound.refuse(thing, append(m.bound.refused[thing], e))
	}
	return true
}

// Waits reports whether the membership of a thing in a group waits.
func (m *Matcher) Waits(name protocol.ThingGroupName, thing protocol.ThingName) bool {
	return slices.ContainsFunc(m.debounce.waiting[thing], func(e *entry) bool { return e.name == name })
}

// EndWait ends that the membership of a thing in a group waits, and returns who
// joined and left by that, as Apply does. Nothing happens if it does not wait.
func (m *Matcher) EndWait(name protocol.ThingGroupName, doc *index.Document) []Membership {
	e := m.groups[name]
	if e == nil || !m.Waits(name, doc.Thing()) {
		return nil
	}
	return m.Scan(name, []*index.Document{doc})
}

// hold takes out of the flips of a change those that have to wait, and adds
// those that do not wait any more.
func (m *Matcher) hold(c index.Change, flips []Membership) []Membership {
	waiting := m.debounce.waiting[c.Thing]
	if len(waiting) == 0 && (m.debounce.Waits == nil || len(flips) == 0 || !c.OnlyConnectivity()) {
		return flips
	}
	flips = slices.DeleteFunc(flips, func(f Membership) bool {
		e := m.groups[f.Group]
		if slices.Contains(waiting, e) {
			return true // the answer that waits, and is looked at below
		}
		waits := c.OnlyConnectivity() && m.debounce.Waits(f.Group)
		if waits {
			m.debounce.begin(e, Wait{Thing: c.Thing, Group: f.Group, Leaves: !f.Joined})
		}
		return waits
	})
	for _, e := range slices.Clone(waiting) {
		switch matches := e.query.Match(c.New); {
		case matches == m.matched(e, c.Thing):
			m.debounce.end(c.Thing, e)
		case mentions(e.query, c.Fields):
			m.debounce.end(c.Thing, e)
			flips = append(flips, Membership{Thing: c.Thing, Group: e.name, Joined: matches})
		}
	}
	slices.SortFunc(flips, compareGroup)
	return flips
}

// matched reports whether the matcher goes by that a group matches the thing.
func (m *Matcher) matched(e *entry, thing protocol.ThingName) bool {
	return e.members.Has(thing) || m.bound.refuses(thing, e)
}

func (d *debounce) begin(e *entry, w Wait) {
	d.waiting[w.Thing] = append(d.waiting[w.Thing], e)
	d.Changed(w)
}

// end is nothing if the membership does not wait.
func (d *debounce) end(thing protocol.ThingName, e *entry) {
	waiting := d.waiting[thing]
	i := slices.Index(waiting, e)
	if i < 0 {
		return
	}
	if len(waiting) == 1 {
		delete(d.waiting, thing)
	} else {
		d.waiting[thing] = slices.Delete(slices.Clone(waiting), i, i+1)
	}
	d.Changed(Wait{Thing: thing, Group: e.name, Over: true})
}

// endAll is that a thing is gone.
func (d *debounce) endAll(thing protocol.ThingName) {
	for _, e := range slices.Clone(d.waiting[thing]) {
		d.end(thing, e)
	}
}

// forget drops a group that is gone.
func (d *debounce) forget(e *entry) {
	for _, thing := range slices.Sorted(maps.Keys(d.waiting)) {
		d.end(thing, e)
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
		for i := strings.LastIndexByte(field, '.'); i >= 0; i = strings.LastIndexByte(field[:i], '.') {
			if slices.Contains(below, field[:i]) {
				return true
			}
		}
	}
	return false
}
