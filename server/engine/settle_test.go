package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// groupsOf lists the groups of a thing, the oldest first.
func (f *fleet) groupsOf(n protocol.ThingName) []protocol.ThingGroupName {
	f.Helper()
	var names []protocol.ThingGroupName
	f.read(func(v *engine.View) {
		groups, _, err := v.GroupsOf(n, engine.Page{Max: 100})
		if err != nil {
			f.Error(err)
		}
		for _, g := range groups {
			names = append(names, g.Name)
		}
	})
	return names
}

func boundOf(n int) rules.Rules {
	r := rules.Safe()
	r.GroupsPerThing = n
	return r
}

// TestSettle: a start with another bound of groups per thing brings every
// thing to it: with events, for good, and after a crash half way as well.
func TestSettle(t *testing.T) {
	s := &faulty{Store: mem.New()}
	f := start(t, s, boundOf(2))
	f.allEvents()
	names := []protocol.ThingGroupName{"a", "b", "c", "d"}
	for _, n := range names {
		f.group(n, "attributes.softwareVersion:5")
	}
	f.thing("full", "5")
	f.thing("bare", "4")
	for _, c := range []struct {
		bound  int
		in     int // the oldest so many
		events []string
	}{
		{2, 2, []string{}},
		{3, 3, []string{"c/thing/full/added"}},
		{3, 3, []string{}},
		{1, 1, []string{"b/thing/full/removed", "c/thing/full/removed"}},
		{0, 4, []string{"b/thing/full/added", "c/thing/full/added", "d/thing/full/added"}},
		{0, 4, []string{}},
		{2, 2, []string{"c/thing/full/removed", "d/thing/full/removed"}},
	} {
		t.Run(fmt.Sprint(c.bound), func(t *testing.T) {
			f.stop()
			f = start(t, s, boundOf(c.bound))
			f.settled()
			want(t, "groups", f.groupsOf("full"), names[:c.in])
			want(t, "events", topics(f.wire.take(), "thingGroupMembership/thingGroup/"), c.events)
			found, err := f.search("thingGroupNames:d")
			want(t, "error", err, nil)
			want(t, "found in d", len(found) == 1, c.in == 4)
			f.check()
			f.stop()
			f = start(t, s, boundOf(c.bound))
			want(t, "groups after another start", f.groupsOf("full"), names[:c.in])
		})
	}
}

// TestSettleCutShort: a settling that a failed commit cuts short is made up for,
// under the same bound and under the one before.
func TestSettleCutShort(t *testing.T) {
	for _, next := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(next), func(t *testing.T) {
			s := &faulty{Store: mem.New()}
			f := start(t, s, boundOf(2))
			for _, n := range []protocol.ThingGroupName{"a", "b", "c"} {
				f.group(n, "NOT attributes.softwareVersion:4")
			}
			f.many(600)
			f.settled()
			f.stop()
			f = start(t, s, boundOf(1))
			f.stop() // in the midst of it, or behind
			broken := errors.New("disk full")
			s.fail.Store(&broken)
			f = start(t, s, boundOf(1))
			refused(f, engine.CreateThing{Name: "other"}, protocol.Unavailable)
			s.fail.Store(nil)
			f.recovered()
			f.stop()
			f = start(t, s, boundOf(next))
			f.settled()
			f.check()
		})
	}
}

// settled waits until there is no background work: what is asked of it last is
// done last.
func (f *fleet) settled() {
	f.Helper()
	do(f, engine.CreateDynamicGroup{Name: "last", Query: "thingName:nobody"})
	f.active("last")
	do(f, engine.DeleteDynamicGroup{Name: "last"})
}
