package engine

import (
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/query"
	"github.com/muster-iot/muster/server/registry"
)

// GroupInfo is a thing group with what it comes to at present.
type GroupInfo struct {
	group.Group
	// Members counts its things; of a static group those of the groups below
	// it too.
	Members int
	// Query is the query of a dynamic group, nil of a static one.
	Query *query.Query
	// Build is how far a group has come that is not ACTIVE; nil of others.
	Build *BuildProgress
	// HeldJoins counts the members that jobs learn of when it is ACTIVE (rule 8).
	HeldJoins int
	// Debounce is how long joins and leaves that connectivity alone caused wait
	// (rule 9), Debounced how many of them wait.
	Debounce  time.Duration
	Debounced int
	// Jobs are the live jobs that target it, in the order of their creation.
	Jobs []protocol.JobID
}

// BuildProgress is how many of the things that may join or leave a build has
// looked at; both are 0 until it is known which these are.
type BuildProgress struct {
	Scanned int `json:"scanned"`
	Of      int `json:"of"`
}

// GroupInfo describes a thing group, or returns a NotFound.
func (v *View) GroupInfo(name protocol.ThingGroupName) (GroupInfo, error) {
	g := v.t.groups[name]
	if g == nil {
		return GroupInfo{}, groupNotFound(name)
	}
	info := GroupInfo{Group: g.Group, Query: g.query, Build: v.t.progress(g), HeldJoins: len(g.held), Debounce: v.t.debounce(name), Debounced: len(g.waits)}
	info.Members = v.membership(name, true).count
	for _, o := range inOrder(v.t.targetingGroup[name], func(id protocol.JobID) time.Time { return v.t.jobs[id].CreatedAt }).items {
		info.Jobs = append(info.Jobs, o.key)
	}
	return info, nil
}

func (s *state) progress(g *groupEntry) *BuildProgress {
	if !g.Status.NeedsScan() {
		return nil
	}
	return new(g.progress)
}

// MemberReason says why a thing is, or is not, in a thing group.
type MemberReason string

// The reasons of [GroupExplanation]. Of a dynamic group:
const (
	// MemberMatches: the query matches and the thing is a member.
	MemberMatches MemberReason = "matches"
	// MemberNoMatch: the query does not match and the thing is no member.
	MemberNoMatch MemberReason = "no-match"
	// MemberBuilding: the build of the group has not come to the thing.
	MemberBuilding MemberReason = "group-building"
	// MemberDebounce: the query's answer has changed by connectivity alone, and
	// the membership will when that has lasted (rule 9).
	MemberDebounce MemberReason = "debounce"
	// MemberRefused: the thing is in as many groups as it may be, and older
	// ones come first.
	MemberRefused MemberReason = "groups-per-thing"
)

// Of a static group:
const (
	// MemberDirect: an operator put the thing into the group.
	MemberDirect MemberReason = "direct"
	// MemberBelow: the thing is in a group below.
	MemberBelow MemberReason = "through-child"
	// MemberNot: the thing is neither in the group nor in one below.
	MemberNot MemberReason = "not-a-member"
)

// GroupExplanation says why a thing is, or is not, in a thing group.
type GroupExplanation struct {
	// Status is that of a dynamic group.
	Status group.Status
	Member bool
	Reason MemberReason
	// Matched is whether the query of a dynamic group matches the thing, and
	// Query why, with what each term saw.
	Matched bool
	Query   *query.Explanation
	// Build is how far a group has come that is not ACTIVE; nil of others.
	Build *BuildProgress
	// JobsWait is that jobs learn of the member when the group is ACTIVE (rule 8).
	JobsWait bool
	// Until is when a membership that waits for the debounce changes.
	Until time.Time
	// Places are the groups that hold the places of a thing which is refused.
	Places []protocol.ThingGroupName
	// Through are the groups from below a static group down to the one that
	// the thing is directly in.
	Through []protocol.ThingGroupName
	// NotMirrored are the reported fields that did not become attributes.
	NotMirrored []NotMirrored
}

// NotMirrored is a reported field that should be an attribute and cannot (rule 2).
type NotMirrored struct {
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// ExplainMember says why a registered thing is, or is not, in a group; a
// NotFound names what is not there.
func (v *View) ExplainMember(name protocol.ThingGroupName, n protocol.ThingName) (GroupExplanation, error) {
	g := v.t.groups[name]
	if g == nil {
		return GroupExplanation{}, groupNotFound(name)
	}
	e, err := v.t.registered(n)
	if err != nil {
		return GroupExplanation{}, err
	}
	x := GroupExplanation{Status: g.Status, NotMirrored: v.t.notMirrored(e)}
	if g.Dynamic() {
		v.t.explainDynamic(&x, g, n)
	} else {
		v.t.explainStatic(&x, name, n)
	}
	return x, nil
}

func (s *state) explainDynamic(x *GroupExplanation, g *groupEntry, n protocol.ThingName) {
	doc := s.index.Get(n)
	if doc != nil {
		x.Query = new(g.query.Explain(doc))
		x.Matched = x.Query.Matched
	}
	x.Member = s.matcher.Contains(g.Name, doc)
	x.Build, x.JobsWait = s.progress(g), g.held[n]
	w, waits := g.waits[n]
	switch {
	case waits && w.Leaves == x.Member:
		x.Reason, x.Until = MemberDebounce, s.notBefore(w.Until)
	case x.Member == x.Matched && x.Member:
		x.Reason = MemberMatches
	case x.Member == x.Matched:
		x.Reason = MemberNoMatch
	case s.matcher.Refuses(g.Name, doc):
		x.Reason = MemberRefused
		x.Places = append(s.tree.GroupsOf(n), s.matcher.GroupsOf(doc)...)
	default:
		x.Reason = MemberBuilding
	}
}

func (s *state) explainStatic(x *GroupExplanation, name protocol.ThingGroupName, n protocol.ThingName) {
	x.Member = s.tree.Contains(name, n, true)
	switch {
	case s.tree.Contains(name, n, false):
		x.Reason = MemberDirect
	case !x.Member:
		x.Reason = MemberNot
	default:
		x.Reason = MemberBelow
		for _, home := range s.tree.GroupsOf(n) {
			path := s.tree.Path(home)
			if i := slices.Index(path, name); i >= 0 {
				x.Through = path[i+1:]
			}
		}
	}
}

// notMirrored lists what the classic shadow reports and the thing's attributes
// cannot have.
func (s *state) notMirrored(e *entry) []NotMirrored {
	var all []NotMirrored
	for _, f := range s.cfg.Rules.MirroredFields {
		v, reported := e.shadows[""].Reported[f]
		if !reported {
			continue
		}
		if _, err := registry.Mirrored(f, v); err != nil {
			all = append(all, NotMirrored{Field: f, Reason: err.Error()})
		}
	}
	return all
}
