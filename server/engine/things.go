package engine

import (
	"encoding/json"
	"slices"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/registry"
)

// CreateThing registers a thing (AWS IoT reference 2.2). Creating it again
// with the same configuration answers the existing one.
type CreateThing struct {
	Name       protocol.ThingName
	TypeName   protocol.ThingTypeName // empty is none
	Attributes map[string]string
}

func (in CreateThing) step(t *tx) (registry.Thing, error) {
	if e := t.names[in.Name]; e != nil && e.thing != nil {
		if e.thing.Same(in.TypeName, in.Attributes) {
			return *e.thing, nil
		}
		err := protocol.Errorf(protocol.AlreadyExists, "thing %q exists already with another configuration", in.Name)
		err.ResourceID, err.ResourceARN = e.thing.ID, t.arn(protocol.KindThing, string(in.Name))
		return registry.Thing{}, err
	}
	if err := t.checkGive(in.TypeName); err != nil {
		return registry.Thing{}, err
	}
	th, err := registry.New(in.Name, t.cfg.NewID(), in.TypeName, in.Attributes, t.attributeLimits(), t.now)
	if err != nil {
		return registry.Thing{}, err
	}
	t.register(th)
	return th, nil
}

// register files a new thing; a session or shadow that its name has already counts from now on.
func (t *tx) register(th registry.Thing) {
	e := t.name(th.Name)
	e.thing = &th
	t.things.insert(th.CreatedAt, th.Name)
	t.mirror(e, e.shadows[""].Reported)
	t.putThing(th.Name, kindThing, string(th.Name), e.thing)
	if e.presence.Version > 0 {
		t.putThing(th.Name, kindPresence, string(th.Name), e.presence)
	}
	t.thingEvent("CREATED", *e.thing)
	t.typeAssociated(th, th.TypeName, "ADDED", "added")
	t.reindex(th.Name)
}

// UpdateThing changes a thing's attributes and type.
type UpdateThing struct {
	Name protocol.ThingName
	registry.Update
}

func (in UpdateThing) step(t *tx) (registry.Thing, error) {
	e, err := t.registered(in.Name)
	if err != nil {
		return registry.Thing{}, err
	}
	if in.TypeName != nil && *in.TypeName != e.thing.TypeName {
		if err := t.checkGive(*in.TypeName); err != nil {
			return registry.Thing{}, err
		}
	}
	old := *e.thing
	next, err := old.Update(in.Update, t.attributeLimits())
	if err != nil {
		return registry.Thing{}, err
	}
	e.thing = &next
	t.putThing(in.Name, kindThing, string(in.Name), next)
	t.thingEvent("UPDATED", next)
	if next.TypeName != old.TypeName {
		t.typeAssociated(next, old.TypeName, "REMOVED", "removed")
		t.typeAssociated(next, next.TypeName, "ADDED", "added")
	}
	t.reindex(in.Name)
	return next, nil
}

// DeleteThing removes a thing: it leaves its groups and the index, and its
// executions that have not ended become REMOVED. A thing that does not exist
// is deleted already. Its shadows stay (AWS IoT reference 2.2).
type DeleteThing struct {
	Name            protocol.ThingName
	ExpectedVersion *int64
}

func (in DeleteThing) step(t *tx) (struct{}, error) {
	e := t.names[in.Name]
	if e == nil || e.thing == nil {
		return struct{}{}, nil
	}
	if err := e.thing.CheckVersion(in.ExpectedVersion); err != nil {
		return struct{}{}, err
	}
	if err := t.checkNoPrincipals(in.Name); err != nil {
		return struct{}{}, err
	}
	th := *e.thing
	for _, x := range job.Pending(e.execs) {
		t.end(x, jobs.Delete, nil)
	}
	for _, j := range t.jobOrder.items {
		t.forgetWaiting(t.jobs[j.key], in.Name)
		t.forgetVisits(t.jobs[j.key], in.Name)
	}
	e.thing = nil
	t.things.remove(th.CreatedAt, th.Name)
	t.reindexDeleted(th)
	t.delThing(in.Name, kindThing, string(in.Name))
	t.delThing(in.Name, kindPresence, string(in.Name))
	t.typeAssociated(th, th.TypeName, "REMOVED", "removed")
	t.thingEvent("DELETED", th)
	t.tidy(in.Name)
	return struct{}{}, nil
}

func (t *tx) thingEvent(operation string, th registry.Thing) {
	if !t.events.Enabled[event.Thing] {
		return
	}
	word := map[string]string{"CREATED": "created", "UPDATED": "updated", "DELETED": "deleted"}[operation]
	var typeName *string
	if th.TypeName != "" {
		typeName = new(string(th.TypeName))
	}
	t.publish(topic.Event("thing", string(th.Name), word), marshal(event.ThingChange{
		EventType: "THING_EVENT", EventID: t.cfg.NewID(), Timestamp: t.now.UnixMilli(), Operation: operation,
		AccountID: t.cfg.Account, ThingID: th.ID, ThingName: string(th.Name), VersionNumber: th.Version,
		ThingTypeName: typeName, Attributes: someOrNil(th.Attributes),
	}))
}

// someOrNil is m, or nil when it holds nothing: events say null for no
// attributes (AWS IoT reference 5), whether they are gone or never were.
func someOrNil(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

// mirror copies reported fields into the thing's attributes (rule 2); the
// caller writes the row. It reports whether anything changed.
func (t *tx) mirror(e *entry, reported map[string]any) bool {
	if e.thing == nil || len(reported) == 0 {
		return false
	}
	next, changed := e.thing.Mirror(reported, t.cfg.Rules.MirroredFields)
	if changed {
		e.thing = &next
	}
	return changed
}

// marshal encodes a message of our own types, which cannot fail.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the guard refuses the batch
	}
	return b
}

func remove[T comparable](s []T, v T) []T {
	if i := slices.Index(s, v); i >= 0 {
		return slices.Delete(s, i, i+1)
	}
	return s
}
