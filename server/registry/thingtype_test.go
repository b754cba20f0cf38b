package registry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/registry"
)

// TestTypeStatuses walks every event in every status.
func TestTypeStatuses(t *testing.T) {
	const active, deprecated, absent = registry.TypeActive, registry.TypeDeprecated, registry.TypeStatus("")
	const refused = registry.TypeStatus("refused")
	events := []registry.TypeEvent{registry.TypeGiven, registry.TypeUpdated, registry.TypeDeprecate, registry.TypeRestore, registry.TypeDelete, "no event"}
	for from, want := range map[registry.TypeStatus][]registry.TypeStatus{
		active:     {active, active, deprecated, active, refused, refused},
		deprecated: {refused, deprecated, deprecated, active, absent, refused},
		absent:     {refused, refused, refused, refused, refused, refused},
		"NOPE":     {refused, refused, refused, refused, refused, refused},
	} {
		for i, event := range events {
			next, ok := from.Next(event)
			if !ok {
				if next != from {
					t.Errorf("%q %s: refused, but the status is %q", from, event, next)
				}
				next = refused
			}
			if next != want[i] {
				t.Errorf("%q %s: %q, want %q", from, event, next, want[i])
			}
		}
	}
}

func TestNewThingType(t *testing.T) {
	for _, row := range []struct {
		name     string
		typeName protocol.ThingTypeName
		registry.TypeProperties
		refused bool
	}{
		{"plain", "Pump", registry.TypeProperties{}, false},
		{"whole", "Pump:2_a-b", registry.TypeProperties{Description: "Pumps", Searchable: []string{"site", "a.b", "c"}, Propagating: []registry.Propagating{{"k", "site", ""}, {"l", "", "iot:ClientId"}}}, false},
		{"name", "Pump 2", registry.TypeProperties{}, true},
		{"no name", "", registry.TypeProperties{}, true},
		{"long name", protocol.ThingTypeName(strings.Repeat("x", 129)), registry.TypeProperties{}, true},
		{"four searchable", "Pump", registry.TypeProperties{Searchable: []string{"a", "b", "c", "d"}}, true},
		{"searchable name", "Pump", registry.TypeProperties{Searchable: []string{"a b"}}, true},
		{"propagating nothing", "Pump", registry.TypeProperties{Propagating: []registry.Propagating{{"k", "", ""}}}, true},
		{"propagating both", "Pump", registry.TypeProperties{Propagating: []registry.Propagating{{"k", "site", "iot:ClientId"}}}, true},
		{"propagating without a key", "Pump", registry.TypeProperties{Propagating: []registry.Propagating{{"", "site", ""}}}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := registry.NewThingType(row.typeName, "id", row.TypeProperties, time.Unix(1, 0))
			if row.refused != (err != nil) || err != nil && protocol.CodeOf(err) != protocol.InvalidRequest {
				t.Fatalf("error %v", err)
			}
			if err == nil && (got.Status != registry.TypeActive || !got.Same(row.TypeProperties)) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestThingTypeSame(t *testing.T) {
	own := registry.TypeProperties{Description: "d", Searchable: []string{"a", "b"}, Propagating: []registry.Propagating{{"k", "a", ""}}}
	pump, err := registry.NewThingType("Pump", "id", own, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	turned := own
	turned.Searchable = []string{"b", "a"}
	if !pump.Same(turned) {
		t.Error("the order of searchable attributes means nothing")
	}
	for name, change := range map[string]func(p *registry.TypeProperties){
		"description": func(p *registry.TypeProperties) { p.Description = "" },
		"searchable":  func(p *registry.TypeProperties) { p.Searchable = []string{"a"} },
		"propagating": func(p *registry.TypeProperties) { p.Propagating = nil },
	} {
		other := own
		change(&other)
		if pump.Same(other) {
			t.Errorf("another %s is not the same type", name)
		}
	}
}

func TestThingTypeUpdate(t *testing.T) {
	pump, err := registry.NewThingType("Pump", "id", registry.TypeProperties{Description: "d", Searchable: []string{"a"}}, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	same, err := pump.Update(registry.TypeUpdate{})
	if d := cmp.Diff(pump, same); err != nil || d != "" {
		t.Errorf("nothing to change: %v\n%s", err, d)
	}
	got, err := pump.Update(registry.TypeUpdate{Description: new(""), Searchable: []string{}, Propagating: []registry.Propagating{{"k", "a", ""}}})
	if err != nil || !got.Same(registry.TypeProperties{Propagating: []registry.Propagating{{"k", "a", ""}}}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := pump.Update(registry.TypeUpdate{Searchable: []string{"a", "b", "c", "d"}}); protocol.CodeOf(err) != protocol.InvalidRequest {
		t.Errorf("four searchable attributes: %v", err)
	}
}

func TestDeprecation(t *testing.T) {
	at := func(minutes int) time.Time { return time.Unix(0, 0).Add(time.Duration(minutes) * time.Minute) }
	pump, err := registry.NewThingType("Pump", "id", registry.TypeProperties{}, at(0))
	if err != nil {
		t.Fatal(err)
	}
	see := func(what string, minutes int, given, deleted bool) {
		t.Helper()
		if err := pump.CheckGive(); (err == nil) != given || err != nil && protocol.CodeOf(err) != protocol.InvalidRequest {
			t.Errorf("%s: given to a thing: %v", what, err)
		}
		if err := pump.CheckDelete(at(minutes)); (err == nil) != deleted || err != nil && protocol.CodeOf(err) != protocol.InvalidRequest {
			t.Errorf("%s: deleted: %v", what, err)
		}
	}
	see("new", 60, true, false)
	pump = pump.Deprecate(true, at(60))
	see("not deprecated, undone", 60, true, false)
	pump = pump.Deprecate(false, at(60))
	see("just deprecated", 64, false, false)
	see("deprecated for five minutes", 65, false, true)
	pump = pump.Deprecate(false, at(64))
	see("deprecated twice", 65, false, true)
	pump = pump.Deprecate(true, at(66))
	see("restored", 90, true, false)
	if !pump.DeprecatedAt.IsZero() {
		t.Error("a restored type has no date of deprecation")
	}
	pump = pump.Deprecate(false, at(90))
	see("deprecated anew", 94, false, false)
	see("five minutes after that", 95, false, true)
}

// TestAttributeLimits: a thing with a type may have more attributes than one
// without, and may lose its type only while it has few enough.
func TestAttributeLimits(t *testing.T) {
	limits := registry.AttributeLimits{Untyped: 3, Typed: 5}
	attributes := func(n int) map[string]string {
		all := map[string]string{}
		for i := range n {
			all[fmt.Sprintf("a%d", i)] = "1"
		}
		return all
	}
	pump, none := protocol.ThingTypeName("Pump"), protocol.ThingTypeName("")
	for _, row := range []struct {
		name    string
		of      protocol.ThingTypeName
		have    int
		update  registry.Update
		refused bool
	}{
		{"untyped, three", "", 3, registry.Update{}, false},
		{"untyped, four", "", 3, registry.Update{Attributes: attributes(4)}, true},
		{"typed, five", pump, 4, registry.Update{Attributes: attributes(5)}, false},
		{"typed, six", pump, 5, registry.Update{Attributes: attributes(6)}, true},
		{"type removed from few", pump, 3, registry.Update{TypeName: &none}, false},
		{"type removed from many", pump, 4, registry.Update{TypeName: &none}, true},
		{"type and attributes removed", pump, 4, registry.Update{TypeName: &none, Attributes: attributes(3)}, false},
		{"type and attributes given", "", 3, registry.Update{TypeName: &pump, Attributes: attributes(5)}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			th, err := registry.New("dev1", "id", row.of, attributes(row.have), limits, time.Unix(1, 0))
			if err != nil {
				t.Fatal(err)
			}
			next, err := th.Update(row.update, limits)
			if row.refused != (err != nil) || err != nil && protocol.CodeOf(err) != protocol.InvalidRequest {
				t.Fatalf("error %v", err)
			}
			if err == nil && row.update.TypeName != nil && next.TypeName != *row.update.TypeName {
				t.Errorf("type %q", next.TypeName)
			}
		})
	}
	if _, err := registry.New("dev1", "id", "", attributes(4), limits, time.Unix(1, 0)); protocol.CodeOf(err) != protocol.InvalidRequest {
		t.Errorf("a new thing without a type with four attributes: %v", err)
	}
	if _, err := registry.New("dev1", "id", pump, attributes(5), limits, time.Unix(1, 0)); err != nil {
		t.Errorf("a new thing with a type with five attributes: %v", err)
	}
}
