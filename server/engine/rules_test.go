package engine_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// The tests of this file are one for each rule of docs/rules.md that the
// engine keeps, under both profiles. Rules 5 and 17 have files of their own.

// attribute returns an attribute of a thing, and its version.
func (f *fleet) attribute(n protocol.ThingName, name string) (value string, version int64) {
	f.Helper()
	f.read(func(v *engine.View) {
		th, err := v.Thing(n)
		if err != nil {
			f.Error(err)
		}
		value, version = th.Attributes[name], th.Version
	})
	return value, version
}

// updating is a fleet whose device runs version 5 and is in the middle of its
// update to the signed target of version 6.
func updating(t *testing.T, r rules.Rules) *fleet {
	t.Helper()
	f := indexed(t, nil, r)
	f.thing("dev1", "")
	f.report("dev1", map[string]any{"softwareVersion": "5", "softwareSeq": 50000})
	f.group("V5", seedQuery)
	f.connect("dev1")
	do(f, engine.CreateJob{ID: "app-6", Targets: []string{groupARN("V5")}, Selection: job.Continuous, Document: musterDocument})
	f.startNext("dev1")
	return f
}

// TestRule1 is atomic success: in the safe profile the version comes with
// SUCCEEDED, in the aws profile with the shadow report alone, so that a device
// that loses its connection between the two is asked again.
func TestRule1(t *testing.T) {
	ran6 := jobs.StatusDetails{"softwareVersion": "6", "softwareSeq": "60000"}
	profiles(t, func(t *testing.T, r rules.Rules) {
		f := updating(t, r)
		f.update("dev1", "app-6", jobs.Succeeded, ran6)
		want(t, "members after SUCCEEDED", f.members("V5"), by(r, nil, []protocol.ThingName{"dev1"}))
		version, _ := f.attribute("dev1", "softwareVersion")
		want(t, "attribute after SUCCEEDED", version, by(r, "6", "5"))
		f.disconnect("dev1", f.session)
		f.connect("dev1")
		want(t, "after a flap", f.executions("dev1", "app-6"), by(r, []string{"1:SUCCEEDED"}, []string{"1:SUCCEEDED", "2:QUEUED"}))
		if r.Profile == rules.ProfileAWS {
			f.update("dev1", "app-6", jobs.Succeeded, ran6) // it runs it already
		}
		f.report("dev1", map[string]any{"softwareVersion": "6", "softwareSeq": 60000})
		f.disconnect("dev1", f.session)
		f.connect("dev1")
		want(t, "in the end", f.executions("dev1", "app-6"), by(r, []string{"1:SUCCEEDED"}, []string{"1:SUCCEEDED", "2:SUCCEEDED"}))
		want(t, "members in the end", f.members("V5"), nil)
	})
	t.Run("another version than the target's", func(t *testing.T) {
		profiles(t, func(t *testing.T, r rules.Rules) {
			f := updating(t, r)
			f.update("dev1", "app-6", jobs.Succeeded, jobs.StatusDetails{"softwareVersion": "5", "softwareSeq": "50000"})
			want(t, "executions", f.executions("dev1", "app-6"), by(r, []string{"1:FAILED"}, []string{"1:SUCCEEDED"}))
		})
	})
	t.Run("a device that is not Muster's", func(t *testing.T) {
		version := func(f *fleet) { f.report("dev1", map[string]any{"softwareVersion": "6"}) }
		success := func(f *fleet) { f.update("dev1", "app-6", jobs.Succeeded, nil) }
		for name, steps := range map[string][]func(*fleet){"version first": {version, success}, "success first": {success, version}} {
			t.Run(name, func(t *testing.T) {
				profiles(t, func(t *testing.T, r rules.Rules) {
					f := updating(t, r)
					steps[0](f)
					steps[1](f)
					f.disconnect("dev1", f.session)
					f.connect("dev1")
					want(t, "executions", f.executions("dev1", "app-6"), []string{"1:SUCCEEDED"})
					want(t, "members", f.members("V5"), nil)
				})
			})
		}
	})
}

