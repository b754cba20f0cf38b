package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/mem"
)

// bouncing is a fleet of one device and a group of what is connected and on
// version 5, with a debounce of 30 s and a job.
type bouncing struct{ *fleet }

func startBouncing(t *testing.T, s store.Store, r rules.Rules) bouncing {
	t.Helper()
	f := bouncing{indexed(t, s, r)}
	f.thing("dev1", "5")
	do(f.fleet, engine.CreateDynamicGroup{Name: "V5", Query: seedQuery, Tags: registry.Tags{engine.DebounceTag: "30s"}})
	f.active("V5")
	f.job("j", job.Continuous, groupARN("V5"))
	f.allEvents()
	f.wire.take()
	return f
}

// sees compares what is seen of the membership everywhere; events are those
// since the last time.
func (f bouncing) sees(member bool, events string, execution ...string) {
	f.Helper()
	if got := len(f.members("V5")) == 1; got != member {
		f.Errorf("is a member: %t, want %t", got, member)
	}
	if got := f.found("thingGroupNames:V5"); (len(got) == 1) != member {
		f.Errorf("the search finds %v", got)
	}
	want(f, "events", strings.Join(topics(f.wire.take(), "events/thingGroupMembership/thingGroup/V5/thing/dev1/"), " "), events)
	want(f, "executions", f.executions("dev1", "j"), append([]string{}, execution...))
}

// found are the things that a search finds.
func (f *fleet) found(query string) []string {
	f.Helper()
	all, _, err := engine.Search(f.Context(), f.engine, engine.Question{Query: query}, engine.Page{Max: 100})
	if err != nil {
		f.Fatal(err)
	}
	names := []string{}
	for _, found := range all {
		names = append(names, string(found.Thing()))
	}
	return names
}

// waits compares what explain and describe say of the debounce.
func (f bouncing) waits(until time.Time) {
	f.Helper()
	f.read(func(v *engine.View) {
		x, err := v.ExplainMember("V5", "dev1")
		if waits := x.Reason == engine.MemberDebounce; err != nil || waits == until.IsZero() || !x.Until.Equal(until) {
			f.Errorf("explained %s until %s, %v; want until %s", x.Reason, x.Until, err, until)
		}
		g, err := v.GroupInfo("V5")
		if (g.Debounced == 1) == until.IsZero() || err != nil {
			f.Errorf("described with %d that wait, %v", g.Debounced, err)
		}
	})
}

// TestRule9: a join or leave that connectivity alone caused is carried out
// when it has lasted; a flip back meanwhile has not happened.
func TestRule9(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		synctest.Test(t, func(t *testing.T) {
			f := startBouncing(t, nil, r)
			defer f.stop()
			f.connect("dev1")
			f.waits(time.Now().Add(30 * time.Second))
			f.sees(false, "")
			time.Sleep(29 * time.Second)
			f.sees(false, "")
			time.Sleep(2 * time.Second)
			f.sees(true, "added", "1:QUEUED")
			f.waits(time.Time{})

			for range 5 { // a leave that does not last, again and again
				f.disconnect("dev1", f.session)
				time.Sleep(20 * time.Second)
				f.waits(time.Now().Add(10 * time.Second))
				f.connect("dev1")
				f.waits(time.Time{})
				time.Sleep(20 * time.Second)
			}
			f.connect("dev1") // a take-over
			time.Sleep(time.Minute)
			f.sees(true, "", "1:QUEUED")

			f.disconnect("dev1", f.session)
			time.Sleep(31 * time.Second)
			f.sees(false, "removed", "1:REMOVED")
		})
	})
}

