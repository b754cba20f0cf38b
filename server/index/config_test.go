package index_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
)

// full indexes everything there is.
func full() index.Config {
	return index.Config{
		ThingIndexingMode:             index.RegistryAndShadow,
		ThingConnectivityIndexingMode: index.Status,
		DeviceDefenderIndexingMode:    index.Violations,
		NamedShadowIndexingMode:       index.On,
		Filter:                        index.Filter{NamedShadowNames: []string{"health", "$package"}},
	}
}

// with returns full changed by edit.
func with(edit func(*index.Config)) index.Config {
	c := full()
	edit(&c)
	return c
}

func TestConfigValidate(t *testing.T) {
	field := func(name string, typ index.FieldType) func(*index.Config) {
		return func(c *index.Config) { c.CustomFields = []index.Field{{Name: name, Type: typ}} }
	}
	geo := func(name, order string) func(*index.Config) {
		return func(c *index.Config) { c.Filter.GeoLocations = []index.GeoLocation{{Name: name, Order: order}} }
	}
	for _, c := range []struct {
		name   string
		config index.Config
		want   string // part of the error; empty: valid
	}{
		{"zero", index.Config{}, ""},
		{"full", full(), ""},
		{"unknown mode", index.Config{ThingIndexingMode: "SHADOW"}, `thingIndexingMode "SHADOW" is unknown, want one of [OFF REGISTRY REGISTRY_AND_SHADOW]`},
		{"mode of another member", with(func(c *index.Config) { c.ThingConnectivityIndexingMode = index.On }), `thingConnectivityIndexingMode "ON" is unknown`},
		{"connectivity alone", index.Config{ThingConnectivityIndexingMode: index.Status}, "thingConnectivityIndexingMode STATUS needs thingIndexingMode"},
		{"named shadows alone", index.Config{NamedShadowIndexingMode: index.On}, "namedShadowIndexingMode ON needs thingIndexingMode"},
		{"named shadows with registry", index.Config{ThingIndexingMode: index.Registry, NamedShadowIndexingMode: index.On}, ""},
		{"ten shadows and $package", with(func(c *index.Config) { c.Filter.NamedShadowNames = append(names(10), "$package") }), ""},
		{"eleven shadows", with(func(c *index.Config) { c.Filter.NamedShadowNames = names(11) }), "namedShadowNames has 11 names, at most 10"},
		{"bad shadow name", with(func(c *index.Config) { c.Filter.NamedShadowNames = []string{"a.b"} }), `namedShadowNames: "a.b" is not a shadow name`},
		{"field below attributes", with(field("attributes.softwareVersion", index.Number)), ""},
		{"field of the classic shadow", with(field("shadow.desired.a.b", index.String)), ""},
		{"field of a named shadow", with(field("shadow.name.health.reported.disk.free", index.Boolean)), ""},
		{"field of Device Defender", with(field("deviceDefender.x", index.Number)), ""},
		{"field of an unknown type", with(field("attributes.a", "Integer")), `type "Integer" of "attributes.a" is unknown`},
		{"field that is managed", with(field("thingName", index.String)), `"thingName" cannot be declared`},
		{"field of metadata", with(field("shadow.metadata.reported.a", index.Number)), "cannot be declared"},
		{"field without path", with(field("shadow.reported", index.String)), "cannot be declared"},
		{"field without attribute", with(field("attributes.", index.String)), "cannot be declared"},
		{"field of a shadow not in the filter", with(field("shadow.name.other.reported.a", index.String)), "is not indexed by the modes"},
		{"field of shadows with registry only", index.Config{ThingIndexingMode: index.Registry, CustomFields: []index.Field{{Name: "shadow.reported.a", Type: index.String}}}, "is not indexed by the modes"},
		{"field twice", with(func(c *index.Config) {
			c.CustomFields = []index.Field{{"attributes.a", index.String}, {"attributes.a", index.Number}}
		}), "declared twice"},
		{"six fields", with(func(c *index.Config) {
			for _, n := range names(6) {
				c.CustomFields = append(c.CustomFields, index.Field{Name: "attributes." + n, Type: index.String})
			}
		}), "customFields has 6 fields, at most 5"},
		{"geo location", with(geo("shadow.reported.position", "")), ""},
		{"geo location lon first", with(geo("shadow.name.health.reported.p", "LonLat")), ""},
		{"geo location of unknown order", with(geo("shadow.reported.position", "lonlat")), `order "lonlat" of "shadow.reported.position" is unknown`},
		{"geo location in the registry", with(geo("attributes.position", "LatLon")), "is not a field of an indexed shadow"},
		{"geo location not indexed", with(geo("shadow.name.other.reported.p", "LatLon")), "is not a field of an indexed shadow"},
		{"two geo locations", with(func(c *index.Config) {
			c.Filter.GeoLocations = []index.GeoLocation{{Name: "shadow.reported.a"}, {Name: "shadow.reported.b"}}
		}), "geoLocations has 2 fields, at most 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.config.Validate()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("error %v", err)
			case c.want != "" && (protocol.CodeOf(err) != protocol.InvalidRequest || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want InvalidRequest with %q", err, c.want)
			}
		})
	}
}

func names(n int) []string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprintf("s%d", i))
	}
	return s
}

