package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/query"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/store"
)

// loader gathers rows, whose order says nothing about what refers to what.
type loader struct {
	*state
	members []member
	waiting []waitingAt
	visits  []visitsAt
	// waitRows are the memberships of a thing that wait.
	waitRows map[protocol.ThingName][]waitAt
	execs    []*job.Execution
	// committedAt is the time of the last commit.
	committedAt time.Time
	// bound is what the memberships are right for.
	bound boundRow
}

type member struct {
	thing protocol.ThingName
	group protocol.ThingGroupName
	held  bool
}

type waitingAt struct {
	thing protocol.ThingName
	job   protocol.JobID
	since int64
}

// load builds the state from the store: rows first, then what is derived
// from them (index, groups, queues), then the timers and unfinished builds.
func load(ctx context.Context, e *Engine) (*state, error) {
	l := loader{state: newState(&e.cfg, e.boot), waitRows: map[protocol.ThingName][]waitAt{}}
	err := e.cfg.Store.Load(ctx, func(r store.Row) error {
		if err := l.row(r); err != nil {
			return fmt.Errorf("cannot read %s %q: %w", r.Kind, r.Key, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.raise(l.committedAt)
	l.begin(e.tick())
	l.unset = e.CheckClock() != nil
	l.linkExecutions()
	if err := l.linkGroups(); err != nil {
		return nil, err
	}
	l.linkIndex()
	l.linkGroupIndex()
	l.settle(l.bound)
	l.linkJobs()
	return l.state, nil
}

// linkIndex builds the index of things, with the dynamic groups that they are
// members of.
func (l *loader) linkIndex() {
	if l.indexing.Status == IndexOff {
		return
	}
	l.indexing.Status = IndexActive // what follows is a whole build
	for _, o := range l.things.items {
		l.index.Put(l.document(l.names[o.key]))
	}
	for _, m := range l.members {
		if g := l.groups[m.group]; g.Dynamic() {
			doc := l.index.Get(m.thing)
			l.matcher.Restore(m.group, doc)
			l.index.Join(doc.ID(), m.group)
			if m.held {
				g.hold(m.thing)
			}
		}
	}
	for _, o := range l.things.items {
		doc := l.index.Get(o.key)
		l.linkWaits(doc)
		l.matcher.Recall(doc)
	}
}

// row files one row.
func (l *loader) row(r store.Row) error {
	switch r.Kind {
	case kindThing:
		return l.thingRow(r)
	case kindShadow:
		return l.shadowRow(r)
	case kindPresence:
		return json.Unmarshal(r.Value, &l.name(protocol.ThingName(r.Key)).presence)
	case kindMember:
		return l.memberRow(r)
	case kindExecution:
		return decode(r, func(x job.Execution) { l.execs = append(l.execs, &x) })
	case kindWaiting:
		return l.waitingRow(r)
	case kindVisits:
		return l.visitsRow(r)
	case kindDebounce:
		return l.debounceRow(r)
	case kindGroup:
		return decode(r, func(g group.Group) {
			l.groups[g.Name] = &groupEntry{Group: g}
			l.groupOrder.insert(g.CreatedAt, g.Name)
		})
	case kindJob:
		return decode(r, func(j job.Job) {
			l.jobs[j.ID] = &jobEntry{Job: j, latest: map[protocol.ThingName]*job.Execution{}, counts: job.Counts{}}
			l.jobOrder.insert(j.CreatedAt, j.ID)
		})
	case kindThingType:
		return l.typeRow(r)
	case kindTags:
		return l.tagsRow(r)
	case kindRetained:
		return l.retainedRow(r)
	case kindConfig:
		return l.configRow(r)
	default:
		if known, err := l.identityRow(r); known {
			return err
		}
		return fmt.Errorf("unknown kind: the data folder was written by a newer version")
	}
}

// decode reads the value of a row and hands it on.
func decode[T any](r store.Row, file func(T)) error {
	var v T
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return err
	}
	file(v)
	return nil
}

// decodePair is decode for a row whose key has two parts.
func decodePair[T any](r store.Row, file func(first, second string, v T)) error {
	part, err := splitKey(r.Key, 2)
	if err != nil {
		return err
	}
	return decode(r, func(v T) { file(part[0], part[1], v) })
}

func (l *loader) thingRow(r store.Row) error {
	return decode(r, func(th registry.Thing) {
		l.name(th.Name).thing = &th
		l.things.insert(th.CreatedAt, th.Name)
	})
}

func (l *loader) shadowRow(r store.Row) error {
	return decodePair(r, func(thing, name string, d shadow.Document) {
		e := l.name(protocol.ThingName(thing))
		if e.shadows == nil {
			e.shadows = map[string]shadow.Document{}
		}
		e.shadows[name] = d
	})
}

func (l *loader) memberRow(r store.Row) error {
	return decodePair(r, func(thing, group string, m memberRow) {
		l.members = append(l.members, member{protocol.ThingName(thing), protocol.ThingGroupName(group), m.Held})
	})
}

func (l *loader) waitingRow(r store.Row) error {
	return decodePair(r, func(thing, job string, w waitingRow) {
		l.waiting = append(l.waiting, waitingAt{protocol.ThingName(thing), protocol.JobID(job), w.Since})
	})
}

func (l *loader) configRow(r store.Row) error {
	switch r.Key {
	case keyIndexing:
		l.indexing = Indexing{}
		err := json.Unmarshal(r.Value, &l.indexing)
		l.indexing.Thing = l.indexing.Thing.Normal()
		return err
	case keyClock:
		return decode(r, func(c clockRow) { l.committedAt = c.At })
	case keyBound:
		return json.Unmarshal(r.Value, &l.bound)
	case keyEvents:
		return json.Unmarshal(r.Value, &l.events)
	}
	return fmt.Errorf("unknown configuration %s", strconv.Quote(r.Key))
}

// linkExecutions files executions under their thing and job, in the order in
// which they were made.
func (l *loader) linkExecutions() {
	slices.SortFunc(l.execs, func(a, b *job.Execution) int {
		return cmp.Or(a.QueuedAt.Compare(b.QueuedAt), cmp.Compare(a.Seq, b.Seq))
	})
	for _, x := range l.execs {
		l.seq = max(l.seq, x.Seq)
		j := l.jobs[x.JobID]
		if j == nil {
			continue // its job was deleted by a version that removed rows later
		}
		e := l.name(x.Thing)
		e.execs = append(e.execs, x)
		j.execs = append(j.execs, x)
		if last := j.latest[x.Thing]; last != nil {
			j.counts[last.Status]--
		}
		j.latest[x.Thing] = x
		j.counts[x.Status]++
	}
}

// linkGroups registers the groups' places, queries and members, and takes
// unfinished builds up again from their start.
func (l *loader) linkGroups() error {
	if err := l.placeGroups(); err != nil {
		return err
	}
	for _, g := range l.dynamicGroups() {
		q, err := query.Parse(g.QueryString)
		if err != nil {
			return fmt.Errorf("cannot read the query of thing group %q: %w", g.Name, err)
		}
		g.query = q
		l.namings.add(g.Name, q)
		l.matcher.Put(g.Name, q)
		if g.Status.NeedsScan() {
			l.build(g)
		}
	}
	for _, m := range l.members {
		g := l.groups[m.group]
		if g == nil || l.names[m.thing] == nil || l.names[m.thing].thing == nil {
			return fmt.Errorf("cannot place thing %q in thing group %q: one of them is missing", m.thing, m.group)
		}
		if err := l.restore(g, m); err != nil {
			return fmt.Errorf("cannot restore the members of thing group %q: %w", m.group, err)
		}
	}
	return nil
}

// placeGroups puts the static groups into their hierarchies, level by level.
func (l *loader) placeGroups() error {
	var waiting []*groupEntry
	for _, o := range l.groupOrder.items {
		if g := l.groups[o.key]; !g.Dynamic() {
			waiting = append(waiting, g)
		}
	}
	for range group.MaxDepth {
		var next []*groupEntry
		for _, g := range waiting {
			if g.Parent != "" && !l.tree.Has(g.Parent) {
				next = append(next, g)
			} else if err := l.tree.Add(g.Name, g.Parent); err != nil {
				return fmt.Errorf("cannot place thing group %q: %w", g.Name, err)
			}
		}
		waiting = next
	}
	if len(waiting) > 0 {
		return fmt.Errorf("cannot place thing group %q below %q", waiting[0].Name, waiting[0].Parent)
	}
	return nil
}

// restore makes a thing a member of a static group as it was stored; those of
// dynamic ones wait for the documents of the things.
func (l *loader) restore(g *groupEntry, m member) error {
	if g.Dynamic() {
		return nil
	}
	moves, err := l.tree.Plan(m.thing, nil, []protocol.ThingGroupName{m.group})
	for _, m := range moves {
		l.tree.Apply(m)
	}
	return err
}

// linkJobs follows the live jobs' groups and sets the timers.
func (l *loader) linkJobs() {
	for _, o := range l.jobOrder.items {
		if j := l.jobs[o.key]; j.Status == job.InProgress {
			l.follow(j)
		}
	}
	slices.SortFunc(l.waiting, func(a, b waitingAt) int {
		return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.thing, b.thing))
	})
	for _, w := range l.waiting {
		if j := l.jobs[w.job]; j != nil {
			j.waiting.add(w.thing, w.since)
			l.releaseAt(j, j.NextGrant)
		}
	}
	l.linkVisits()
	for _, x := range l.execs {
		if l.jobs[x.JobID] != nil {
			l.arm(x)
		}
	}
}
