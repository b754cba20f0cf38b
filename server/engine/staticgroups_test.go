package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// static makes a group below another one; an empty parent is none.
func (f *fleet) static(name, parent protocol.ThingGroupName) {
	f.Helper()
	do(f, engine.CreateStaticGroup{Name: name, Parent: parent})
}

// move takes a thing out of a group and puts it into another; empty is none.
func (f *fleet) move(n protocol.ThingName, out, in protocol.ThingGroupName) {
	f.Helper()
	do(f, moving(n, out, in))
}

func moving(n protocol.ThingName, out, in protocol.ThingGroupName) engine.MoveThing {
	m := engine.MoveThing{Thing: n}
	if out != "" {
		m.Remove = []protocol.ThingGroupName{out}
	}
	if in != "" {
		m.Add = []protocol.ThingGroupName{in}
	}
	return m
}

// sites makes two floors in a site in a company.
func (f *fleet) sites() {
	f.Helper()
	f.static("company", "")
	f.static("oslo", "company")
	f.static("floor1", "oslo")
	f.static("floor2", "oslo")
}

// TestStaticGroupAsTarget: a continuous job on a group follows its direct and
// indirect members; moving below the group is neither leave nor join.
func TestStaticGroupAsTarget(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.allEvents()
	f.sites()
	f.thing("there", "5")
	f.thing("later", "5")
	f.move("there", "", "floor1")
	f.job("c", job.Continuous, groupARN("company"))
	f.job("s", job.Snapshot, groupARN("oslo"))
	want(t, "there at the creation", [][]string{f.executions("there", "c"), f.executions("there", "s")}, [][]string{{"1:QUEUED"}, {"1:QUEUED"}})

	f.wire.take()
	f.move("later", "", "floor2")
	all := f.wire.take()
	want(t, "joiner", [][]string{f.executions("later", "c"), f.executions("later", "s")}, [][]string{{"1:QUEUED"}, {}})
	want(t, "notified", topics(all, "things/later/jobs/"), []string{"notify", "notify-next"})
	want(t, "events of the join", topics(all, "$aws/events/thingGroupMembership/"), []string{"thingGroup/floor2/thing/later/added"})

	f.update("later", "c", jobs.Succeeded, nil)
	f.wire.take()
	f.move("later", "floor2", "floor1")
	want(t, "moved below the target", f.executions("later", "c"), []string{"1:SUCCEEDED"})
	want(t, "events of the move", topics(f.wire.take(), "$aws/events/"), []string{
		"thingGroupMembership/thingGroup/floor2/thing/later/removed", "thingGroupMembership/thingGroup/floor1/thing/later/added",
	})
	f.move("later", "floor1", "")
	f.move("later", "", "floor1")
	want(t, "out and back", f.executions("later", "c"), []string{"1:SUCCEEDED", "2:QUEUED"})

	f.wire.take()
	f.move("there", "floor1", "")
	want(t, "leaver", [][]string{f.executions("there", "c"), f.executions("there", "s")}, [][]string{{"1:REMOVED"}, {"1:REMOVED"}})
	if got := topics(f.wire.take(), "$aws/events/"); !has(got, "jobExecution/c/removed") || !has(got, "job/s/completed") {
		t.Errorf("events of the leave: %v", got)
	}
	f.update("later", "c", jobs.InProgress, nil)
	f.move("later", "floor1", "")
	want(t, "a running execution is left alone", f.executions("later", "c"), []string{"1:SUCCEEDED", "2:IN_PROGRESS"})
}

// TestTwoWaysIntoAJob: who swaps a static group for a dynamic one in one
// change has not left a job that targets both.
func TestTwoWaysIntoAJob(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.static("in", "")
	f.group("outside", "attributes.softwareVersion:5 AND NOT thingGroupNames:in")
	f.thing("dev1", "5")
	f.job("j", job.Continuous, groupARN("in"), groupARN("outside"))
	for _, step := range [][2]protocol.ThingGroupName{{"", "in"}, {"in", ""}, {"", "in"}} {
		f.move("dev1", step[0], step[1])
		want(t, fmt.Sprintf("after %v", step), f.executions("dev1", "j"), []string{"1:QUEUED"})
	}
	want(t, "members of the dynamic group", f.members("outside"), nil)
}

