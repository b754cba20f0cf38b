package engine

import (
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/store"
)

// DebounceTag is the tag of a dynamic thing group that says how long joins and
// leaves which connectivity alone caused wait there, as "30s" (rule 9). It is
// the one place where that is kept: a group without it has none.
const DebounceTag = "muster:connectivityDebounce"

// debounceRow is the value of a membership that waits.
type debounceRow struct {
	Until  time.Time `json:"until"`
	Leaves bool      `json:"leaves,omitempty"`
}

// debounces are the memberships of a group that wait. An alarm is for when a
// timer is set; it outlives the waiting, so that a flapping thing piles up none.
type debounces struct {
	waits  map[protocol.ThingName]debounceRow
	alarms map[protocol.ThingName]time.Time
}

// debounce returns how long memberships of a group wait.
func (s *state) debounce(g protocol.ThingGroupName) time.Duration {
	text, set := s.tags[resource{protocol.KindThingGroup, string(g)}][DebounceTag]
	if !set {
		return 0
	}
	d, err := group.ParseDebounce(text)
	if err != nil {
		return 0 // pinned by a version that did not know the tag
	}
	return d
}

// checkDebounce refuses tags of a thing group that would set a debounce which
// cannot be.
func checkDebounce(dynamic bool, tags registry.Tags) error {
	text, set := tags[DebounceTag]
	if !set {
		return nil
	}
	if !dynamic {
		return protocol.Errorf(protocol.InvalidRequest, "tag %s is for dynamic thing groups only: what an operator puts into a static one stays there", DebounceTag)
	}
	if _, err := group.ParseDebounce(text); err != nil {
		return protocol.Errorf(protocol.InvalidRequest, "tag %s: %s", DebounceTag, err)
	}
	return nil
}

// SetDebounce sets how long memberships of a dynamic group wait, as "30s", and
// answers with the group. What waits already keeps its time.
type SetDebounce struct {
	Group    protocol.ThingGroupName
	Debounce string
}

func (in SetDebounce) step(t *tx) (GroupInfo, error) {
	if _, err := t.groupOf(in.Group, true); err != nil {
		return GroupInfo{}, err
	}
	d, err := group.ParseDebounce(in.Debounce)
	if err != nil {
		return GroupInfo{}, err
	}
	r := resource{protocol.KindThingGroup, string(in.Group)}
	next := t.tags[r].Without([]string{DebounceTag})
	if d > 0 {
		if next, err = next.With(registry.Tags{DebounceTag: d.String()}); err != nil {
			return GroupInfo{}, err
		}
	}
	t.setTags(r, next)
	return (&View{t}).GroupInfo(in.Group)
}

// debounced lets the matcher know which groups have a debounce, and hears
// from it which memberships wait.
func (s *state) debounced() group.Debounce {
	return group.Debounce{
		Waits:   func(g protocol.ThingGroupName) bool { return s.debounce(g) > 0 },
		Changed: func(w group.Wait) { s.waits = append(s.waits, w) },
	}
}

// keepWaits stores and times the memberships that a step made wait, and
// forgets those that do not any more.
func (t *tx) keepWaits() {
	for _, w := range t.waits {
		g, row := t.groups[w.Group], key(string(w.Thing), string(w.Group))
		if w.Over {
			if g != nil {
				delete(g.waits, w.Thing)
			}
			t.delThing(w.Thing, kindDebounce, row)
			continue
		}
		until := debounceRow{Until: t.now.Add(t.debounce(w.Group)), Leaves: w.Leaves}
		t.putThing(w.Thing, kindDebounce, row, until)
		t.waitUntil(g, w.Thing, until)
	}
	t.waits = nil
}

// waitUntil files a membership that waits.
func (s *state) waitUntil(g *groupEntry, n protocol.ThingName, row debounceRow) {
	if g.waits == nil {
		g.debounces = debounces{map[protocol.ThingName]debounceRow{}, map[protocol.ThingName]time.Time{}}
	}
	g.waits[n] = row
	s.alarm(g, n, s.notBefore(row.Until))
}

func (s *state) alarm(g *groupEntry, n protocol.ThingName, at time.Time) {
	if set, ok := g.alarms[n]; ok && !set.After(at) {
		return
	}
	g.alarms[n] = at
	s.timers.add(timer{at: at, kind: timerDebounce, group: g.Name, thing: n})
}

// endWait carries out a membership that has waited long enough.
func (t *tx) endWait(due timer) {
	g := t.groups[due.group]
	if g == nil || !g.alarms[due.thing].Equal(due.at) {
		return
	}
	delete(g.alarms, due.thing)
	w, waits := g.waits[due.thing]
	if !waits {
		return
	}
	if at := t.notBefore(w.Until); at.After(t.now) {
		t.alarm(g, due.thing, at)
		return
	}
	t.moved(*t.names[due.thing].thing, t.matcher.EndWait(g.Name, t.index.Get(due.thing)), true)
}

// waitAt is a row of a membership that waits.
type waitAt struct {
	group protocol.ThingGroupName
	row   debounceRow
}

func (l *loader) debounceRow(r store.Row) error {
	return decodePair(r, func(thing, group string, row debounceRow) {
		n := protocol.ThingName(thing)
		l.waitRows[n] = append(l.waitRows[n], waitAt{protocol.ThingGroupName(group), row})
	})
}

// linkWaits lets the memberships of a thing wait on. What was over while the
// server was down waits for the grace of everything overdue (rule 4).
func (l *loader) linkWaits(doc *index.Document) {
	for _, w := range l.waitRows[doc.Thing()] {
		if l.matcher.RestoreWait(w.group, doc, w.row.Leaves) {
			l.waitUntil(l.groups[w.group], doc.Thing(), w.row)
		}
	}
}
