package engine

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/registry"
)

// ChangePreview is a change of a registered thing that is only thought of.
type ChangePreview struct {
	Thing protocol.ThingName
	// Attributes are set as UpdateThing with merge does: an empty value removes.
	Attributes map[string]string
	// Reported is merged into the classic shadow's reported section, and
	// mirrored (rule 2).
	Reported map[string]any
	// Connected is what becomes of the connection; nil leaves it.
	Connected *bool
	// Delete deletes the thing; nothing else may be given then.
	Delete bool
}

// ChangePreviewed is what a change would do.
type ChangePreviewed struct {
	// Touched are the dynamic groups whose query would be evaluated, by name.
	Touched      []protocol.ThingGroupName
	Joined, Left []MovePreviewed
	// Jobs are those that the change would matter to, in the order of their creation.
	Jobs []JobPreviewed
}

// MovePreviewed is a thing group that would be joined or left.
type MovePreviewed struct {
	Group protocol.ThingGroupName
	// After is how long it would wait for the group's debounce (rule 9).
	After time.Duration
}

// JobPreviewed is what a job would make of a change.
type JobPreviewed struct {
	Job    protocol.JobID
	Action job.Action
	Reason job.Reason
	// Until is the end of a dwell.
	Until time.Time
}

// PreviewChange says which groups and jobs a change of a thing would touch,
// and changes nothing. It is refused as the change would be.
func (v *View) PreviewChange(ask ChangePreview) (ChangePreviewed, error) {
	e, err := v.t.registered(ask.Thing)
	if err != nil {
		return ChangePreviewed{}, err
	}
	other := len(ask.Attributes) > 0 || len(ask.Reported) > 0 || ask.Connected != nil
	switch {
	case ask.Delete && other:
		return ChangePreviewed{}, protocol.Errorf(protocol.InvalidRequest, "delete stands alone: leave out attributes, reported and connected")
	case ask.Delete:
		return v.t.previewDelete(e)
	case !other:
		return ChangePreviewed{}, protocol.Errorf(protocol.InvalidRequest, "say what would change: attributes, reported, connected or delete")
	}
	next, err := v.t.changed(e, ask)
	if err != nil || v.t.indexing.Status == IndexOff {
		return ChangePreviewed{}, err
	}
	change := v.t.index.Diff(v.t.document(next))
	moves, waits := v.t.matcher.Would(change)
	p := ChangePreviewed{Touched: v.t.matcher.Touches(change)}
	flips, held := flips{}, flips{}
	for _, m := range moves {
		p.move(m, 0)
		switch g := v.t.groups[m.Group]; {
		case m.Joined && g.Status != group.Active:
			held[m.Group] = true
		case m.Joined || !g.held[ask.Thing]:
			flips[m.Group] = m.Joined
		}
	}
	for _, m := range waits {
		p.move(m, v.t.debounce(m.Group))
	}
	p.Jobs = v.t.previewJobs(ask.Thing, flips, held, change.OnlyConnectivity())
	return p, nil
}

func (p *ChangePreviewed) move(m group.Membership, after time.Duration) {
	if m.Joined {
		p.Joined = append(p.Joined, MovePreviewed{m.Group, after})
	} else {
		p.Left = append(p.Left, MovePreviewed{m.Group, after})
	}
}

// changed is a thing after a change.
func (t *tx) changed(e *entry, ask ChangePreview) (*entry, error) {
	next := &entry{thing: new(*e.thing), shadows: maps.Clone(e.shadows), presence: e.presence}
	if len(ask.Attributes) > 0 {
		th, err := e.thing.Update(registry.Update{Attributes: ask.Attributes, Merge: true}, t.attributeLimits())
		if err != nil {
			return nil, err
		}
		next.thing = &th
	}
	if len(ask.Reported) > 0 {
		payload, err := json.Marshal(map[string]any{"state": map[string]any{"reported": ask.Reported}})
		if err != nil {
			return nil, protocol.Errorf(protocol.InvalidRequest, "reported is not JSON: %s", err)
		}
		u, err := shadow.ParseUpdate(payload)
		if err != nil {
			return nil, err
		}
		d, err := e.shadows[""].Apply(u, t.now)
		if err != nil {
			return nil, err
		}
		if next.shadows == nil {
			next.shadows = map[string]shadow.Document{}
		}
		next.shadows[""] = d
		t.mirror(next, reportedBy(u, t.cfg.Rules.MirroredFields))
	}
	if c := ask.Connected; c != nil && *c != e.presence.Connected {
		next.presence.Connected, next.presence.At, next.presence.Reason = *c, t.now, ""
	}
	return next, nil
}

// previewJobs asks the planner what flips of a thing's memberships would mean;
// held are joins that jobs would not learn of yet.
func (t *tx) previewJobs(n protocol.ThingName, flips, held flips, byConnectivity bool) []JobPreviewed {
	var all []JobPreviewed
	for _, o := range t.jobOrder.items {
		j := t.jobs[o.key]
		// What targets counts as before is after: the flips have not happened.
		after, before := t.targets(j, n, flips)
		switch {
		case before != after && !(after && j.Selection == job.Snapshot):
			d := job.Plan(t.now, j.Job, t.cfg.Rules, []job.Change{t.change(j, n, after, byConnectivity)}, j.waiting.len())[0]
			all = append(all, JobPreviewed{Job: j.ID, Action: d.Action, Reason: d.Reason, Until: d.Until})
		case !after && slices.ContainsFunc(j.Groups, func(g protocol.ThingGroupName) bool { return held[g] }):
			all = append(all, JobPreviewed{Job: j.ID, Action: job.Keep, Reason: job.ReasonNotActive})
		}
	}
	return all
}

// previewDelete is what deleting a thing would do: it is out of all its groups
// at once, and what its jobs have not finished ends.
func (t *tx) previewDelete(e *entry) (ChangePreviewed, error) {
	n := e.thing.Name
	if err := t.checkNoPrincipals(n); err != nil {
		return ChangePreviewed{}, err
	}
	var p ChangePreviewed
	for _, g := range slices.Sorted(slices.Values(append(t.tree.GroupsOf(n), t.matcher.GroupsOf(t.index.Get(n))...))) {
		p.Left = append(p.Left, MovePreviewed{Group: g})
	}
	for _, o := range t.jobOrder.items {
		j := t.jobs[o.key]
		switch last := j.latest[n]; {
		case j.waiting.has(n), j.dwelling(n):
			p.Jobs = append(p.Jobs, JobPreviewed{Job: j.ID, Action: job.Forget, Reason: job.ReasonLeft})
		case last != nil && !last.Status.Terminal():
			p.Jobs = append(p.Jobs, JobPreviewed{Job: j.ID, Action: job.Remove, Reason: job.ReasonLeft})
		}
	}
	return p, nil
}
