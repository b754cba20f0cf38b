package query

import (
	"slices"
	"strings"

	"github.com/muster-iot/muster/protocol"
)

// Schema says which index a query asks: fields are called otherwise in each.
type Schema int

const (
	// Things is the schema of AWS_Things.
	Things Schema = iota
	// ThingGroups is the schema of AWS_ThingGroups.
	ThingGroups
)

// firstSegments are the beginnings of all field names of an index (AWS IoT
// reference 3.3), sorted.
func (s Schema) firstSegments() []string {
	if s == ThingGroups {
		return []string{"attributes", "description", "parentGroupNames", "thingGroupId", "thingGroupName"}
	}
	return []string{
		"attributes", "connectivity", "deviceDefender", "registry", "shadow",
		"thingGroupNames", "thingId", "thingName", "thingTypeName",
	}
}

// resolveField returns the field that a name in a query stands for: the name
// itself, or what the aggregation spelling is an alias of.
func resolveField(name string) string {
	switch name {
	case "registry.thingTypeName":
		return "thingTypeName"
	case "registry.thingGroupNames":
		return "thingGroupNames"
	}
	return name
}

// checkField refuses names whose first segment is unknown. What lies below a
// known one is free: an unknown path is legal and matches nothing.
func (s Schema) checkField(name string, column int, source string) error {
	first, _, _ := strings.Cut(name, ".")
	if slices.Contains(s.firstSegments(), first) {
		return nil
	}
	return protocol.Errorf(protocol.InvalidQuery,
		"Unable to parse query, invalid field name, field name: %s, query string: %s (column %d; field names are case-sensitive and begin with one of %s)",
		clip(name), clip(source), column, strings.Join(s.firstSegments(), ", "))
}

// clip shortens user text for a message.
func clip(s string) string { return protocol.Clip(s, 200) }

// InFieldless reports whether values of the field can decide a term without a
// field: all but those of connectivity can.
func InFieldless(field string) bool {
	return !strings.HasPrefix(field, "connectivity.")
}
