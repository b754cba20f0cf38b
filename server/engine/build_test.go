package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/rules"
)

func (f *fleet) requery(name protocol.ThingGroupName, query string) {
	f.Helper()
	do(f, engine.UpdateDynamicGroup{Name: name, Query: &query})
}

// many makes things dev0000 and on, of the versions 0 to 9 in turn.
func (f *fleet) many(n int) {
	f.Helper()
	for i := range n {
		f.thing(protocol.ThingName(fmt.Sprintf("dev%04d", i)), fmt.Sprint(i%10))
	}
}

// TestBuildWhileChangesStream: a group that is built, and built again for
// another query, while things come, change and go, has the members that its
// query says.
func TestBuildWhileChangesStream(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.many(1500)
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		rng := rand.New(rand.NewPCG(1, 2))
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			n := protocol.ThingName(fmt.Sprintf("dev%04d", rng.IntN(1600)))
			version := map[string]string{"softwareVersion": fmt.Sprint(rng.IntN(10))}
			var err error
			switch rng.IntN(6) {
			case 0:
				_, err = engine.Do(context.Background(), f.engine, engine.DeleteThing{Name: n})
			case 1:
				_, err = engine.Do(context.Background(), f.engine, engine.CreateThing{Name: n, Attributes: version})
			default:
				_, err = engine.Do(context.Background(), f.engine, engine.UpdateThing{Name: n, Update: registry.Update{Attributes: version}})
			}
			if protocol.CodeOf(err) == protocol.Unavailable {
				ended <- err
				return
			}
		}
	}()
	do(f, engine.CreateDynamicGroup{Name: "G", Query: "attributes.softwareVersion<5"})
	for round := range 6 {
		f.requery("G", fmt.Sprintf("NOT attributes.softwareVersion:%d", round))
		if round%2 == 0 {
			f.active("G")
		}
	}
	f.active("G")
	close(stop)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	f.check()
}

// TestBuildOfQueryWithoutField: a group's query sees the values of a thing, not
// the names of the dynamic groups that it is in.
func TestBuildOfQueryWithoutField(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.many(600)
	f.group("red", "attributes.softwareVersion:1")
	f.group("any", "red")
	f.group("none", "NOT red")
	want(t, "things with the word", len(f.members("any")), 0)
	want(t, "things without it", len(f.members("none")), 600)
	f.requery("none", "NOT red AND attributes.softwareVersion:1")
	f.active("none")
	want(t, "those of them with version 1", len(f.members("none")), 60)
	found, err := f.search("red")
	want(t, "error", err, nil)
	want(t, "a search sees the group", len(found), 60)
}

// TestBuildForgetsRefused: a thing that had no room for a group, and that its
// new query does not match, does not join when it gets room.
func TestBuildForgetsRefused(t *testing.T) {
	r := rules.Safe()
	r.GroupsPerThing = 1
	f := start(t, nil, r)
	f.thing("dev1", "5")
	f.group("first", "attributes.softwareVersion:5")
	f.group("second", "thingName:dev1")
	want(t, "no room", len(f.members("second")), 0)
	f.requery("second", "thingName:other")
	f.active("second")
	do(f, engine.DeleteDynamicGroup{Name: "first"})
	want(t, "room, but no match", len(f.members("second")), 0)
}

// TestBuildProgress: how far a build is can be seen, and ends with it.
func TestBuildProgress(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.many(3000)
	f.group("G", "attributes.softwareVersion<8")
	f.requery("G", "attributes.softwareVersion>1")
	seen := map[engine.BuildProgress]bool{}
	for status := group.Rebuilding; status != group.Active; {
		f.read(func(v *engine.View) {
			info, err := v.GroupInfo("G")
			if err != nil {
				t.Error(err)
				status = group.Active
				return
			}
			if status = info.Status; info.Build != nil {
				seen[*info.Build] = true
			}
		})
	}
	for p := range seen {
		if p != (engine.BuildProgress{}) && (p.Of != 1200 || p.Scanned > p.Of) {
			t.Errorf("%+v, want at most 1200: the 600 found that are no members and the 600 members that were not found", p)
		}
	}
	want(t, "members", len(f.members("G")), 2400)
}