func TestValidateGroupFields(t *testing.T) {
	field := func(names ...string) (fields []index.Field) {
		for _, name := range names {
			fields = append(fields, index.Field{Name: name, Type: index.String})
		}
		return fields
	}
	for _, row := range []struct {
		name   string
		fields []index.Field
		legal  bool
	}{
		{"none", nil, true},
		{"five", field("attributes.a", "attributes.b", "attributes.c", "attributes.d", "attributes.e"), true},
		{"six", field("attributes.a", "attributes.b", "attributes.c", "attributes.d", "attributes.e", "attributes.f"), false},
		{"twice", field("attributes.a", "attributes.a"), false},
		{"a thing's", field("shadow.reported.a"), false},
		{"no name", field(""), false},
		{"unknown type", []index.Field{{Name: "attributes.a", Type: "Text"}}, false},
	} {
		if err := index.ValidateGroupFields(row.fields); (err == nil) != row.legal || err != nil && protocol.CodeOf(err) != protocol.InvalidRequest {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestConfigSchema(t *testing.T) {
	const off, registry, both, status = index.Off, index.Registry, index.RegistryAndShadow, index.Status
	for _, c := range []struct {
		things, connectivity, named, defender index.Mode
		want                                  string
	}{
		{"", "", "", "", "OFF"},
		{off, off, off, off, "OFF"},
		{registry, off, off, off, "REGISTRY"},
		{both, "", "", "", "REGISTRY_AND_SHADOW"},
		{registry, status, off, off, "REGISTRY_AND_CONNECTIVITY_STATUS"},
		{both, status, off, off, "REGISTRY_AND_SHADOW_AND_CONNECTIVITY_STATUS"},
		{both, status, index.On, off, "MULTI_INDEXING_MODE"},
		{registry, off, index.On, off, "MULTI_INDEXING_MODE"},
		{registry, off, off, index.Violations, "MULTI_INDEXING_MODE"},
	} {
		cfg := index.Config{
			ThingIndexingMode: c.things, ThingConnectivityIndexingMode: c.connectivity,
			NamedShadowIndexingMode: c.named, DeviceDefenderIndexingMode: c.defender,
		}
		if got := cfg.Schema(); got != c.want {
			t.Errorf("%+v has schema %s, want %s", cfg, got, c.want)
		}
	}
}

func TestConfigCovers(t *testing.T) {
	configs := map[string]index.Config{
		"off":      {},
		"registry": {ThingIndexingMode: index.Registry},
		"shadow":   {ThingIndexingMode: index.RegistryAndShadow},
		"status":   {ThingIndexingMode: index.Registry, ThingConnectivityIndexingMode: index.Status},
		"named": {
			ThingIndexingMode: index.Registry, NamedShadowIndexingMode: index.On,
			Filter: index.Filter{NamedShadowNames: []string{"health"}},
		},
		"filter only": {ThingIndexingMode: index.Registry, Filter: index.Filter{NamedShadowNames: []string{"health"}}},
		"full":        full(),
	}
	for _, c := range []struct{ field, want string }{
		{"", "filter only, full, named, registry, shadow, status"},
		{"thingName", "filter only, full, named, registry, shadow, status"},
		{"registry.version", "filter only, full, named, registry, shadow, status"},
		{"attributes.a.b", "filter only, full, named, registry, shadow, status"},
		{"connectivity.connected", "full, status"},
		{"shadow", "full, named, shadow"},
		{"shadow.reported.a", "full, shadow"},
		{"shadow.hasDelta", "full, shadow"},
		{"shadow.name", "full, named"},
		{"shadow.name.health", "full, named"},
		{"shadow.name.health.hasDelta", "full, named"},
		{"shadow.name.other.hasDelta", ""},
		{"deviceDefender.x", "full"},
		{"nonsense", ""},
	} {
		t.Run(c.field, func(t *testing.T) {
			var got []string
			for _, name := range []string{"filter only", "full", "named", "off", "registry", "shadow", "status"} {
				if configs[name].Covers(c.field) {
					got = append(got, name)
				}
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("covered by %q, want %q", s, c.want)
			}
		})
	}
}

func TestConfigIsStoredAsItIsSent(t *testing.T) {
	const sent = `{"thingIndexingMode":"REGISTRY_AND_SHADOW","thingConnectivityIndexingMode":"STATUS",` +
		`"deviceDefenderIndexingMode":"OFF","namedShadowIndexingMode":"ON",` +
		`"customFields":[{"name":"attributes.softwareVersion","type":"Number"},{"name":"shadow.name.health.reported.disk.free","type":"Number"}],` +
		`"filter":{"namedShadowNames":["health","$package"],"geoLocations":[{"name":"shadow.reported.position","order":"LatLon"}]}}`
	var cfg index.Config
	if err := json.Unmarshal([]byte(sent), &cfg); err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(cfg)
	if err != nil || string(stored) != sent {
		t.Errorf("stored as %s, %v", stored, err)
	}
	if !reflect.DeepEqual(cfg.Normal(), cfg) {
		t.Error("a configuration that is spelled out has another normal form")
	}
	small, err := json.Marshal(index.Config{}.Normal())
	if want := `{"thingIndexingMode":"OFF","thingConnectivityIndexingMode":"OFF","deviceDefenderIndexingMode":"OFF","namedShadowIndexingMode":"OFF"}`; string(small) != want {
		t.Errorf("the empty configuration is stored as %s, %v", small, err)
	}
}

func TestNormalLeavesItsSourceAlone(t *testing.T) {
	cfg := with(func(c *index.Config) { c.Filter.GeoLocations = []index.GeoLocation{{Name: "shadow.reported.p"}} })
	if n := cfg.Normal(); n.Filter.GeoLocations[0].Order != "LatLon" || cfg.Filter.GeoLocations[0].Order != "" {
		t.Errorf("normal %+v of %+v", n, cfg)
	}
}
