package engine

import (
	"github.com/muster-iot/muster/protocol"
)

// boundRow is the bound of groups per thing that the stored memberships are
// right for.
type boundRow struct {
	GroupsPerThing int `json:"groupsPerThing"`
	// Settling is set while things are brought from one bound to another: some
	// may be at a higher one still.
	Settling bool `json:"settling,omitempty"`
}

// settle brings memberships to a bound that is not the one of the start
// before: things that had no room for a group and have it now join, and things
// that are in too many leave the newest. A settling that was cut short begins
// anew. It comes after the memberships and the index.
func (s *state) settle(was boundRow) {
	now := s.cfg.Rules.GroupsPerThing
	if was == (boundRow{GroupsPerThing: now}) {
		return
	}
	old := was.GroupsPerThing
	settle := func(t *tx, n protocol.ThingName) {
		doc := t.index.Get(n)
		in := len(t.tree.GroupsOf(n)) + len(t.matcher.GroupsOf(doc))
		if doc != nil && (old > 0 && in >= old || now > 0 && in > now) {
			t.moved(*t.names[n].thing, t.matcher.Settle(doc), false)
		}
	}
	always := func(*tx) bool { return true }
	things := inSlices(&s.things, always, settle, func(t *tx) { t.putBound(boundRow{GroupsPerThing: now}) })
	s.background = append(s.background, func(t *tx) error {
		t.putBound(boundRow{tighter(old, now), true})
		return things(t)
	})
}

// tighter is the lower of two bounds, of which 0 is none.
func tighter(a, b int) int {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

func (t *tx) putBound(b boundRow) { t.put(protocol.GlobalShard, kindConfig, keyBound, b) }
