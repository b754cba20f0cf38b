package registry_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/registry"
)

var three, hundred = registry.AttributeLimits{Untyped: 3, Typed: 3}, registry.AttributeLimits{Untyped: 100, Typed: 100}

func thing(t *testing.T, attributes map[string]string) registry.Thing {
	t.Helper()
	th, err := registry.New("dev1", "id", "", attributes, three, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	return th
}

func TestUpdate(t *testing.T) {
	one := int64(1)
	two := int64(2)
	for _, c := range []struct {
		name   string
		update registry.Update
		want   map[string]string
		code   protocol.Code
	}{
		{"replace", registry.Update{Attributes: map[string]string{"c": "3"}}, map[string]string{"c": "3"}, ""},
		{"merge", registry.Update{Attributes: map[string]string{"c": "3", "a": ""}, Merge: true}, map[string]string{"b": "2", "c": "3"}, ""},
		{"replace by nothing", registry.Update{Attributes: map[string]string{}}, map[string]string{}, ""},
		{"untouched", registry.Update{}, map[string]string{"a": "1", "b": "2"}, ""},
		{"expected version", registry.Update{ExpectedVersion: &one}, map[string]string{"a": "1", "b": "2"}, ""},
		{"wrong version", registry.Update{ExpectedVersion: &two}, nil, protocol.VersionConflict},
		{"space in value", registry.Update{Attributes: map[string]string{"c": "a b"}}, nil, protocol.InvalidRequest},
		{"bad name", registry.Update{Attributes: map[string]string{"a b": "1"}}, nil, protocol.InvalidRequest},
		{"too many", registry.Update{Attributes: map[string]string{"a": "1", "b": "1", "c": "1", "d": "1"}}, nil, protocol.InvalidRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := thing(t, map[string]string{"a": "1", "b": "2", "gone": ""}).Update(c.update, three)
			if c.code != "" {
				if err == nil || protocol.CodeOf(err) != c.code {
					t.Fatalf("error %v, want code %s", err, c.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got.Attributes); d != "" || got.Version != 2 {
				t.Errorf("version %d, attributes:\n%s", got.Version, d)
			}
		})
	}
}

func TestSize(t *testing.T) {
	attributes := map[string]string{}
	for n := range 61 {
		attributes[fmt.Sprintf("a%02d", n)] = strings.Repeat("x", 800)
	}
	if _, err := registry.New("dev1", "id", "", attributes, hundred, time.Unix(1, 0)); protocol.CodeOf(err) != protocol.InvalidRequest {
		t.Errorf("more than 47 KB of attributes: %v", err)
	}
	delete(attributes, "a00")
	delete(attributes, "a01")
	if _, err := registry.New("dev1", "id", "", attributes, hundred, time.Unix(1, 0)); err != nil {
		t.Errorf("less than 47 KB of attributes: %v", err)
	}
}

func TestMirror(t *testing.T) {
	fields := []string{"softwareVersion", "softwareSeq"}
	th := thing(t, map[string]string{"site": "oslo", "softwareSeq": "7"})
	step := func(reported map[string]any, changed bool, want map[string]string) {
		t.Helper()
		next, got := th.Mirror(reported, fields)
		if d := cmp.Diff(want, next.Attributes); got != changed || d != "" {
			t.Fatalf("changed %v, want %v; attributes:\n%s", got, changed, d)
		}
		if next.Version != th.Version {
			t.Fatalf("mirroring changed the version to %d", next.Version)
		}
		th = next
	}
	step(map[string]any{"other": "x"}, false, map[string]string{"site": "oslo", "softwareSeq": "7"})
	step(map[string]any{"softwareSeq": nil}, false, map[string]string{"site": "oslo", "softwareSeq": "7"})
	step(map[string]any{"softwareVersion": "5", "softwareSeq": json.Number("50000")}, true, map[string]string{"site": "oslo", "softwareVersion": "5", "softwareSeq": "50000"})
	step(map[string]any{"softwareVersion": "5"}, false, map[string]string{"site": "oslo", "softwareVersion": "5", "softwareSeq": "50000"})
	step(map[string]any{"softwareVersion": "not legal"}, false, map[string]string{"site": "oslo", "softwareVersion": "5", "softwareSeq": "50000"})
	step(map[string]any{"softwareVersion": map[string]any{}}, false, map[string]string{"site": "oslo", "softwareVersion": "5", "softwareSeq": "50000"})

	replaced, err := th.Update(registry.Update{Attributes: map[string]string{"room": "2"}}, three)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"room": "2", "softwareVersion": "5", "softwareSeq": "50000"}, replaced.Attributes); d != "" {
		t.Errorf("an operator's replacement must keep what the device reported:\n%s", d)
	}
	step(map[string]any{"softwareVersion": nil}, true, map[string]string{"site": "oslo", "softwareSeq": "50000"})
}

func TestSame(t *testing.T) {
	th := thing(t, map[string]string{"a": "1"})
	th, _ = th.Mirror(map[string]any{"softwareVersion": "5"}, []string{"softwareVersion"})
	if !th.Same("", map[string]string{"a": "1", "b": ""}) {
		t.Error("the same configuration must be recognised, mirrored values aside")
	}
	if !th.Same("", th.Attributes) {
		t.Error("the configuration that is shown must be recognised")
	}
	if th.Same("", map[string]string{"a": "1", "softwareVersion": "6"}) {
		t.Error("another value than the mirrored one must not be the same")
	}
	if th.Same("", map[string]string{"a": "2"}) || th.Same("Pump", map[string]string{"a": "1"}) {
		t.Error("another configuration must not be the same")
	}
}