// TestRule2 is the mirror. It is on in the aws profile too: without it no
// device could change what a query asks for.
func TestRule2(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		f := indexed(t, nil, r)
		own := map[string]string{"site": "oslo", "rack": "7", "color": "red"} // as many as AWS lets an untyped thing have
		do(f, engine.CreateThing{Name: "dev1", Attributes: own})
		set := func(attributes map[string]string) {
			do(f, engine.UpdateThing{Name: "dev1", Update: registry.Update{Attributes: attributes, Merge: true}})
		}
		for _, step := range []struct {
			name      string
			do        func()
			attribute string
			want      string
			version   int64
		}{
			{"a report is copied, beyond the limit of attributes", func() {
				f.report("dev1", map[string]any{"softwareVersion": "5", "softwareSeq": 50000.0, "other": "x"})
			}, "softwareVersion", "5", 1},
			{"numbers keep their text", func() {}, "softwareSeq", "50000", 1},
			{"what is not listed is not copied", func() {}, "other", "", 1},
			{"the operator's own stay", func() {}, "site", "oslo", 1},
			{"an operator writes over it", func() { set(map[string]string{"rack": ""}); set(map[string]string{"softwareVersion": "7"}) }, "softwareVersion", "7", 3},
			{"an unchanged report is copied again", func() { f.report("dev1", map[string]any{"softwareVersion": "5"}) }, "softwareVersion", "5", 3},
			{"what cannot be an attribute is not copied", func() { f.report("dev1", map[string]any{"softwareVersion": "5 5"}) }, "softwareVersion", "5", 3},
			{"null removes what was mirrored", func() { f.report("dev1", map[string]any{"softwareVersion": nil}) }, "softwareVersion", "", 3},
			{"null does not remove what an operator set", func() {
				set(map[string]string{"softwareSeq": "1"})
				f.report("dev1", map[string]any{"softwareSeq": nil})
			}, "softwareSeq", "1", 4},
		} {
			step.do()
			value, version := f.attribute("dev1", step.attribute)
			if value != step.want || version != step.version {
				t.Errorf("%s: %s=%q, version %d; want %q, version %d", step.name, step.attribute, value, version, step.want, step.version)
			}
		}
	})
}

// TestRule3: the counter says "older than".
func TestRule3(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		f := indexed(t, nil, r)
		for n, seq := range map[protocol.ThingName]int{"old": 50000, "new": 60000, "ancient": 9000} {
			f.thing(n, "")
			f.report(n, map[string]any{"softwareSeq": seq})
		}
		f.thing("silent", "")
		f.group("Old", "attributes.softwareSeq<60000")
		members := f.members("Old")
		want(t, "older than 60000", len(members) == 2 && !has(names(members), "new") && !has(names(members), "silent"), true)
	})
}

func names(of []protocol.ThingName) (names []string) {
	for _, n := range of {
		names = append(names, string(n))
	}
	return names
}

// TestRule4: what becomes of an execution in progress.
func TestRule4(t *testing.T) {
	step := func(f *fleet) {
		do(f, engine.StartNext{Thing: "dev1", Request: jobs.StartNextRequest{StepTimeoutInMinutes: new(int64(1))}})
		f.disconnect("dev1", f.session)
	}
	for _, c := range []struct {
		name      string
		do        func(f *fleet)
		after     time.Duration
		then      func(f *fleet)
		safe, aws []string
	}{
		{"its thing leaves the group", func(f *fleet) { f.disconnect("dev1", f.session) }, 0, nil, []string{"1:IN_PROGRESS"}, []string{"1:IN_PROGRESS"}},
		{"its thing is deleted", func(f *fleet) { do(f, engine.DeleteThing{Name: "dev1"}) }, 0, nil, []string{"1:REMOVED"}, []string{"1:REMOVED"}},
		{"its job is canceled", func(f *fleet) { do(f, engine.CancelJob{ID: "app-6"}) }, 0, nil, []string{"1:IN_PROGRESS"}, []string{"1:IN_PROGRESS"}},
		{"its job is canceled with force", func(f *fleet) { do(f, engine.CancelJob{ID: "app-6", Force: true}) }, 0, nil, []string{"1:CANCELED"}, []string{"1:CANCELED"}},
		{"it names a signed target and takes a day", func(*fleet) {}, 24*time.Hour + time.Second, nil, []string{"1:TIMED_OUT"}, []string{"1:TIMED_OUT"}},
		{"it times out while its thing is no member", step, time.Hour, nil, []string{"1:TIMED_OUT"}, []string{"1:TIMED_OUT"}},
		{"its thing comes back after that", step, time.Hour, func(f *fleet) { f.connect("dev1") }, []string{"1:TIMED_OUT"}, []string{"1:TIMED_OUT", "2:QUEUED"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			profiles(t, func(t *testing.T, r rules.Rules) {
				synctest.Test(t, func(t *testing.T) {
					f := updating(t, r)
					defer f.stop()
					c.do(f)
					time.Sleep(c.after)
					if c.then != nil {
						c.then(f)
					}
					want(t, "executions", f.ofJob("app-6"), by(r, c.safe, c.aws))
				})
			})
		})
	}
	t.Run("its timer expires while the server is down", func(t *testing.T) {
		profiles(t, func(t *testing.T, r rules.Rules) {
			synctest.Test(t, func(t *testing.T) {
				s := mem.New()
				f := start(t, s, r)
				f.thing("dev1", "5")
				do(f, engine.CreateJob{ID: "j", Targets: []string{thingARN("dev1")}, Document: "{}", TimeoutMinutes: 1})
				f.startNext("dev1")
				f.stop()
				time.Sleep(time.Hour)
				f = start(t, s, r)
				defer f.stop()
				time.Sleep(5*time.Minute - time.Second)
				want(t, "within 5 minutes", f.executions("dev1", "j"), []string{"1:IN_PROGRESS"})
				time.Sleep(2 * time.Second)
				want(t, "after them", f.executions("dev1", "j"), []string{"1:TIMED_OUT"})
			})
		})
	})
}

