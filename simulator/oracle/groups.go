package oracle

import (
	"maps"
	"slices"
	"time"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// checkG1 asks every thing anew whether it is in every group.
func checkG1(h *History, s State) Result {
	r := Result{Name: G1, Checks: h.Samples.Checks, Violations: slices.Clone(h.Samples.Violations)}
	for _, g := range s.Groups {
		now := truth(s.At, g, s.Things, h.dynamic)
		r.Checks += now.Checks
		r.Violations = append(r.Violations, now.Violations...)
		known := map[protocol.ThingName]bool{}
		for _, t := range s.Things {
			known[t.Name] = true
		}
		for _, m := range g.Members {
			r.check(known[m], m, s.At, "group %s lists %s, which the index does not know", g.Name, m)
		}
	}
	return r
}

// dynamic reports whether a group is a dynamic one that is judged, which the
// queries of groups do not see.
func (h *History) dynamic(group string) bool {
	return slices.Contains(h.Groups, protocol.ThingGroupName(group))
}

// truth compares the members of a group with what its query says of things.
func truth(at time.Time, g GroupState, things []Thing, dynamic func(group string) bool) Result {
	r := Result{Name: G1}
	q, err := query.Parse(g.Query)
	if err != nil {
		r.check(false, "", at, "the query %q of group %s cannot be read: %v", g.Query, g.Name, err)
		return r
	}
	for _, t := range things {
		want, is := naive.Matches(q, t.Outside(dynamic)), slices.Contains(g.Members, t.Name)
		r.check(want == is, t.Name, at, "group %s: query %s is %t of %s, membership is %t (connected %t, attributes %v)",
			g.Name, g.Query, want, t.Name, is, t.Connected, t.Attributes)
	}
	return r
}

// checkG3 follows the membership events of each thing in each group.
func checkG3(h *History, s State) Result {
	r := Result{Name: G3}
	groups := slices.Clone(s.Groups)
	for _, name := range slices.Sorted(maps.Keys(h.Gone)) {
		groups = append(groups, GroupState{Name: name}) // everything has left it
	}
	for _, g := range groups {
		events := of(h.Memberships, func(m Membership) protocol.ThingName {
			if m.Group != g.Name {
				return ""
			}
			return m.Thing
		})
		delete(events, "")
		members := map[protocol.ThingName]bool{}
		for _, m := range g.Members {
			members[m] = true
		}
		for _, thing := range slices.Sorted(maps.Keys(events)) {
			alternate(&r, g.Name, events[thing])
		}
		ends(&r, h, s.At, g.Name, events, members)
	}
	return r
}

// alternate checks the order of one thing's events. What an epoch begins with
// cannot be told, except for the first, in which the group was made.
func alternate(r *Result, group protocol.ThingGroupName, events []Membership) {
	for i, e := range events {
		if i == 0 {
			if e.Epoch == 1 {
				r.check(e.Added, e.Thing, e.At, "the first event of %s in group %s is removed", e.Thing, group)
			}
			continue
		}
		before := events[i-1]
		if before.Epoch != e.Epoch {
			continue
		}
		r.check(before.Added != e.Added, e.Thing, e.At, "%s in group %s: added is %t twice in a row", e.Thing, group, e.Added)
		r.check(!e.Sent.Before(before.Sent), e.Thing, e.At, "%s in group %s: an event of %s follows one of %s",
			e.Thing, group, e.Sent.Format(clock), before.Sent.Format(clock))
	}
}

const clock = "15:04:05.000"

// ends checks that the events of each thing lead to what is listed.
func ends(r *Result, h *History, at time.Time, group protocol.ThingGroupName, events map[protocol.ThingName][]Membership, members map[protocol.ThingName]bool) {
	epoch := len(h.Epochs)
	listed := lastListing(h, group, epoch)
	things := maps.Clone(members)
	for thing := range events {
		things[thing] = true
	}
	for thing := range listed {
		things[thing] = true
	}
	for _, thing := range slices.Sorted(maps.Keys(things)) {
		list := events[thing]
		is := members[thing]
		switch {
		case len(list) > 0 && list[len(list)-1].Epoch == epoch:
			last := list[len(list)-1]
			r.check(last.Added == is, thing, last.At, "the last event of %s in group %s says %t, the list %t", thing, group, last.Added, is)
		case epoch <= 1:
			r.check(!is, thing, at, "group %s lists %s, and no event ever said so", group, thing)
		case listed != nil:
			r.check(listed[thing] == is, thing, at, "membership of %s in group %s went from %t to %t without an event", thing, group, listed[thing], is)
		}
	}
}

// lastListing returns the first listing of an epoch; what has no event after
// it cannot have changed. Nil means that there is none.
func lastListing(h *History, group protocol.ThingGroupName, epoch int) map[protocol.ThingName]bool {
	for _, l := range h.Listings {
		if l.Group == group && l.Epoch == epoch {
			return l.Members
		}
	}
	return nil
}
