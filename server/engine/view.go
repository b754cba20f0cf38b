package engine

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/presence"
	"github.com/muster-iot/muster/server/registry"
)

// View shows the fleet during a [Read]. What its methods return may be kept
// but not changed.
type View struct{ t *tx }

// Page asks for a part of a list. After is the cursor that the page before
// returned, empty for the first; Max bounds the items.
type Page struct {
	After string
	Max   int
	// Newest begins with the newest; only the lists of certificates and
	// policies know it.
	Newest bool
}

// Now is the time of the read.
func (v *View) Now() time.Time { return v.t.now }

// Thing returns a registered thing, or a NotFound.
func (v *View) Thing(n protocol.ThingName) (registry.Thing, error) {
	e, err := v.t.registered(n)
	if err != nil {
		return registry.Thing{}, err
	}
	return *e.thing, nil
}

// Presence returns the connectivity of a registered thing, or a NotFound.
func (v *View) Presence(n protocol.ThingName) (presence.Presence, error) {
	e, err := v.t.registered(n)
	if err != nil {
		return presence.Presence{}, err
	}
	return e.presence, nil
}

// NamedShadows lists the names of a thing's named shadows in their order; the
// cursor is the last name. The thing need not be registered.
func (v *View) NamedShadows(n protocol.ThingName, p Page) (page []string, next string) {
	page = []string{}
	e := v.t.names[n]
	if e == nil {
		return page, ""
	}
	for _, name := range slices.Sorted(maps.Keys(e.shadows)) {
		switch {
		case name <= p.After || !e.shadows[name].Exists(): // the classic one has no name
		case len(page) == p.Max:
			return page, page[p.Max-1]
		default:
			page = append(page, name)
		}
	}
	return page, ""
}

// Things lists things in the order of their creation (rule 26).
func (v *View) Things(p Page, keep func(registry.Thing) bool) ([]registry.Thing, string, error) {
	return list(&v.t.things, p, func(n protocol.ThingName) (registry.Thing, bool) {
		th := *v.t.names[n].thing
		return th, keep == nil || keep(th)
	})
}

// Group returns a thing group, or a NotFound.
func (v *View) Group(n protocol.ThingGroupName) (group.Group, error) {
	if g := v.t.groups[n]; g != nil {
		return g.Group, nil
	}
	return group.Group{}, groupNotFound(n)
}

// Groups lists thing groups in the order of their creation.
func (v *View) Groups(p Page, keep func(group.Group) bool) ([]group.Group, string, error) {
	return v.groups(&v.t.groupOrder, p, keep)
}

// GroupsBelow lists the groups directly below one, when recursive is set all
// below it, in the order of their creation; none are below a dynamic group.
func (v *View) GroupsBelow(parent protocol.ThingGroupName, recursive bool, p Page, keep func(group.Group) bool) ([]group.Group, string, error) {
	if v.t.groups[parent] == nil {
		return nil, "", groupNotFound(parent)
	}
	return v.groups(v.groupOrder(v.t.tree.Below(parent, recursive)), p, keep)
}

func (v *View) groupOrder(names []protocol.ThingGroupName) *order[protocol.ThingGroupName] {
	return inOrder(names, func(g protocol.ThingGroupName) time.Time { return v.t.groups[g].CreatedAt })
}

func (v *View) groups(of *order[protocol.ThingGroupName], p Page, keep func(group.Group) bool) ([]group.Group, string, error) {
	return list(of, p, func(n protocol.ThingGroupName) (group.Group, bool) {
		g := v.t.groups[n].Group
		return g, keep == nil || keep(g)
	})
}

// Above returns the groups above a static one, the root of the hierarchy first.
func (v *View) Above(g group.Group) []protocol.ThingGroupName { return v.t.tree.Path(g.Parent) }