// ofJob returns "number:STATUS" of all executions of a job.
func (f *fleet) ofJob(id protocol.JobID) (got []string) {
	f.Helper()
	f.read(func(v *engine.View) {
		all, _, err := v.ExecutionsOfJob(id, engine.Page{Max: 1000}, nil)
		if err != nil {
			f.Error(err)
		}
		for _, x := range all {
			got = append(got, fmt.Sprintf("%d:%s", x.Number, x.Status))
		}
	})
	return got
}

// TestRule5: which ends of an execution are followed by another one when
// connectivity alone brings the thing back. The dwell is in dwell_test.go.
func TestRule5(t *testing.T) {
	status := func(s jobs.ExecutionStatus) func(*fleet) { return func(f *fleet) { f.update("dev1", "j", s, nil) } }
	for _, c := range []struct {
		name      string
		until     func(f *fleet)
		safe, aws []string
	}{
		{"queued", func(*fleet) {}, []string{"1:REMOVED", "2:QUEUED"}, []string{"1:REMOVED", "2:QUEUED"}},
		{"in progress", func(f *fleet) { f.startNext("dev1") }, []string{"1:IN_PROGRESS"}, []string{"1:IN_PROGRESS"}},
		{"succeeded", status(jobs.Succeeded), []string{"1:SUCCEEDED"}, []string{"1:SUCCEEDED", "2:QUEUED"}},
		{"failed", status(jobs.Failed), []string{"1:FAILED"}, []string{"1:FAILED", "2:QUEUED"}},
		{"rejected", status(jobs.Rejected), []string{"1:REJECTED"}, []string{"1:REJECTED", "2:QUEUED"}},
		{"canceled", func(f *fleet) { do(f, engine.CancelExecution{Thing: "dev1", JobID: "j"}) }, []string{"1:CANCELED"}, []string{"1:CANCELED", "2:QUEUED"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			profiles(t, func(t *testing.T, r rules.Rules) {
				f := indexed(t, nil, r)
				f.thing("dev1", "5")
				f.group("V5", seedQuery)
				f.connect("dev1")
				f.job("j", job.Continuous, groupARN("V5"))
				c.until(f)
				f.disconnect("dev1", f.session)
				f.connect("dev1")
				want(t, "executions", f.executions("dev1", "j"), by(r, c.safe, c.aws))
			})
		})
	}
	t.Run("another cause", func(t *testing.T) {
		profiles(t, func(t *testing.T, r rules.Rules) {
			f := updating(t, r)
			f.update("dev1", "app-6", jobs.Failed, nil)
			f.report("dev1", map[string]any{"softwareVersion": "4"})
			f.report("dev1", map[string]any{"softwareVersion": "5"})
			want(t, "executions", f.executions("dev1", "app-6"), []string{"1:FAILED", "2:QUEUED"})
		})
	})
}

