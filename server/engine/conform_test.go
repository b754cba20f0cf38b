package engine_test

import (
	"fmt"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/rules"
)

// TestListsAreInOrderOfCreation: rule 26 holds for the members of groups,
// small and large, and for the groups of a thing, page by page.
func TestListsAreInOrderOfCreation(t *testing.T) {
	f := start(t, nil, rules.Safe())
	for _, name := range []protocol.ThingGroupName{"large", "few", "also"} {
		f.group(name, map[protocol.ThingGroupName]string{
			"large": "attributes.softwareVersion:*", "few": "attributes.softwareVersion:5", "also": "thingName:first-*",
		}[name])
	}
	var all, few []protocol.ThingName
	for i := range 60 {
		n, version := protocol.ThingName(fmt.Sprintf("thing-%02d", 59-i)), "6"
		if i == 0 {
			n = "first-1"
		}
		if i%30 == 0 {
			version = "5"
			few = append(few, n)
		}
		f.thing(n, version)
		all = append(all, n)
	}
	for _, row := range []struct {
		group protocol.ThingGroupName
		size  int
		want  []protocol.ThingName
	}{{"large", 7, all}, {"large", 60, all}, {"few", 1, few}, {"few", 2, few}} {
		var got []protocol.ThingName
		page := engine.Page{Max: row.size}
		for more := true; more; more = page.After != "" {
			f.read(func(v *engine.View) {
				names, next, err := v.Members(row.group, false, page)
				if err != nil {
					f.Error(err)
				}
				got, page.After = append(got, names...), next
			})
		}
		want(f, fmt.Sprintf("members of %s by %d", row.group, row.size), got, row.want)
	}
	var names []protocol.ThingGroupName
	page := engine.Page{Max: 2}
	for more := true; more; more = page.After != "" {
		f.read(func(v *engine.View) {
			groups, next, err := v.GroupsOf("first-1", page)
			if err != nil {
				f.Error(err)
			}
			for _, g := range groups {
				names = append(names, g.Name)
			}
			page.After = next
		})
	}
	want(f, "groups of a thing", names, []protocol.ThingGroupName{"large", "few", "also"})
}

func TestGroupDefinitionsAreChecked(t *testing.T) {
	f := start(t, nil, rules.Safe())
	refused(f, engine.CreateDynamicGroup{Name: "Self", Query: "attributes.a:1 OR thingGroupNames:self"}, protocol.InvalidQuery)
	f.group("G", "attributes.a:1")
	refused(f, engine.UpdateDynamicGroup{Name: "G", IndexName: "Other"}, protocol.InvalidRequest)
	refused(f, engine.UpdateDynamicGroup{Name: "G", QueryVersion: "2018-01-01"}, protocol.InvalidRequest)
	want(f, "version", do(f, engine.UpdateDynamicGroup{Name: "G", IndexName: engine.IndexName, QueryVersion: engine.QueryVersion}).Version, int64(2))
}

// TestGroupAttributes: they follow the merge rules of things.
func TestGroupAttributes(t *testing.T) {
	f := start(t, nil, rules.Safe())
	many := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("a%d", i)] = "1"
		}
		return m
	}
	create := engine.CreateDynamicGroup{Name: "G", Query: "attributes.a:1", Attributes: map[string]string{"a": "", "b": "1"}}
	g := do(f, create)
	want(f, "attributes", g.Attributes, map[string]string{"b": "1"})
	create.Attributes = map[string]string{"b": "1"}
	want(f, "same group", do(f, create).ID, g.ID)

	refused(f, engine.CreateDynamicGroup{Name: "H", Query: "attributes.a:1", Attributes: many(51)}, protocol.InvalidRequest)
	refused(f, engine.UpdateDynamicGroup{Name: "G", Description: new("lost"), Attributes: many(50), MergeAttributes: true}, protocol.InvalidRequest)
	g = do(f, engine.UpdateDynamicGroup{Name: "G", Attributes: map[string]string{"b": "", "c": "2"}, MergeAttributes: true})
	want(f, "merged", g.Attributes, map[string]string{"c": "2"})
	want(f, "version and description", []any{g.Version, g.Description}, []any{int64(2), ""})
	want(f, "replaced", len(do(f, engine.UpdateDynamicGroup{Name: "G", Attributes: many(50)}).Attributes), 50)
	want(f, "emptied", len(do(f, engine.UpdateDynamicGroup{Name: "G", Attributes: map[string]string{}}).Attributes), 0)
}

// TestCreateJobAgain: the request is the same whatever region its ARNs name
// (rule 27), and also when a target is gone meanwhile.
func TestCreateJobAgain(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.thing("a", "5")
	f.group("G", "attributes.softwareVersion:5")
	first := f.job("j", job.Continuous, groupARN("G"), thingARN("a"))
	elsewhere := engine.CreateJob{ID: "j", Selection: job.Continuous, Document: first.Document, Targets: []string{
		"arn:aws:iot:ap-south-1:123456789012:thinggroup/G", "arn:aws:iot:eu-west-3:123456789012:thing/a",
	}}
	want(f, "targets from elsewhere", do(f, elsewhere).Targets, []string{groupARN("G"), thingARN("a")})
	do(f, engine.DeleteDynamicGroup{Name: "G"})
	want(f, "creation", do(f, elsewhere).CreatedAt, first.CreatedAt)
	elsewhere.Description = "another"
	refused(f, elsewhere, protocol.AlreadyExists)
	elsewhere.ID = "new"
	refused(f, elsewhere, protocol.NotFound)
}

func TestForcedCancelKeepsTheReason(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.thing("a", "5")
	f.job("j", job.Snapshot, thingARN("a"))
	do(f, engine.CancelJob{ID: "j", ReasonCode: "BAD_BUILD", Comment: "it does not boot"})
	j := do(f, engine.CancelJob{ID: "j", Force: true})
	want(f, "reason", []string{j.ReasonCode, j.Comment}, []string{"BAD_BUILD", "it does not boot"})
}

// TestReconfiguredBackAndForth: a rebuild that a newer configuration has ended
// stays ended when the one after that equals its own.
func TestReconfiguredBackAndForth(t *testing.T) {
	f := start(t, nil, rules.Safe())
	const things = 3000
	for i := range things {
		f.thing(protocol.ThingName(fmt.Sprintf("dev%04d", i)), "5")
	}
	without, with := index.Config{ThingIndexingMode: index.Registry}, index.Config{ThingIndexingMode: index.Registry, ThingConnectivityIndexingMode: index.Status}
	for _, c := range []index.Config{without, with, without} {
		do(f, engine.UpdateIndexing{Thing: &c})
	}
	f.group("G", "connectivity.connected:false")
	found, err := f.search("connectivity.connected:false")
	want(f, "error", err, nil)
	want(f, "things with connectivity", len(found), 0)
	f.read(func(v *engine.View) {
		g, err := v.Group("G")
		want(f, "error", err, nil)
		want(f, "status", g.Status, group.Active)
	})
	want(f, "members", len(f.members("G")), 0)
}
