package engine

import (
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/store"
)

// CreateThingType makes a thing type (AWS IoT reference 2.3). Creating it
// again with the same properties answers the existing one.
type CreateThingType struct {
	Name       protocol.ThingTypeName
	Properties registry.TypeProperties
	Tags       registry.Tags
}

func (in CreateThingType) step(t *tx) (registry.ThingType, error) {
	if old := t.types[in.Name]; old != nil {
		if old.Same(in.Properties) {
			return *old, nil
		}
		err := protocol.Errorf(protocol.AlreadyExists, "thing type %q exists already with other properties", in.Name)
		err.ResourceID, err.ResourceARN = old.ID, t.arn(protocol.KindThingType, string(in.Name))
		return registry.ThingType{}, err
	}
	made, err := registry.NewThingType(in.Name, t.cfg.NewID(), in.Properties, t.now)
	if err != nil {
		return registry.ThingType{}, err
	}
	if err := in.Tags.Check(); err != nil {
		return registry.ThingType{}, err
	}
	t.typeOrder.insert(made.CreatedAt, made.Name)
	t.putType(made)
	t.tag(protocol.KindThingType, string(made.Name), in.Tags)
	t.typeEvent(made, "CREATED", "created")
	return made, nil
}

// UpdateThingType changes what is said about a thing type.
type UpdateThingType struct {
	Name protocol.ThingTypeName
	registry.TypeUpdate
}

func (in UpdateThingType) step(t *tx) (registry.ThingType, error) {
	old, err := t.thingType(in.Name)
	if err != nil {
		return registry.ThingType{}, err
	}
	next, err := old.Update(in.TypeUpdate)
	if err != nil {
		return registry.ThingType{}, err
	}
	t.putType(next)
	t.typeEvent(next, "UPDATED", "updated")
	return next, nil
}

// DeprecateThingType keeps a thing type from being given to more things, or,
// with Undo, allows it again.
type DeprecateThingType struct {
	Name protocol.ThingTypeName
	Undo bool
}

func (in DeprecateThingType) step(t *tx) (registry.ThingType, error) {
	old, err := t.thingType(in.Name)
	if err != nil {
		return registry.ThingType{}, err
	}
	next := old.Deprecate(in.Undo, t.now)
	t.putType(next)
	t.typeEvent(next, "UPDATED", "updated")
	return next, nil
}

// DeleteThingType removes a thing type that has been deprecated for a while
// and that no thing has.
type DeleteThingType struct{ Name protocol.ThingTypeName }

func (in DeleteThingType) step(t *tx) (struct{}, error) {
	old, err := t.thingType(in.Name)
	if err != nil {
		return struct{}{}, err
	}
	if err := old.CheckDelete(t.now); err != nil {
		return struct{}{}, err
	}
	for _, o := range t.things.items {
		if t.names[o.key].thing.TypeName == in.Name {
			return struct{}{}, protocol.Errorf(protocol.InvalidRequest, "thing type %q cannot be deleted: thing %q has it", in.Name, o.key)
		}
	}
	delete(t.types, in.Name)
	t.typeOrder.remove(old.CreatedAt, in.Name)
	t.del(protocol.GlobalShard, kindThingType, string(in.Name))
	t.untag(protocol.KindThingType, string(in.Name))
	t.typeEvent(*old, "DELETED", "deleted")
	return struct{}{}, nil
}

func (s *state) thingType(n protocol.ThingTypeName) (*registry.ThingType, error) {
	if t := s.types[n]; t != nil {
		return t, nil
	}
	return nil, protocol.Errorf(protocol.NotFound, "thing type %q does not exist", n)
}

// checkGive returns why no thing can be given a type; empty is no type.
func (s *state) checkGive(n protocol.ThingTypeName) error {
	if n == "" {
		return nil
	}
	t, err := s.thingType(n)
	if err != nil {
		return err
	}
	return t.CheckGive()
}

// attributeLimits are those of things (rule 24).
func (s *state) attributeLimits() registry.AttributeLimits {
	return registry.AttributeLimits{Untyped: s.cfg.Rules.ThingAttributes, Typed: s.cfg.Rules.TypedThingAttributes}
}

func (t *tx) putType(typ registry.ThingType) {
	t.types[typ.Name] = &typ
	t.put(protocol.GlobalShard, kindThingType, string(typ.Name), typ)
}

func (l *loader) typeRow(r store.Row) error {
	return decode(r, func(typ registry.ThingType) {
		l.types[typ.Name] = &typ
		l.typeOrder.insert(typ.CreatedAt, typ.Name)
	})
}

func (t *tx) typeEvent(typ registry.ThingType, operation, word string) {
	if !t.events.Enabled[event.ThingType] {
		return
	}
	m := event.TypeChange{
		EventType: "THING_TYPE_EVENT", EventID: t.cfg.NewID(), Timestamp: t.now.UnixMilli(), Operation: operation,
		AccountID: t.cfg.Account, ThingTypeID: typ.ID, ThingTypeName: string(typ.Name),
		SearchableAttributes: typ.Searchable, Description: typ.Description,
	}
	if typ.Status == registry.TypeDeprecated {
		m.IsDeprecated, m.DeprecationDate = true, new(typ.DeprecatedAt.UnixMilli())
	}
	t.publish(topic.Event("thingType", string(typ.Name), word), marshal(m))
}

// typeAssociated tells that a thing was given a type or lost it; empty is no type.
func (t *tx) typeAssociated(th registry.Thing, n protocol.ThingTypeName, operation, word string) {
	if n == "" || !t.events.Enabled[event.ThingTypeAssociation] {
		return
	}
	t.publish(topic.TypeAssociation(th.Name, n, word), marshal(event.TypeAssociation{
		EventType: "THING_TYPE_ASSOCIATION_EVENT", EventID: t.cfg.NewID(), Timestamp: t.now.UnixMilli(), Operation: operation,
		ThingID: th.ID, ThingName: string(th.Name), ThingTypeName: string(n),
	}))
}

// ThingType returns a thing type, or a NotFound.
func (v *View) ThingType(n protocol.ThingTypeName) (registry.ThingType, error) {
	t, err := v.t.thingType(n)
	if err != nil {
		return registry.ThingType{}, err
	}
	return *t, nil
}

// ThingTypes lists thing types in the order of their creation.
func (v *View) ThingTypes(p Page, keep func(registry.ThingType) bool) ([]registry.ThingType, string, error) {
	return list(&v.t.typeOrder, p, func(n protocol.ThingTypeName) (registry.ThingType, bool) {
		t := *v.t.types[n]
		return t, keep == nil || keep(t)
	})
}