// GroupsOf lists the thing groups that a registered thing is directly in, in
// the order of their creation.
func (v *View) GroupsOf(n protocol.ThingName, p Page) ([]group.Group, string, error) {
	if _, err := v.t.registered(n); err != nil {
		return nil, "", err
	}
	return v.groups(v.groupOrder(slices.Concat(v.t.tree.GroupsOf(n), v.t.dynamicGroupsOf(n))), p, nil)
}

// Members lists the things of a group, when recursive is set those of the
// groups below it too, in the order of their creation.
func (v *View) Members(g protocol.ThingGroupName, recursive bool, p Page) ([]protocol.ThingName, string, error) {
	if v.t.groups[g] == nil {
		return nil, "", groupNotFound(g)
	}
	of := v.membership(g, recursive)
	// Of a small group the members are put in order, of a large one those that
	// a page needs are found among all things: neither is slow in a large fleet.
	const share = 16
	among := &v.t.things
	if of.count < among.len()/share {
		among = inOrder(of.all(), func(n protocol.ThingName) time.Time { return v.t.names[n].thing.CreatedAt })
	}
	return list(among, p, func(n protocol.ThingName) (protocol.ThingName, bool) { return n, of.contains(n) })
}

// membership is who is in a group.
type membership struct {
	count    int
	all      func() []protocol.ThingName
	contains func(protocol.ThingName) bool
}

func (v *View) membership(g protocol.ThingGroupName, recursive bool) membership {
	if v.t.groups[g].Dynamic() {
		m := v.t.matcher
		return membership{
			m.Count(g),
			func() []protocol.ThingName { return m.Members(g) },
			func(n protocol.ThingName) bool { return m.Contains(g, v.t.index.Get(n)) },
		}
	}
	tree := v.t.tree
	return membership{
		tree.Count(g, recursive),
		func() []protocol.ThingName { return tree.Members(g, recursive) },
		func(n protocol.ThingName) bool { return tree.Contains(g, n, recursive) },
	}
}

// JobInfo is a job and what its executions come to.
type JobInfo struct {
	job.Job
	Counts job.Counts
	// Waiting is the number of things that wait for the rate.
	Waiting int
}

func (j *jobEntry) info() JobInfo {
	counts := make(job.Counts, len(j.counts))
	for s, n := range j.counts {
		if n > 0 {
			counts[s] = n
		}
	}
	return JobInfo{Job: j.Job, Counts: counts, Waiting: j.waiting.len()}
}

// Job returns a job, or a NotFound.
func (v *View) Job(id protocol.JobID) (JobInfo, error) {
	j, err := v.t.job(id)
	if err != nil {
		return JobInfo{}, err
	}
	return j.info(), nil
}

// Jobs lists jobs in the order of their creation.
func (v *View) Jobs(p Page, keep func(job.Job) bool) ([]JobInfo, string, error) {
	return list(&v.t.jobOrder, p, func(id protocol.JobID) (JobInfo, bool) {
		j := v.t.jobs[id]
		return j.info(), keep == nil || keep(j.Job)
	})
}

// ExecutionsOfJob lists every execution of a job in the order of creation.
func (v *View) ExecutionsOfJob(id protocol.JobID, p Page, keep func(job.Execution) bool) ([]job.Execution, string, error) {
	j, err := v.t.job(id)
	if err != nil {
		return nil, "", err
	}
	return executions(j.execs, p, keep)
}

// ExecutionsOfThing lists every execution of a registered thing in the order of creation.
func (v *View) ExecutionsOfThing(n protocol.ThingName, p Page, keep func(job.Execution) bool) ([]job.Execution, string, error) {
	e, err := v.t.registered(n)
	if err != nil {
		return nil, "", err
	}
	return executions(e.execs, p, keep)
}

// Execution returns an execution, the latest when number is nil, or a NotFound.
func (v *View) Execution(n protocol.ThingName, id protocol.JobID, number *int64) (job.Execution, error) {
	x, err := v.t.execution(n, id, number)
	if err != nil {
		return job.Execution{}, err
	}
	return *x, nil
}

