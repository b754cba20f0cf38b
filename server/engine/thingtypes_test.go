package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/rules"
)

func typed(name protocol.ThingTypeName) engine.UpdateThing {
	return engine.UpdateThing{Name: "dev1", Update: registry.Update{TypeName: &name}}
}

// TestThingTypeEvents: what happens to types and to the types of things is
// told, when it happens and only then.
func TestThingTypeEvents(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.allEvents()
	tell := func(what string, want0 ...string) {
		t.Helper()
		told := []string{}
		for _, s := range f.wire.take() {
			if strings.Contains(s.topic, "thingType") {
				told = append(told, strings.TrimPrefix(s.topic, "$aws/events/"))
			}
		}
		want(t, what, told, append([]string{}, want0...))
	}
	do(f, engine.CreateThingType{Name: "Pump", Properties: registry.TypeProperties{Description: "Pumps", Searchable: []string{"site"}}})
	tell("created", "thingType/Pump/created")
	do(f, engine.CreateThingType{Name: "Pump", Properties: registry.TypeProperties{Description: "Pumps", Searchable: []string{"site"}}})
	tell("there already")
	do(f, engine.CreateThingType{Name: "Fan"})
	tell("another", "thingType/Fan/created")
	do(f, engine.CreateThing{Name: "dev1", TypeName: "Pump"})
	tell("given", "thingTypeAssociation/thing/dev1/thingType/Pump/added")
	do(f, typed("Fan"))
	tell("changed", "thingTypeAssociation/thing/dev1/thingType/Pump/removed", "thingTypeAssociation/thing/dev1/thingType/Fan/added")
	do(f, typed("Fan"))
	tell("as it is")
	do(f, engine.UpdateThing{Name: "dev1", Update: registry.Update{Attributes: map[string]string{"a": "1"}}})
	tell("attributes only")
	do(f, typed(""))
	tell("taken", "thingTypeAssociation/thing/dev1/thingType/Fan/removed")
	do(f, typed("Pump"))
	tell("given again", "thingTypeAssociation/thing/dev1/thingType/Pump/added")
	do(f, engine.UpdateThingType{Name: "Fan", TypeUpdate: registry.TypeUpdate{Description: new("Fans")}})
	tell("updated", "thingType/Fan/updated")
	do(f, engine.DeleteThing{Name: "dev1"})
	tell("thing deleted", "thingTypeAssociation/thing/dev1/thingType/Pump/removed")
	do(f, engine.DeprecateThingType{Name: "Fan"})
	deprecated := f.wire.take()
	if len(deprecated) != 1 || deprecated[0].topic != "$aws/events/thingType/Fan/updated" || !strings.Contains(deprecated[0].payload, `"isDeprecated":true,"deprecationDate":1`) {
		t.Errorf("deprecated: %+v", deprecated)
	}
}

// TestThingTypeEventPayloads compares the payloads with those of AWS IoT reference 5.
func TestThingTypeEventPayloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, nil, rules.Safe())
		f.allEvents()
		pump := do(f, engine.CreateThingType{Name: "Pump", Properties: registry.TypeProperties{Description: "Pumps", Searchable: []string{"site"}}})
		thing := do(f, engine.CreateThing{Name: "pump-17", TypeName: "Pump"})
		for _, s := range f.wire.take() {
			id := s.payload[strings.Index(s.payload, `"eventId":"`)+len(`"eventId":"`):][:36]
			got := strings.Replace(s.payload, id, "ID", 1)
			switch s.topic {
			case "$aws/events/thingType/Pump/created":
				want(t, s.topic, got, `{"eventType":"THING_TYPE_EVENT","eventId":"ID","timestamp":946684800000,"operation":"CREATED","accountId":"123456789012",`+
					`"thingTypeId":"`+pump.ID+`","thingTypeName":"Pump","isDeprecated":false,"deprecationDate":null,"searchableAttributes":["site"],"description":"Pumps"}`)
			case "$aws/events/thingTypeAssociation/thing/pump-17/thingType/Pump/added":
				want(t, s.topic, got, `{"eventType":"THING_TYPE_ASSOCIATION_EVENT","eventId":"ID","timestamp":946684800000,"operation":"ADDED",`+
					`"thingId":"`+thing.ID+`","thingName":"pump-17","thingTypeName":"Pump"}`)
			case "$aws/events/thing/pump-17/created":
				want(t, s.topic, strings.Contains(got, `"thingTypeName":"Pump"`), true)
			default:
				t.Errorf("unexpected %s", s.topic)
			}
		}
		f.stop()
	})
}