// TestStaticGroupsInQueries: the index and dynamic groups see the groups of a
// thing and all above them, as they are now.
func TestStaticGroupsInQueries(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.sites()
	f.group("old", "thingGroupNames:OSLO AND attributes.softwareVersion:5")
	f.thing("dev1", "5")
	f.job("j", job.Continuous, groupARN("old"))
	groupsOf := func(query string) (names []string) {
		found, err := f.search(query)
		if err != nil {
			t.Error(err)
		}
		for _, d := range found {
			a, err := d.Answer(d.Groups)
			if err != nil {
				t.Error(err)
			}
			names = append(names, a.ThingGroupNames...)
		}
		return names
	}
	f.move("dev1", "", "floor1")
	want(t, "members", f.members("old"), []protocol.ThingName{"dev1"})
	want(t, "found", groupsOf("thingGroupNames:company"), []string{"company", "floor1", "old", "oslo"})
	want(t, "execution", f.executions("dev1", "j"), []string{"1:QUEUED"})
	f.connect("dev1") // a change of the connectivity keeps the rest of the document
	want(t, "found when connected", groupsOf("connectivity.connected:true"), []string{"company", "floor1", "old", "oslo"})
	do(f, engine.DeleteStaticGroup{Name: "floor1"})
	want(t, "members after the deletion", f.members("old"), nil)
	want(t, "found after the deletion", groupsOf("thingGroupNames:floor1"), nil)
	want(t, "execution after the deletion", f.executions("dev1", "j"), []string{"1:REMOVED"})
	refused(f, engine.CreateDynamicGroup{Name: "G", Query: "thingGroupNames:old"}, protocol.InvalidQuery)
}

// TestStaticGroupEvents: what subscribers are told, to the letter of AWS IoT
// reference 5 but for ids and times.
func TestStaticGroupEvents(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.allEvents()
	f.sites()
	f.thing("dev1", "5")
	f.move("dev1", "", "floor1")
	id := map[string]string{}
	f.read(func(v *engine.View) {
		for _, n := range []protocol.ThingGroupName{"company", "oslo", "floor1"} {
			g, err := v.Group(n)
			if err != nil {
				t.Error(err)
			}
			id[string(n)] = g.ID
		}
	})
	f.wire.take()
	do(f, engine.DeleteStaticGroup{Name: "floor1"})
	all := f.wire.take()
	want(t, "topics", topics(all, "$aws/events/"), []string{
		"thingGroupMembership/thingGroup/floor1/thing/dev1/removed",
		"thingGroupHierarchy/thingGroup/oslo/childThingGroup/floor1/removed",
		"thingGroup/floor1/deleted",
	})
	var hierarchy event.HierarchyChange
	if err := json.Unmarshal([]byte(all[1].payload), &hierarchy); err != nil {
		t.Fatal(err)
	}
	hierarchy.EventID, hierarchy.Timestamp = "", 0
	want(t, "hierarchy event", hierarchy, event.HierarchyChange{
		EventType: "THING_GROUP_HIERARCHY_EVENT", Operation: "REMOVED", AccountID: "123456789012",
		ThingGroupID: id["oslo"], ThingGroupName: "oslo", ChildGroupID: id["floor1"], ChildGroupName: "floor1",
	})
	const above = `"parentGroupName":"oslo","parentGroupId":"%s","description":"","rootToParentThingGroups":` +
		`[{"groupArn":"arn:aws:iot:us-east-1:123456789012:thinggroup/company","groupId":"%s"},` +
		`{"groupArn":"arn:aws:iot:us-east-1:123456789012:thinggroup/oslo","groupId":"%s"}],"attributes":null,"dynamicGroupMappingId":null}`
	if w := fmt.Sprintf(above, id["oslo"], id["company"], id["oslo"]); !strings.HasSuffix(all[2].payload, w) {
		t.Errorf("group event %s\nwant the end %s", all[2].payload, w)
	}
	do(f, engine.UpdateStaticGroup{Name: "company", Description: new("all of it")})
	f.static("floor1", "oslo")
	want(t, "topics of update and creation", topics(f.wire.take(), "$aws/events/"), []string{
		"thingGroup/company/updated", "thingGroup/floor1/created", "thingGroupHierarchy/thingGroup/oslo/childThingGroup/floor1/added",
	})
	f.move("dev1", "", "floor2")
	f.wire.take()
	do(f, engine.DeleteThing{Name: "dev1"})
	want(t, "topics of the thing's end", topics(f.wire.take(), "$aws/events/"), []string{
		"thingGroupMembership/thingGroup/floor2/thing/dev1/removed", "thing/dev1/deleted",
	})
	f.thing("dev1", "5")
	want(t, "members that come back under their name", f.members("floor2"), nil)
}