// Pending is the answer to a device's list request, without its token.
func (v *View) Pending(n protocol.ThingName) (jobs.GetAccepted, error) {
	e, err := v.t.registered(n)
	if err != nil {
		return jobs.GetAccepted{}, err
	}
	m := jobs.GetAccepted{InProgressJobs: []jobs.Summary{}, QueuedJobs: []jobs.Summary{}, Timestamp: v.t.now.Unix()}
	for _, x := range job.Pending(e.execs) {
		if x.Status == jobs.InProgress {
			m.InProgressJobs = append(m.InProgressJobs, summary(x))
		} else {
			m.QueuedJobs = append(m.QueuedJobs, summary(x))
		}
	}
	return m, nil
}

// Describe is an execution as its device sees it; id may be $next, for which
// the answer is nil when nothing is pending. An execution that has ended is a
// TerminalState.
func (v *View) Describe(n protocol.ThingName, id protocol.JobID, number *int64, document bool) (*jobs.Execution, error) {
	e, err := v.t.registered(n)
	if err != nil {
		return nil, err
	}
	if id == "$next" {
		pending := job.Pending(e.execs)
		if len(pending) == 0 {
			return nil, nil
		}
		return v.t.message(pending[0], document), nil
	}
	x, err := v.t.execution(n, id, number)
	if err != nil {
		return nil, err
	}
	if x.Status.Terminal() {
		return nil, &job.StateError{
			Err:   protocol.Errorf(protocol.TerminalState, "execution %d of job %q on thing %q has ended: %s", x.Number, id, n, x.Status),
			State: x.State(),
		}
	}
	return v.t.message(x, document), nil
}

// Indexing returns the indexing configuration and the state of the index.
func (v *View) Indexing() Indexing { return v.t.indexing }

// Events returns the event configuration, every family named.
func (v *View) Events() EventConfig {
	c := v.t.events
	enabled := make(map[event.Type]bool, len(event.Types))
	for _, k := range event.Types {
		enabled[k] = c.Enabled[k]
	}
	c.Enabled = enabled
	return c
}

// list pages over an order; the cursor is the last item's time and name.
func list[K ~string, V any](o *order[K], p Page, item func(K) (V, bool)) (page []V, next string, err error) {
	last, err := parseCursor[K](p.After)
	if err != nil {
		return nil, "", err
	}
	page = []V{}
	items := o.after(last)
	if p.Newest {
		items = o.before(last)
	}
	for i := range items {
		o := items[i]
		if p.Newest {
			o = items[len(items)-1-i]
		}
		v, ok := item(o.key)
		if !ok {
			continue
		}
		if len(page) == p.Max {
			return page, cursor(last), nil
		}
		page, last = append(page, v), o
	}
	return page, "", nil
}

func cursor[K ~string](o ordered[K]) string {
	return strconv.FormatInt(o.at, 36) + "/" + string(o.key)
}

func parseCursor[K ~string](s string) (ordered[K], error) {
	if s == "" {
		return ordered[K]{}, nil
	}
	at, name, ok := strings.Cut(s, "/")
	n, err := strconv.ParseInt(at, 36, 64)
	if !ok || err != nil {
		return ordered[K]{}, errCursor
	}
	return ordered[K]{at: n, key: K(name)}, nil
}

var errCursor = protocol.Errorf(protocol.InvalidRequest, "nextToken is not one that this list returned")

// executions pages over executions in the order of creation; the cursor is
// the last one's sequence number.
func executions(all []*job.Execution, p Page, keep func(job.Execution) bool) ([]job.Execution, string, error) {
	after := int64(0)
	if p.After != "" {
		var err error
		if after, err = strconv.ParseInt(p.After, 36, 64); err != nil {
			return nil, "", errCursor
		}
	}
	page := []job.Execution{}
	for _, x := range all {
		if x.Seq <= after || keep != nil && !keep(*x) {
			continue
		}
		if len(page) == p.Max {
			return page, strconv.FormatInt(page[len(page)-1].Seq, 36), nil
		}
		page = append(page, *x)
	}
	return page, "", nil
}
