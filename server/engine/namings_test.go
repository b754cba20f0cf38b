package engine_test

import (
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// TestNoDynamicGroupDependsOnAnother, in whichever order they come: a query may
// name a group that there is not yet, but then that one can only be static.
func TestNoDynamicGroupDependsOnAnother(t *testing.T) {
	s := mem.New()
	f := start(t, s, rules.Safe())
	create := func(name protocol.ThingGroupName, query string) engine.CreateDynamicGroup {
		return engine.CreateDynamicGroup{Name: name, Query: query}
	}
	f.group("asks", `NOT thingGroupNames:(later OR "Last")`)
	err := refused(f, create("LATER", "attributes.a:1"), protocol.InvalidRequest)
	if !strings.Contains(err.Error(), `"LATER" cannot be a dynamic one: the query of dynamic thing group "asks" names it`) {
		t.Errorf("the refusal says %v", err)
	}
	f.group("other", "attributes.a:1")
	for _, query := range []string{"thingGroupNames:OTHER", "registry.thingGroupNames:other", "-thingGroupNames:(x OR other)"} {
		refused(f, create("G", query), protocol.InvalidQuery)
		refused(f, engine.UpdateDynamicGroup{Name: "asks", Query: &query}, protocol.InvalidQuery)
	}

	f.stop()
	f = start(t, s, rules.Safe())
	refused(f, create("later", "attributes.a:1"), protocol.InvalidRequest)
	f.static("later", "")
	do(f, engine.DeleteStaticGroup{Name: "later"})
	refused(f, create("later", "attributes.a:1"), protocol.InvalidRequest)

	query := "thingGroupNames:last"
	do(f, engine.UpdateDynamicGroup{Name: "asks", Query: &query})
	f.active("asks")
	f.group("later", "attributes.a:1")
	f.group("Later", "attributes.a:1")
	refused(f, create("last", "attributes.a:1"), protocol.InvalidRequest)
	do(f, engine.DeleteDynamicGroup{Name: "asks"})
	f.group("last", "attributes.a:1")
	do(f, engine.DeleteDynamicGroup{Name: "later"})
	refused(f, create("G", "thingGroupNames:later"), protocol.InvalidQuery) // of Later
	do(f, engine.DeleteDynamicGroup{Name: "Later"})
	f.group("G", "thingGroupNames:later")
}
