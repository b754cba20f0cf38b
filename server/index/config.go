package index

import (
	"regexp"
	"slices"
	"strings"

	"github.com/muster-iot/muster/protocol"
)

// Name is the name of the index of things.
const Name = "AWS_Things"

// Mode is what an indexing mode is set to. The empty mode is Off.
type Mode string

// The values of the modes; each field of [Config] says which it takes.
const (
	Off               Mode = "OFF"
	On                Mode = "ON"
	Registry          Mode = "REGISTRY"
	RegistryAndShadow Mode = "REGISTRY_AND_SHADOW"
	Status            Mode = "STATUS"
	Violations        Mode = "VIOLATIONS"
)

// The quotas of AWS IoT reference 3.1.
const (
	maxCustomFields = 5
	maxNamedShadows = 10
	maxGeoLocations = 1
)

// packageShadow is the reserved shadow that does not count as named in the filter.
const packageShadow = "$package"

// Config is the thing indexing configuration (AWS IoT reference 3.1), in the
// form in which it is sent and stored. The zero value indexes nothing.
type Config struct {
	// ThingIndexingMode is Off, Registry or RegistryAndShadow.
	ThingIndexingMode Mode `json:"thingIndexingMode"`
	// ThingConnectivityIndexingMode is Off or Status.
	ThingConnectivityIndexingMode Mode `json:"thingConnectivityIndexingMode,omitempty"`
	// DeviceDefenderIndexingMode is Off or Violations; nothing fills these fields yet.
	DeviceDefenderIndexingMode Mode `json:"deviceDefenderIndexingMode,omitempty"`
	// NamedShadowIndexingMode is Off or On: the shadows named in the filter.
	NamedShadowIndexingMode Mode `json:"namedShadowIndexingMode,omitempty"`
	// CustomFields declare types for aggregation; searching needs no declaration.
	CustomFields []Field `json:"customFields,omitempty"`
	// Filter narrows what is indexed.
	Filter Filter `json:"filter,omitzero"`
}

// Field declares the type of a field.
type Field struct {
	Name string `json:"name"`
	// Type is Number, String or Boolean.
	Type FieldType `json:"type"`
}

// FieldType is the type of a declared field.
type FieldType string

// The types of fields.
const (
	Number  FieldType = "Number"
	String  FieldType = "String"
	Boolean FieldType = "Boolean"
)

// Filter narrows what is indexed.
type Filter struct {
	// NamedShadowNames are the named shadows to index.
	NamedShadowNames []string `json:"namedShadowNames,omitempty"`
	// GeoLocations are kept and returned; geo queries are not supported yet.
	GeoLocations []GeoLocation `json:"geoLocations,omitempty"`
}

// GeoLocation declares a field that holds a position.
type GeoLocation struct {
	Name string `json:"name"`
	// Order is LatLon (also when empty) or LonLat.
	Order string `json:"order,omitempty"`
}

// ManagedFields returns the fields that are always typed (AWS IoT reference
// 3.1), in the order in which GetIndexingConfiguration lists them.
func ManagedFields() []Field {
	return []Field{
		{"thingName", String},
		{"thingId", String},
		{"registry.thingTypeName", String},
		{"registry.thingGroupNames", String},
		{"registry.version", Number},
		{"shadow.version", Number},
		{"shadow.name.*.version", Number},
		{"shadow.hasDelta", Boolean},
		{"shadow.name.*.hasDelta", Boolean},
		{"connectivity.version", Number},
		{"connectivity.timestamp", Number},
		{"connectivity.connected", Boolean},
		{"connectivity.disconnectReason", String},
	}
}