// TestRule8: jobs and groups that are being built.
func TestRule8(t *testing.T) {
	fill := func(f *fleet) {
		for n := range 600 {
			f.thing(protocol.ThingName(fmt.Sprintf("dev%04d", n)), by5(n))
		}
	}
	t.Run("jobs wait for ACTIVE, a new query brings a new initial set", func(t *testing.T) {
		profiles(t, func(t *testing.T, r rules.Rules) {
			synctest.Test(t, func(t *testing.T) {
				f := indexed(t, nil, r)
				defer f.stop()
				f.allEvents()
				fill(f)
				do(f, engine.CreateDynamicGroup{Name: "G", Query: "attributes.softwareVersion:5"})
				do(f, engine.CreateJob{ID: "c", Targets: []string{groupARN("G")}, Selection: job.Continuous, Document: "{}", RatePerMinute: 1})
				want(t, "executions while BUILDING", len(f.queuedAt("c")), 0)
				f.active("G")
				want(t, "executions at once", len(f.queuedAt("c")), 1)
				time.Sleep(6 * time.Hour)
				want(t, "executions of all members", len(f.queuedAt("c")), 300)
				f.wire.take()
				query := "attributes.softwareVersion:(5 OR 6)"
				do(f, engine.UpdateDynamicGroup{Name: "G", Query: &query})
				f.active("G")
				want(t, "membership events of the rebuild", len(topics(f.wire.take(), "$aws/events/thingGroupMembership/")), 300)
				want(t, "the new members are under the rate", len(f.queuedAt("c")), 301)
				f.thing("joiner", "5") // rule 10
				want(t, "a joiner", f.executions("joiner", "c"), by(r, []string{}, []string{"1:QUEUED"}))
			})
		})
	})
	t.Run("a field that a group uses stays", func(t *testing.T) {
		profiles(t, func(t *testing.T, r rules.Rules) {
			f := indexed(t, nil, r)
			f.thing("dev1", "5")
			f.group("V5", seedQuery)
			f.job("j", job.Continuous, groupARN("V5"))
			for _, mode := range []index.Config{{ThingIndexingMode: index.Registry}, {ThingIndexingMode: index.Off}} {
				refused(f, engine.UpdateIndexing{Thing: &mode}, protocol.InvalidRequest)
			}
		})
	})
	t.Run("a take-over is no leave", func(t *testing.T) {
		profiles(t, func(t *testing.T, r rules.Rules) {
			f := updating(t, r)
			f.allEvents()
			f.wire.take()
			first := f.session
			f.connect("dev1")
			f.disconnect("dev1", first)
			want(t, "members", f.members("V5"), []protocol.ThingName{"dev1"})
			want(t, "membership events", topics(f.wire.take(), "$aws/events/thingGroupMembership/"), []string{})
			want(t, "executions", f.executions("dev1", "app-6"), []string{"1:IN_PROGRESS"})
		})
	})
}

func by5(n int) string {
	if n%2 == 0 {
		return "5"
	}
	return "6"
}

// TestRule10: whom the rate covers, and the rate of a job that sets none.
func TestRule10(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		synctest.Test(t, func(t *testing.T) {
			f := indexed(t, nil, r)
			defer f.stop()
			f.group("V5", "attributes.softwareVersion:5")
			add := func(name string, n int) {
				for i := range n {
					f.thing(protocol.ThingName(fmt.Sprintf("%s%04d", name, i)), "5")
				}
			}
			add("initial", 3)
			do(f, engine.CreateJob{ID: "slow", Targets: []string{groupARN("V5")}, Selection: job.Continuous, Document: "{}", RatePerMinute: 1})
			f.job("free", job.Continuous, groupARN("V5"))
			add("joiner", 2)
			want(t, "at once under the rate", len(f.queuedAt("slow")), by(r, 1, 3))
			want(t, "at once without a rate", len(f.queuedAt("free")), by(r, 5, 3))
			time.Sleep(time.Second)
			want(t, "a second later without a rate", len(f.queuedAt("free")), 5)
			time.Sleep(5 * time.Minute)
			want(t, "in the end under the rate", len(f.queuedAt("slow")), 5)
			add("many", 1200)
			do(f, engine.CreateJob{ID: "big", Targets: []string{groupARN("V5")}, Document: "{}"})
			time.Sleep(59 * time.Second)
			early := len(f.queuedAt("big"))
			want(t, "within a minute without a rate", early == 1205, by(r, true, false))
			want(t, "no more than 1000 a minute", early > 1000, by(r, true, false))
			time.Sleep(time.Minute)
			want(t, "in the end without a rate", len(f.queuedAt("big")), 1205)
		})
	})
}

