package query_test

import (
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// TestSchemas: each index has its own fields (AWS IoT reference 3.3), and a
// query that names another's is told which field and which query.
func TestSchemas(t *testing.T) {
	for _, c := range []struct {
		name   string
		schema query.Schema
		text   string
		legal  bool
	}{
		{"name of a group", query.ThingGroups, "thingGroupName:oslo*", true},
		{"id of a group", query.ThingGroups, "thingGroupId:x", true},
		{"description", query.ThingGroups, `description:"north of here"`, true},
		{"parents", query.ThingGroups, "parentGroupNames:(a OR b) AND NOT attributes.tier:gold", true},
		{"no field", query.ThingGroups, "gold", true},
		{"version of a group", query.ThingGroups, "version:1", false},
		{"name of a thing, of groups", query.ThingGroups, "thingName:pump", false},
		{"connectivity, of groups", query.ThingGroups, "connectivity.connected:true", false},
		{"group names of a thing, of groups", query.ThingGroups, "thingGroupNames:a", false},
		{"name of a group, of things", query.Things, "thingGroupName:g1", false},
		{"description, of things", query.Things, "description:x", false},
		{"name of a thing", query.Things, "thingName:pump", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := query.ParseFor(c.schema, c.text)
			if c.legal {
				if err != nil {
					t.Error(err)
				}
				return
			}
			field, _, _ := strings.Cut(c.text, ":")
			start := "Unable to parse query, invalid field name, field name: " + field + ", query string: " + c.text
			if protocol.CodeOf(err) != protocol.InvalidQuery || !strings.HasPrefix(err.Error(), start) {
				t.Errorf("%v, want an InvalidQuery that begins %q", err, start)
			}
		})
	}
}