// ManagedField returns the managed field that a name in an aggregation stands
// for: those with a * in their names stand for every named shadow.
func ManagedField(name string) (Field, bool) {
	for _, f := range ManagedFields() {
		before, after, pattern := strings.Cut(f.Name, "*")
		shadow, begins := strings.CutPrefix(name, before)
		shadow, ends := strings.CutSuffix(shadow, after)
		switch {
		case !pattern && f.Name == name:
			return f, true
		case pattern && begins && ends && shadow != "" && !strings.Contains(shadow, "."):
			return Field{Name: name, Type: f.Type}, true
		}
	}
	return Field{}, false
}

// Normal returns the configuration with every empty mode and order spelled out.
func (c Config) Normal() Config {
	for _, mode := range []*Mode{
		&c.ThingIndexingMode, &c.ThingConnectivityIndexingMode,
		&c.DeviceDefenderIndexingMode, &c.NamedShadowIndexingMode,
	} {
		if *mode == "" {
			*mode = Off
		}
	}
	c.Filter.GeoLocations = slices.Clone(c.Filter.GeoLocations)
	for i, g := range c.Filter.GeoLocations {
		if g.Order == "" {
			c.Filter.GeoLocations[i].Order = "LatLon"
		}
	}
	return c
}

// Validate returns an error of code InvalidRequest that names the member which
// is wrong, or nil.
func (c Config) Validate() error {
	c = c.Normal()
	for _, check := range []func(Config) error{checkModes, checkShadowNames, checkCustomFields, checkGeoLocations} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

func checkModes(c Config) error {
	for _, m := range []struct {
		member string
		mode   Mode
		legal  []Mode
	}{
		{"thingIndexingMode", c.ThingIndexingMode, []Mode{Off, Registry, RegistryAndShadow}},
		{"thingConnectivityIndexingMode", c.ThingConnectivityIndexingMode, []Mode{Off, Status}},
		{"deviceDefenderIndexingMode", c.DeviceDefenderIndexingMode, []Mode{Off, Violations}},
		{"namedShadowIndexingMode", c.NamedShadowIndexingMode, []Mode{Off, On}},
	} {
		if !slices.Contains(m.legal, m.mode) {
			return invalid("%s %q is unknown, want one of %v", m.member, m.mode, m.legal)
		}
		if c.ThingIndexingMode == Off && m.mode != Off {
			return invalid("%s %s needs thingIndexingMode REGISTRY or REGISTRY_AND_SHADOW", m.member, m.mode)
		}
	}
	return nil
}

func checkShadowNames(c Config) error {
	form := regexp.MustCompile(`^[$a-zA-Z0-9:_-]{1,64}$`)
	counted := map[string]bool{}
	for _, name := range c.Filter.NamedShadowNames {
		if !form.MatchString(name) {
			return invalid("namedShadowNames: %q is not a shadow name, want 1 to 64 of [$a-zA-Z0-9:_-]", name)
		}
		if name != packageShadow {
			counted[name] = true
		}
	}
	if len(counted) > maxNamedShadows {
		return invalid("namedShadowNames has %d names, at most %d are allowed ($package not counted)", len(counted), maxNamedShadows)
	}
	return nil
}

func checkCustomFields(c Config) error { return checkFields(c.CustomFields, c.Covers) }

// ValidateGroupFields returns what is wrong with the custom fields of the
// index of thing groups, as [Config.Validate] does: groups have attributes only.
func ValidateGroupFields(fields []Field) error {
	return checkFields(fields, func(field string) bool { return strings.HasPrefix(field, "attributes.") })
}

func checkFields(fields []Field, covers func(field string) bool) error {
	if len(fields) > maxCustomFields {
		return invalid("customFields has %d fields, at most %d are allowed", len(fields), maxCustomFields)
	}
	seen := map[string]bool{}
	for _, f := range fields {
		switch {
		case !isCustom(f.Name):
			return invalid("customFields: %q cannot be declared, want a field below attributes, shadow.desired, shadow.reported, shadow.name.NAME.desired, shadow.name.NAME.reported or deviceDefender", f.Name)
		case f.Type != Number && f.Type != String && f.Type != Boolean:
			return invalid("customFields: type %q of %q is unknown, want Number, String or Boolean", f.Type, f.Name)
		case seen[f.Name]:
			return invalid("customFields: %q is declared twice", f.Name)
		case !covers(f.Name):
			return invalid("customFields: %q is not indexed by the modes of this configuration", f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

// isCustom reports whether a field of this name may be declared.
func isCustom(name string) bool {
	if rest, ok := strings.CutPrefix(name, "shadow."); ok {
		return isShadowState(rest)
	}
	for _, prefix := range []string{"attributes.", "deviceDefender."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest != ""
		}
	}
	return false
}

// isShadowState reports whether the field, given without "shadow.", is one of
// the desired or reported state of a shadow.
func isShadowState(field string) bool {
	if rest, ok := strings.CutPrefix(field, "name."); ok {
		_, field, _ = strings.Cut(rest, ".")
	}
	section, path, _ := strings.Cut(field, ".")
	return path != "" && (section == "desired" || section == "reported")
}

func checkGeoLocations(c Config) error {
	if len(c.Filter.GeoLocations) > maxGeoLocations {
		return invalid("geoLocations has %d fields, at most %d is allowed", len(c.Filter.GeoLocations), maxGeoLocations)
	}
	for _, g := range c.Filter.GeoLocations {
		field, isShadow := strings.CutPrefix(g.Name, "shadow.")
		switch {
		case !isShadow || !isShadowState(field) || !c.Covers(g.Name):
			return invalid("geoLocations: %q is not a field of an indexed shadow", g.Name)
		case g.Order != "LatLon" && g.Order != "LonLat":
			return invalid("geoLocations: order %q of %q is unknown, want LatLon or LonLat", g.Order, g.Name)
		}
	}
	return nil
}

// Schema returns the name of what is indexed, as DescribeIndex shows it.
func (c Config) Schema() string {
	c = c.Normal()
	switch {
	case c.ThingIndexingMode == Off:
		return "OFF"
	case c.NamedShadowIndexingMode != Off || c.DeviceDefenderIndexingMode != Off:
		return "MULTI_INDEXING_MODE"
	case c.ThingConnectivityIndexingMode != Off:
		return string(c.ThingIndexingMode) + "_AND_CONNECTIVITY_STATUS"
	}
	return string(c.ThingIndexingMode)
}

// Covers reports whether a field that a query may name is indexed, or could
// be if a thing had it. The empty name stands for terms without a field.
func (c Config) Covers(field string) bool {
	c = c.Normal()
	if c.ThingIndexingMode == Off {
		return false
	}
	first, rest, _ := strings.Cut(field, ".")
	switch first {
	case "", "thingName", "thingId", "thingTypeName", "thingGroupNames", "attributes", "registry":
		return true
	case "connectivity":
		return c.ThingConnectivityIndexingMode == Status
	case "deviceDefender":
		return c.DeviceDefenderIndexingMode == Violations
	case "shadow":
		return c.coversShadow(rest)
	}
	return false
}

// coversShadow is Covers for a field below "shadow", or for all of it when empty.
func (c Config) coversShadow(field string) bool {
	first, rest, _ := strings.Cut(field, ".")
	classic := c.ThingIndexingMode == RegistryAndShadow
	named := c.NamedShadowIndexingMode == On && len(c.Filter.NamedShadowNames) > 0
	switch {
	case first == "":
		return classic || named
	case first != "name":
		return classic
	case rest == "":
		return named
	}
	name, _, _ := strings.Cut(rest, ".")
	return c.coversNamed(name)
}

// coversNamed reports whether the named shadow is indexed.
func (c Config) coversNamed(shadow string) bool {
	return c.NamedShadowIndexingMode == On && slices.Contains(c.Filter.NamedShadowNames, shadow)
}

func invalid(format string, args ...any) error {
	return protocol.Errorf(protocol.InvalidRequest, format, args...)
}
