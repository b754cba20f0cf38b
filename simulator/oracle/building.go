package oracle

import (
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
)

// active is the status of a group that is built.
const active = "ACTIVE"

// checkG4 follows the status of each group, in the order in which it was asked
// for. Nobody else may change what the server indexes meanwhile: that has
// groups built again.
func checkG4(h *History, s State) Result {
	r := Result{Name: G4}
	for _, g := range s.Groups {
		r.check(g.Status == active, "", s.At, "group %s is %s in a fleet at rest", g.Name, g.Status)
	}
	// built has the last version of each group that was seen built, building
	// when it was last seen unbuilt before it ever was.
	built, building := map[protocol.ThingGroupName]int64{}, map[protocol.ThingGroupName]time.Time{}
	for _, x := range h.Statuses {
		before, seen := built[x.Group]
		switch {
		case x.Status == active:
			built[x.Group] = x.Version
			r.Checks++
		case seen:
			r.check(x.Version != before, "", x.Asked, "version %d of group %s was ACTIVE and is %s", x.Version, x.Group, x.Status)
		default:
			building[x.Group] = x.Asked
		}
	}
	for _, j := range s.Jobs {
		if len(j.Groups) == 1 {
			early(&r, h, j, building[j.Groups[0]])
		}
	}
	return r
}

// early wants no device to have heard of a job before the group was built that
// alone is its target.
func early(r *Result, h *History, j JobState, building time.Time) {
	for _, x := range h.Sightings {
		if x.Identity.Job == j.ID {
			r.check(!x.At.Before(building), x.Thing, x.At, "%s was told of job %s while group %s was not built", x.Thing, j.ID, j.Groups[0])
		}
	}
}

// checkG5 compares the list of members with what searches show of things.
func checkG5(s State) Result {
	r := Result{Name: G5}
	for _, g := range s.Groups {
		listed := map[protocol.ThingName]bool{}
		for _, m := range g.Members {
			r.check(!listed[m], m, s.At, "group %s lists %s twice", g.Name, m)
			listed[m] = true
		}
		for _, t := range s.Things {
			shown := slices.Contains(t.Groups, string(g.Name))
			r.check(shown == listed[t.Name], t.Name, s.At, "a search shows %s in group %s: %t; the list of members has it: %t", t.Name, g.Name, shown, listed[t.Name])
		}
	}
	return r
}