// TestDebounceEnds: what carries a membership that waits out at once, and what does not.
func TestDebounceEnds(t *testing.T) {
	for _, row := range []struct {
		name   string
		do     func(f bouncing)
		member bool
		events string
	}{
		{"a field that the query mentions, with the same answer", func(f bouncing) {
			f.report("dev1", map[string]any{"softwareVersion": "5.0"})
		}, false, "removed"},
		{"a field that it does not mention", func(f bouncing) {
			f.report("dev1", map[string]any{"battery": 9})
		}, true, ""},
		{"a changed query", func(f bouncing) {
			do(f.fleet, engine.UpdateDynamicGroup{Name: "V5", Query: new("connectivity.connected:true")})
			f.active("V5")
		}, false, "removed"},
		{"no debounce any more", func(f bouncing) {
			do(f.fleet, engine.UntagResource{ARN: groupARN("V5"), Keys: []string{engine.DebounceTag}})
		}, true, ""},
		{"another debounce", func(f bouncing) {
			do(f.fleet, engine.SetDebounce{Group: "V5", Debounce: "5s"})
			<-time.After(6 * time.Second)
		}, true, ""},
		{"the thing is deleted", func(f bouncing) {
			do(f.fleet, engine.DeleteThing{Name: "dev1"})
		}, false, "removed"},
		{"the group is deleted", func(f bouncing) {
			do(f.fleet, engine.DeleteDynamicGroup{Name: "V5"})
			do(f.fleet, engine.CreateDynamicGroup{Name: "V5", Query: "thingName:none"})
			f.active("V5")
			<-time.After(time.Minute)
		}, false, "removed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := startBouncing(t, nil, rules.Safe())
				defer f.stop()
				f.connect("dev1")
				time.Sleep(31 * time.Second)
				f.sees(true, "added", "1:QUEUED")
				f.disconnect("dev1", f.session)
				row.do(f)
				if got := len(f.members("V5")) == 1; got != row.member {
					t.Errorf("is a member: %t, want %t", got, row.member)
				}
				want(t, "events", strings.Join(topics(f.wire.take(), "events/thingGroupMembership/thingGroup/V5/thing/dev1/"), " "), row.events)
				time.Sleep(time.Minute)
				if got := f.members("V5"); len(got) > 0 {
					t.Errorf("still a member: %v", got)
				}
			})
		})
	}
}

// TestDebounceWithOtherCause: only connectivity waits.
func TestDebounceWithOtherCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startBouncing(t, nil, rules.Safe())
		defer f.stop()
		f.report("dev1", map[string]any{"softwareVersion": "4"})
		f.connect("dev1")
		f.report("dev1", map[string]any{"softwareVersion": "5"})
		f.sees(true, "added", "1:QUEUED")
		f.report("dev1", map[string]any{"softwareVersion": "6"})
		f.sees(false, "removed", "1:REMOVED")
	})
}

// TestDebounceSurvives: what waits is as durable as a membership, over a
// restart and over the load after a failed commit. What was over while the
// server was down waits for the grace of everything overdue.
func TestDebounceSurvives(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		synctest.Test(t, func(t *testing.T) {
			s := &faulty{Store: mem.New()}
			f := startBouncing(t, s, r)
			defer func() { f.stop() }()
			f.connect("dev1")
			until := time.Now().Add(30 * time.Second)

			broken := errors.New("disk full")
			s.fail.Store(&broken)
			refused(f.fleet, engine.CreateThing{Name: "dev2"}, protocol.Unavailable)
			s.fail.Store(nil)
			f.waits(until)
			time.Sleep(31 * time.Second)
			f.sees(true, "added", "1:QUEUED")

			f.disconnect("dev1", f.session)
			until = time.Now().Add(30 * time.Second)
			f.stop()
			f.fleet = start(t, s, r)
			f.waits(until)
			f.sees(true, "", "1:QUEUED")
			time.Sleep(10 * time.Second)
			f.stop()
			time.Sleep(time.Hour)
			f.fleet = start(t, s, r)
			f.waits(time.Now().Add(r.OverdueGrace))
			f.sees(true, "", "1:QUEUED")
			time.Sleep(r.OverdueGrace + time.Second)
			f.sees(false, "removed", "1:REMOVED")

			f.stop()
			f.fleet = start(t, s, r)
			f.waits(time.Time{})
			f.sees(false, "", "1:REMOVED")
		})
	})
}