// TestRule14: nothing is acknowledged before it is committed.
func TestRule14(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		s := &faulty{Store: mem.New()}
		f := start(t, s, r)
		f.thing("dev1", "5")
		f.job("j", job.Snapshot, thingARN("dev1"))
		f.wire.take()
		broken := errors.New("disk full")
		s.fail.Store(&broken)
		refused(f, engine.UpdateExecution{Thing: "dev1", JobID: "j", Session: 7, Request: jobs.UpdateRequest{Status: jobs.Succeeded}}, protocol.Unavailable)
		refused(f, engine.CreateThing{Name: "dev2"}, protocol.Unavailable)
		want(t, "messages of what was not committed", f.wire.take(), nil)
		s.fail.Store(nil)
		f.recovered()
		want(t, "executions", f.executions("dev1", "j"), []string{"1:QUEUED"})
	})
}

// TestRule15: number and time of queuing tell the executions of a job id apart,
// even when the id is used again.
func TestRule15(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		f := start(t, nil, r)
		f.thing("dev1", "5")
		type identity struct {
			number int64
			queued string
		}
		seen := map[identity]bool{}
		for range 3 {
			f.job("j", job.Snapshot, thingARN("dev1"))
			f.read(func(v *engine.View) {
				x, err := v.Execution("dev1", "j", nil)
				id := identity{x.Number, x.QueuedAt.String()}
				if err != nil || x.Number != 1 || seen[id] {
					t.Errorf("execution %+v, %v; seen before: %v", x, err, seen[id])
				}
				seen[id] = true
			})
			do(f, engine.DeleteJob{ID: "j", Force: true})
		}
	})
}

// TestRule16: the server lets a device run several executions at once.
func TestRule16(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		f := start(t, nil, r)
		f.thing("dev1", "5")
		for _, id := range []protocol.JobID{"a", "b"} {
			f.job(id, job.Snapshot, thingARN("dev1"))
			f.update("dev1", id, jobs.InProgress, nil)
		}
		want(t, "running", append(f.executions("dev1", "a"), f.executions("dev1", "b")...), []string{"1:IN_PROGRESS", "1:IN_PROGRESS"})
	})
}

// TestRule23: the index is on from the first start, or when somebody switches it on.
func TestRule23(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		f := start(t, nil, r)
		f.thing("dev1", "5")
		_, err := f.search("*")
		want(t, "a search at the first start is refused", protocol.CodeOf(err) == protocol.NotFound && err != nil, by(r, false, true))
		if r.Profile == rules.ProfileAWS {
			refused(f, engine.CreateDynamicGroup{Name: "V5", Query: seedQuery}, protocol.NotFound)
		}
		do(f, engine.UpdateIndexing{Thing: &index.Config{ThingIndexingMode: index.Registry}})
		f.indexActive()
		found, err := f.search("attributes.softwareVersion:5")
		if err != nil || len(found) != 1 {
			t.Errorf("found %d, %v", len(found), err)
		}
	})
}

// TestRule26: lists are in the order of creation, not of names.
func TestRule26(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		f := indexed(t, nil, r)
		order := []string{"m", "z", "a", "k"}
		for _, n := range order {
			f.thing(protocol.ThingName(n), "5")
			f.group(protocol.ThingGroupName("G"+n), "attributes.softwareVersion:5")
			f.job(jobID(n), job.Snapshot, thingARN(n))
		}
		var listed [3][]string
		f.read(func(v *engine.View) {
			all := engine.Page{Max: 100}
			things, _, _ := v.Things(all, nil)
			groups, _, _ := v.Groups(all, nil)
			jobs, _, _ := v.Jobs(all, nil)
			for i := range order {
				listed[0] = append(listed[0], string(things[i].Name))
				listed[1] = append(listed[1], string(groups[i].Name)[1:])
				listed[2] = append(listed[2], string(jobs[i].ID))
			}
		})
		want(t, "things, groups and jobs", listed, [3][]string{order, order, order})
	})
}

// TestRule30: a device that was away learns from $next what waits, although
// nothing was kept for its session.
func TestRule30(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		f := start(t, nil, r)
		f.thing("dev1", "5")
		f.disconnect("dev1", f.connect("dev1"))
		f.job("j", job.Snapshot, thingARN("dev1"))
		f.connect("dev1")
		f.read(func(v *engine.View) {
			if x, err := v.Describe("dev1", "$next", nil, true); err != nil || x == nil || x.JobID != "j" {
				t.Errorf("$next is %+v, %v", x, err)
			}
		})
	})
}
