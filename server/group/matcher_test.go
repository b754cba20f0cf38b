package group_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

func config() index.Config {
	return index.Config{
		ThingIndexingMode:             index.RegistryAndShadow,
		ThingConnectivityIndexingMode: index.Status,
	}
}

func mustParse(t testing.TB, s string) *query.Query {
	t.Helper()
	q, err := query.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// thing is a thing of a software version.
func thing(name protocol.ThingName, version string, connected bool) *index.Document {
	return index.Flatten(index.Source{
		ThingName:    name,
		Attributes:   map[string]string{"softwareVersion": version},
		Connectivity: index.Connectivity{Connected: connected},
	}, config())
}

// TestTheSeed follows the seed's group through a device's life.
func TestTheSeed(t *testing.T) {
	ix, m := index.New(), group.New()
	m.Put("ConnectedSWV5", mustParse(t, "connectivity.connected:true AND attributes.softwareVersion:5"))
	const g, d = "ConnectedSWV5", "pump-17"
	for _, step := range []struct {
		name   string
		change func() index.Change
		want   []group.Membership
	}{
		{"created", func() index.Change { return ix.Put(thing(d, "5", false)) }, nil},
		{"connects", func() index.Change { return ix.Put(thing(d, "5", true)) }, []group.Membership{{Thing: d, Group: g, Joined: true}}},
		{"nothing new", func() index.Change { return ix.Put(thing(d, "5", true)) }, nil},
		{"same number", func() index.Change { return ix.Put(thing(d, "5.0", true)) }, nil},
		{"updated", func() index.Change { return ix.Put(thing(d, "6", true)) }, []group.Membership{{Thing: d, Group: g}}},
		{"disconnects", func() index.Change { return ix.Put(thing(d, "6", false)) }, nil},
		{"reconnects", func() index.Change { return ix.Put(thing(d, "6", true)) }, nil},
		{"reverted", func() index.Change { return ix.Put(thing(d, "5", true)) }, []group.Membership{{Thing: d, Group: g, Joined: true}}},
		{"deleted", func() index.Change { return ix.Delete(d) }, []group.Membership{{Thing: d, Group: g}}},
		{"deleted again", func() index.Change { return ix.Delete(d) }, nil},
	} {
		if got := m.Apply(step.change()); !reflect.DeepEqual(got, step.want) {
			t.Fatalf("%s: %+v, want %+v", step.name, got, step.want)
		}
	}
}

func TestApplyAnswersInOrderOfGroups(t *testing.T) {
	m := group.New()
	for _, name := range []protocol.ThingGroupName{"c", "a", "d", "b"} {
		m.Put(name, mustParse(t, "attributes.softwareVersion:5"))
	}
	ix := index.New()
	names := func(ms []group.Membership) string {
		s := ""
		for _, x := range ms {
			s += string(x.Group)
		}
		return s
	}
	if got := names(m.Apply(ix.Put(thing("x", "5", true)))); got != "abcd" {
		t.Errorf("joined in order %s", got)
	}
	if got := m.GroupsOf(ix.Get("x")); !slices.Equal(got, []protocol.ThingGroupName{"a", "b", "c", "d"}) {
		t.Errorf("groups %v", got)
	}
	if got := names(m.Apply(ix.Put(thing("x", "6", true)))); got != "abcd" {
		t.Errorf("left in order %s", got)
	}
	if got := m.GroupsOf(ix.Get("x")); got != nil {
		t.Errorf("groups %v", got)
	}
}

// TestWhatMakesApplyLook names, for every way in which a query may depend on
// a field, a change that flips it.
func TestWhatMakesApplyLook(t *testing.T) {
	source := func(edit func(*index.Source)) *index.Document {
		s := index.Source{ThingName: "x", Attributes: map[string]string{"a": "1"}}
		edit(&s)
		return index.Flatten(s, config())
	}
	shadow := func(reported map[string]any) func(*index.Source) {
		return func(s *index.Source) {
			s.Shadows = map[string]index.ShadowState{"": {Reported: reported, Version: 1}}
		}
	}
	plain := func(*index.Source) {}
	for _, c := range []struct {
		name, query string
		edit        func(*index.Source)
	}{
		{"value appears", "attributes.b:2", func(s *index.Source) { s.Attributes = map[string]string{"a": "1", "b": "2"} }},
		{"value goes", "NOT attributes.a:1", func(s *index.Source) { s.Attributes = nil }},
		{"field itself exists", "thingTypeName:*", func(s *index.Source) { s.ThingTypeName = "Pump" }},
		{"something below exists", "shadow.reported.fw:*", shadow(map[string]any{"fw": map[string]any{"a": map[string]any{"b": "x"}}})},
		{"something far below exists", "shadow:*", shadow(map[string]any{"fw": map[string]any{"a": "x"}})},
		{"nothing below exists any more", "NOT attributes:*", func(s *index.Source) { s.Attributes = nil }},
		{"connectivity exists", "connectivity.timestamp:*", func(s *index.Source) { s.Connectivity.Timestamp = 1 }},
		{"connectivity by its parent", "connectivity:* connectivity.connected:true", func(s *index.Source) { s.Connectivity.Connected = true }},
		{"no field", "blue", shadow(map[string]any{"color": "blue"})},
		{"no field, negated", "NOT 1", func(s *index.Source) { s.Attributes = map[string]string{"a": "2"} }},
		{"comparison", "attributes.a>1", func(s *index.Source) { s.Attributes = map[string]string{"a": "2"} }},
		{"static group", "thingGroupNames:oslo", func(s *index.Source) { s.GroupNames = []string{"oslo"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			ix, m := index.New(), group.New()
			m.Put("g", mustParse(t, c.query))
			if got := m.Apply(ix.Put(source(plain))); got != nil {
				t.Fatalf("%q matches before the change", c.query)
			}
			if got := m.Apply(ix.Put(source(c.edit))); len(got) != 1 || !got[0].Joined {
				t.Errorf("%q after the change: %+v", c.query, got)
			}
			if got := m.Apply(ix.Put(source(plain))); len(got) != 1 || got[0].Joined {
				t.Errorf("%q after the change back: %+v", c.query, got)
			}
		})
	}
}

func TestScanAndRestore(t *testing.T) {
	ix, m := index.New(), group.New()
	for _, doc := range []*index.Document{thing("a", "5", true), thing("b", "6", true), thing("c", "5", true)} {
		m.Apply(ix.Put(doc))
	}
	join := func(names ...protocol.ThingName) (ms []group.Membership) {
		for _, n := range names {
			ms = append(ms, group.Membership{Thing: n, Group: "g", Joined: true})
		}
		return ms
	}
	if m.Restore("g", ix.Get("a")) || m.Scan("g", ix.Range("", 0)) != nil || m.Remove("g") != nil {
		t.Error("a group that is not registered has members")
	}
	m.Put("g", mustParse(t, "attributes.softwareVersion:5"))
	for range 2 {
		if !m.Restore("g", ix.Get("a")) || m.Count("g") != 1 {
			t.Errorf("restored members: %v", m.Members("g"))
		}
	}
	if got := m.Scan("g", ix.Range("", 0)); !reflect.DeepEqual(got, join("c")) {
		t.Errorf("scan finds %+v", got)
	}
	if got := m.Scan("g", ix.Range("", 0)); got != nil {
		t.Errorf("the same scan again finds %+v", got)
	}
	m.Put("g", mustParse(t, "attributes.softwareVersion:6"))
	if got := m.Members("g"); !slices.Equal(got, []protocol.ThingName{"a", "c"}) {
		t.Errorf("a new query drops members before they are scanned: %v", got)
	}
	want := []group.Membership{{Thing: "a", Group: "g"}, {Thing: "b", Group: "g", Joined: true}, {Thing: "c", Group: "g"}}
	if got := m.Scan("g", ix.Range("", 0)); !reflect.DeepEqual(got, want) {
		t.Errorf("rebuild finds %+v", got)
	}
	if got := m.Remove("g"); !reflect.DeepEqual(got, []group.Membership{{Thing: "b", Group: "g"}}) || m.Len() != 0 || m.GroupsOf(ix.Get("b")) != nil {
		t.Errorf("removal answers %+v", got)
	}
	if got := m.Apply(ix.Put(thing("b", "5", true))); got != nil {
		t.Errorf("a removed group answers %+v", got)
	}
}

func TestMembers(t *testing.T) {
	ix, m := index.New(), group.New()
	m.Put("g", mustParse(t, "*"))
	for _, n := range []protocol.ThingName{"d", "b", "a", "c"} {
		m.Apply(ix.Put(thing(n, "5", true)))
	}
	if got := m.Members("g"); !slices.Equal(got, []protocol.ThingName{"a", "b", "c", "d"}) || m.Count("g") != 4 {
		t.Errorf("members %v, counted %d", got, m.Count("g"))
	}
	if m.Members("unknown") != nil || m.Count("unknown") != 0 {
		t.Error("a group that is not there has members")
	}
	if !m.Contains("g", ix.Get("a")) || m.Contains("g", ix.Get("z")) || m.Contains("g", nil) || m.Contains("unknown", ix.Get("a")) {
		t.Error("contains disagrees with the members")
	}
}