// attempt returns only what went wrong.
func attempt[R any](f *fleet, in engine.Input[R]) error {
	_, err := engine.Do(context.Background(), f.engine, in)
	return err
}

func TestStaticGroupRules(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.sites()
	f.static("other", "")
	f.group("dynamic", "attributes.softwareVersion:5")
	f.thing("dev1", "5")
	f.move("dev1", "", "floor1")
	for _, c := range []struct {
		what string
		err  error
		want protocol.Code
	}{
		{"another parent", attempt(f, engine.CreateStaticGroup{Name: "floor1", Parent: "company"}), protocol.AlreadyExists},
		{"the name of a dynamic group", attempt(f, engine.CreateStaticGroup{Name: "dynamic"}), protocol.AlreadyExists},
		{"a dynamic group with the name of a static one", attempt(f, engine.CreateDynamicGroup{Name: "oslo", Query: "attributes.a:1"}), protocol.AlreadyExists},
		{"no parent", attempt(f, engine.CreateStaticGroup{Name: "x", Parent: "nobody"}), protocol.NotFound},
		{"a dynamic parent", attempt(f, engine.CreateStaticGroup{Name: "x", Parent: "dynamic"}), protocol.InvalidRequest},
		{"no name", attempt(f, engine.CreateStaticGroup{Name: "a b"}), protocol.InvalidRequest},
		{"children", attempt(f, engine.DeleteStaticGroup{Name: "oslo"}), protocol.InvalidRequest},
		{"another version", attempt(f, engine.DeleteStaticGroup{Name: "floor2", ExpectedVersion: new(int64(2))}), protocol.VersionConflict},
		{"static update of a dynamic group", attempt(f, engine.UpdateStaticGroup{Name: "dynamic"}), protocol.InvalidRequest},
		{"static delete of a dynamic group", attempt(f, engine.DeleteStaticGroup{Name: "dynamic"}), protocol.InvalidRequest},
		{"dynamic update of a static group", attempt(f, engine.UpdateDynamicGroup{Name: "oslo"}), protocol.InvalidRequest},
		{"dynamic delete of a static group", attempt(f, engine.DeleteDynamicGroup{Name: "oslo"}), protocol.InvalidRequest},
		{"into a dynamic group", attempt(f, moving("dev1", "", "dynamic")), protocol.InvalidRequest},
		{"out of a dynamic group", attempt(f, moving("dev1", "dynamic", "")), protocol.InvalidRequest},
		{"no group", attempt(f, moving("dev1", "", "nobody")), protocol.NotFound},
		{"out of no group", attempt(f, moving("dev1", "nobody", "other")), protocol.NotFound},
		{"no thing", attempt(f, moving("nobody", "", "other")), protocol.NotFound},
		{"two of a hierarchy", attempt(f, moving("dev1", "", "floor2")), protocol.InvalidRequest},
		{"parent and child", attempt(f, moving("dev1", "", "company")), protocol.InvalidRequest},
		{"in and out", attempt(f, moving("dev1", "floor1", "floor1")), protocol.InvalidRequest},
	} {
		if protocol.CodeOf(c.err) != c.want {
			t.Errorf("%s: error %v, want code %s", c.what, c.err, c.want)
		}
	}
	if err := refused(f, moving("dev1", "", "dynamic"), protocol.InvalidRequest); err.Error() != "This operation does not support dynamic thing groups. Thing group arn: "+groupARN("dynamic") {
		t.Errorf("message %q", err)
	}
	f.move("dev1", "", "floor1")
	f.move("dev1", "floor2", "other")
	want(t, "members", [][]protocol.ThingName{f.members("floor1"), f.members("other"), f.members("oslo")}, [][]protocol.ThingName{{"dev1"}, {"dev1"}, nil})
	do(f, engine.DeleteStaticGroup{Name: "nobody"})

	g := do(f, engine.CreateStaticGroup{Name: "props", Description: "d", Attributes: map[string]string{"a": "1", "b": ""}, Tags: registry.Tags{"k": "v"}})
	again := do(f, engine.CreateStaticGroup{Name: "props", Description: "d", Attributes: map[string]string{"a": "1"}})
	want(t, "created again", again.ID, g.ID)
	g = do(f, engine.UpdateStaticGroup{Name: "props", Attributes: map[string]string{"c": "3"}, MergeAttributes: true, ExpectedVersion: new(int64(1))})
	want(t, "updated", []any{g.Version, g.Description, g.Attributes}, []any{2, "d", map[string]string{"a": "1", "c": "3"}})
	do(f, engine.DeleteStaticGroup{Name: "props", ExpectedVersion: new(int64(2))})
	f.read(func(v *engine.View) {
		if _, err := v.Group("props"); protocol.CodeOf(err) != protocol.NotFound {
			t.Errorf("deleted group: %v", err)
		}
	})
}