// TestThingTypeDeleted: five minutes after its deprecation, when no thing has it.
func TestThingTypeDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, nil, rules.Safe())
		arn := "arn:aws:iot:us-east-1:123456789012:thingtype/Pump"
		do(f, engine.CreateThingType{Name: "Pump", Tags: registry.Tags{"k": "v"}})
		do(f, engine.CreateThing{Name: "dev1", TypeName: "Pump"})
		remove := engine.DeleteThingType{Name: "Pump"}
		refused(f, remove, protocol.InvalidRequest)
		do(f, engine.DeprecateThingType{Name: "Pump"})
		time.Sleep(4 * time.Minute)
		refused(f, remove, protocol.InvalidRequest)
		f = again(f)
		time.Sleep(time.Minute)
		if err := refused(f, remove, protocol.InvalidRequest); !strings.Contains(err.Error(), "dev1") {
			t.Errorf("a thing has the type: %v", err)
		}
		do(f, engine.UpdateThing{Name: "dev1", Update: registry.Update{TypeName: new(protocol.ThingTypeName(""))}})
		do(f, remove)
		refused(f, remove, protocol.NotFound)
		f = again(f)
		f.read(func(v *engine.View) {
			if _, err := v.ThingType("Pump"); protocol.CodeOf(err) != protocol.NotFound {
				t.Errorf("deleted, then: %v", err)
			}
		})
		do(f, engine.CreateThingType{Name: "Pump"})
		f.read(func(v *engine.View) {
			tags, _, err := v.Tags(arn, engine.Page{Max: 10})
			if err != nil || len(tags) != 0 {
				t.Errorf("tags of the type before: %v, %v", tags, err)
			}
		})
		f.stop()
	})
}

// again restarts a fleet over its store.
func again(f *fleet) *fleet {
	f.Helper()
	f.stop()
	return start(f.T, f.store, rules.Safe())
}

// TestGroupsByThingType: a query for a thing type sees the types of things
// come and go.
func TestGroupsByThingType(t *testing.T) {
	f := start(t, nil, rules.Safe())
	do(f, engine.CreateThingType{Name: "Pump"})
	do(f, engine.CreateThing{Name: "dev1", TypeName: "Pump"})
	f.thing("dev2", "5")
	f.group("pumps", "thingTypeName:Pump")
	want(t, "members", f.members("pumps"), []protocol.ThingName{"dev1"})
	do(f, typed(""))
	want(t, "type taken", len(f.members("pumps")), 0)
	do(f, typed("Pump"))
	want(t, "type given", f.members("pumps"), []protocol.ThingName{"dev1"})
	f = again(f)
	want(t, "after a restart", f.members("pumps"), []protocol.ThingName{"dev1"})
	refused(f, engine.CreateThing{Name: "dev3", TypeName: "Nope"}, protocol.NotFound)
	do(f, engine.DeprecateThingType{Name: "Pump"})
	refused(f, engine.CreateThing{Name: "dev3", TypeName: "Pump"}, protocol.InvalidRequest)
	want(t, "a deprecated type stays", f.members("pumps"), []protocol.ThingName{"dev1"})
}

// TestTagsPage lists tags by twos.
func TestTagsPage(t *testing.T) {
	f := start(t, nil, rules.Safe())
	arn := "arn:aws:iot:us-east-1:123456789012:thingtype/Pump"
	do(f, engine.CreateThingType{Name: "Pump", Tags: registry.Tags{"e": "", "a": "", "c": ""}})
	do(f, engine.TagResource{ARN: arn, Tags: registry.Tags{"b": "", "d": ""}})
	do(f, engine.UntagResource{ARN: arn, Keys: []string{"e"}})
	var keys []string
	for page := (engine.Page{Max: 2}); ; {
		var next string
		f.read(func(v *engine.View) {
			tags, more, err := v.Tags(arn, page)
			if err != nil {
				t.Error(err)
			}
			for _, tag := range tags {
				keys = append(keys, tag.Key)
			}
			next = more
		})
		if page.After = next; next == "" {
			break
		}
	}
	if !slices.Equal(keys, []string{"a", "b", "c", "d"}) {
		t.Errorf("tags %v", keys)
	}
}

// TestEventsWithoutAttributes: events say null when there are no attributes,
// whether they are gone or never were.
func TestEventsWithoutAttributes(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.allEvents()
	do(f, engine.CreateThing{Name: "dev1"})
	do(f, engine.UpdateThing{Name: "dev1", Update: registry.Update{Attributes: map[string]string{"a": "1"}}})
	do(f, engine.UpdateThing{Name: "dev1", Update: registry.Update{Attributes: map[string]string{"a": ""}}})
	var got []string
	for _, m := range f.wire.take() {
		_, attributes, _ := strings.Cut(m.payload, `"attributes":`)
		got = append(got, attributes)
	}
	want(t, "attributes", got, []string{"null}", `{"a":"1"}}`, "null}"})
}