// TestDebounceBound: under the bound of groups a thing, a join that waits takes
// no place and a leave that waits gives none away.
func TestDebounceBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rules.AWS()
		r.GroupsPerThing = 2
		s := mem.New()
		f := indexed(t, s, r)
		defer func() { f.stop() }()
		f.thing("dev1", "5")
		do(f, engine.CreateDynamicGroup{Name: "G1", Query: "connectivity.connected:true", Tags: registry.Tags{engine.DebounceTag: "30s"}})
		for _, name := range []protocol.ThingGroupName{"G2", "G3"} {
			time.Sleep(time.Second)
			f.group(name, "attributes.softwareVersion:5")
		}
		in := func(groups ...string) {
			t.Helper()
			var got []string
			f.read(func(v *engine.View) {
				all, _, err := v.GroupsOf("dev1", engine.Page{Max: 10})
				if err != nil {
					t.Error(err)
				}
				for _, g := range all {
					got = append(got, string(g.Name))
				}
			})
			want(t, "groups", got, groups)
		}
		again := func() {
			f.stop()
			f.fleetAgain(s, r)
		}
		in("G2", "G3")
		f.connect("dev1")
		again()
		in("G2", "G3")
		time.Sleep(31 * time.Second)
		in("G2", "G3") // the session of the last run is over, and the join with it
		f.connect("dev1")
		time.Sleep(31 * time.Second)
		in("G1", "G2")
		f.disconnect("dev1", f.session)
		time.Sleep(29 * time.Second)
		in("G1", "G2")
		time.Sleep(2 * time.Second)
		in("G2", "G3")
	})
}

// fleetAgain starts an engine over the same store in place of the last.
func (f *fleet) fleetAgain(s store.Store, r rules.Rules) {
	next := start(f.T, s, r)
	f.engine, f.wire, f.stop = next.engine, next.wire, next.stop
}

// TestSetDebounce: both ways of setting it, and what they refuse.
func TestSetDebounce(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.group("G", "*")
	do(f, engine.CreateStaticGroup{Name: "S"})
	for _, d := range []string{"90s", "1h", "0s"} {
		if got := do(f, engine.SetDebounce{Group: "G", Debounce: d}).Debounce; got != mustDuration(t, d) {
			t.Errorf("set to %s, is %s", d, got)
		}
	}
	f.read(func(v *engine.View) {
		if tags, _, err := v.Tags(groupARN("G"), engine.Page{Max: 10}); len(tags) > 0 || err != nil {
			t.Errorf("tags %v, %v", tags, err)
		}
	})
	do(f, engine.TagResource{ARN: groupARN("G"), Tags: registry.Tags{engine.DebounceTag: "1m", "a": "b"}})
	f.read(func(v *engine.View) {
		if g, err := v.GroupInfo("G"); g.Debounce != time.Minute || err != nil {
			t.Errorf("%s, %v", g.Debounce, err)
		}
	})
	do(f, engine.UntagResource{ARN: groupARN("G"), Keys: []string{engine.DebounceTag}})
	f.read(func(v *engine.View) {
		if g, err := v.GroupInfo("G"); g.Debounce != 0 || err != nil {
			t.Errorf("%s, %v", g.Debounce, err)
		}
	})
	bad := registry.Tags{engine.DebounceTag: "61m"}
	for _, refusal := range []struct {
		err  error
		want string
	}{
		{refused(f, engine.SetDebounce{Group: "G", Debounce: "soon"}, protocol.InvalidRequest), `connectivityDebounce "soon"`},
		{refused(f, engine.SetDebounce{Group: "S", Debounce: "1s"}, protocol.InvalidRequest), "static thing groups"},
		{refused(f, engine.SetDebounce{Group: "nope", Debounce: "1s"}, protocol.NotFound), `"nope"`},
		{refused(f, engine.TagResource{ARN: groupARN("G"), Tags: bad}, protocol.InvalidRequest), `"61m" is not a duration from 0s to 1h`},
		{refused(f, engine.TagResource{ARN: groupARN("S"), Tags: registry.Tags{engine.DebounceTag: "1s"}}, protocol.InvalidRequest), "for dynamic thing groups only"},
		{refused(f, engine.CreateDynamicGroup{Name: "H", Query: "*", Tags: bad}, protocol.InvalidRequest), engine.DebounceTag},
		{refused(f, engine.CreateStaticGroup{Name: "T", Tags: registry.Tags{engine.DebounceTag: "1s"}}, protocol.InvalidRequest), "for dynamic thing groups only"},
	} {
		if !strings.Contains(refusal.err.Error(), refusal.want) {
			t.Errorf("%v, want %s", refusal.err, refusal.want)
		}
	}
}

func mustDuration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