// TestGroupsPerThing is the limit of AWS IoT reference 4.3.
func TestGroupsPerThing(t *testing.T) {
	r := rules.Safe()
	r.GroupsPerThing = 3
	s := mem.New()
	f := start(t, s, r)
	f.allEvents()
	for _, n := range []protocol.ThingGroupName{"s1", "s2", "s3", "s4"} {
		f.static(n, "")
	}
	f.thing("dev1", "5")
	f.move("dev1", "", "s1")
	for _, n := range []protocol.ThingGroupName{"d1", "d2", "d3"} {
		f.group(n, "attributes.softwareVersion:5")
	}
	in := func(what string, groups ...protocol.ThingGroupName) {
		t.Helper()
		var names []protocol.ThingGroupName
		f.read(func(v *engine.View) {
			all, _, err := v.GroupsOf("dev1", engine.Page{Max: 20})
			if err != nil {
				t.Error(err)
			}
			for _, g := range all {
				names = append(names, g.Name)
			}
		})
		want(t, what, names, groups)
	}
	in("the newest does not fit", "s1", "d1", "d2")
	refused(f, moving("dev1", "", "s2"), protocol.InvalidRequest)
	override := moving("dev1", "", "s2")
	override.OverrideDynamic = true
	f.wire.take()
	do(f, override)
	in("overridden", "s1", "s2", "d1")
	want(t, "events", topics(f.wire.take(), "$aws/events/thingGroupMembership/thingGroup/"), []string{"s2/thing/dev1/added", "d2/thing/dev1/removed"})
	f.move("dev1", "s2", "s3") // as many as before
	in("swapped", "s1", "s3", "d1")
	f.stop()

	f = start(t, s, r)
	in("after a restart", "s1", "s3", "d1")
	do(f, engine.DeleteDynamicGroup{Name: "d1"})
	in("room for a group that was refused before the restart", "s1", "s3", "d2")
	f.move("dev1", "s1", "")
	in("room for another", "s3", "d2", "d3")
	override.Add = []protocol.ThingGroupName{"s1", "s2", "s4"}
	refused(f, override, protocol.InvalidRequest) // static groups alone are too many
	do(f, engine.UpdateThing{Name: "dev1", Update: registry.Update{Attributes: map[string]string{"softwareVersion": "6"}}})
	in("no query matches", "s3")
}

// TestStaticGroupsAcrossRestart: hierarchy, members and what jobs know of them,
// also of groups that were made in one moment.
func TestStaticGroupsAcrossRestart(t *testing.T) { synctest.Test(t, staticGroupsAcrossRestart) }

func staticGroupsAcrossRestart(t *testing.T) {
	s := mem.New()
	f := start(t, s, rules.Safe())
	f.static("z-root", "")
	f.static("a-child", "z-root") // comes first by name, and must not by place
	f.static("0-grandchild", "a-child")
	f.group("old", "thingGroupNames:z-root")
	f.thing("dev1", "5")
	f.thing("dev2", "5")
	f.move("dev1", "", "0-grandchild")
	f.job("j", job.Continuous, groupARN("a-child"))
	f.stop()

	f = start(t, s, rules.Safe())
	defer f.stop()
	want(t, "members of the query", f.members("old"), []protocol.ThingName{"dev1"})
	f.move("dev1", "0-grandchild", "")
	want(t, "left after the restart", f.executions("dev1", "j"), []string{"1:REMOVED"})
	f.move("dev2", "", "0-grandchild")
	want(t, "joined after the restart", f.executions("dev2", "j"), []string{"1:QUEUED"})
	refused(f, engine.DeleteStaticGroup{Name: "a-child"}, protocol.InvalidRequest)
	want(t, "members of the query", f.members("old"), []protocol.ThingName{"dev2"})
}
