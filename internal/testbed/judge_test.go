package testbed_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muster-iot/muster/internal/testbed"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
)

// fleet is a bed with its machines, operated and judged through the engine.
type fleet struct {
	t        *testing.T
	bed      *testbed.Bed
	machines []*machine
}

func do[R any](f *fleet, in engine.Input[R]) {
	f.t.Helper()
	if _, err := engine.Do(f.t.Context(), f.bed.Engine(), in); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) createGroup(name protocol.ThingGroupName, query string) {
	f.t.Helper()
	do(f, engine.CreateDynamicGroup{Name: name, Query: query})
}

func (f *fleet) createJob(id protocol.JobID, group, product, version string, seq int64, rate int) {
	f.t.Helper()
	do(f, engine.CreateJob{
		ID: id, Targets: []string{"arn:aws:iot:us-east-1:123456789012:thinggroup/" + group}, Selection: job.Continuous, RatePerMinute: rate,
		Document: fmt.Sprintf(`{"muster":1,"operation":"install","product":%q,"target":"%s/%s-%s.tar.zst","version":%q,"seq":%d}`,
			product, product, product, version, version, seq),
	})
}

// wantUpdated wants every machine to have installed both products once, with
// one execution of each job that SUCCEEDED, after any number that were REMOVED, and
// nothing more when its connection brings it back into the targets (rule 5); and it
// wants nobody left in the group.
func (f *fleet) wantUpdated(group protocol.ThingGroupName, ids ...protocol.JobID) {
	f.t.Helper()
	runs := map[protocol.JobID]map[protocol.ThingName][]job.Execution{}
	for _, id := range ids {
		runs[id] = map[protocol.ThingName][]job.Execution{}
	}
	err := engine.Read(f.t.Context(), f.bed.Engine(), func(v *engine.View) error {
		members, _, err := v.Members(group, false, engine.Page{Max: 1000})
		if err != nil {
			return err
		}
		if len(members) > 0 {
			f.t.Errorf("group %s still has %v", group, members)
		}
		for id, of := range runs {
			all, _, err := v.ExecutionsOfJob(id, engine.Page{Max: 100_000}, func(job.Execution) bool { return true })
			if err != nil {
				return err
			}
			for _, x := range all {
				of[x.Thing] = append(of[x.Thing], x)
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	removed, flaps := 0, 0
	for _, m := range f.machines {
		name := protocol.ThingName(m.name)
		m.mu.Lock()
		installed, running := slices.Sorted(slices.Values(m.installed)), m.running.Version
		flaps += m.flaps
		m.mu.Unlock()
		if strings.Join(installed, ", ") != "app 6, config 1" || running != "6" {
			f.t.Errorf("%s installed %q and runs %q", m.name, installed, running)
		}
		for id, of := range runs {
			if problem := broken(of[name]); problem != "" {
				f.t.Errorf("%s, %s: %s", m.name, id, problem)
			}
			removed += len(of[name]) - 1
		}
	}
	f.t.Logf("%d devices, cut off %d times; %d executions were removed because a device was gone", len(f.machines), flaps, removed)
	if flaps < 5*len(f.machines) {
		f.t.Errorf("only %d cuts: the day is too quiet to show anything", flaps)
	}
}

// broken says what is wrong with the executions of one job on one thing.
func broken(run []job.Execution) string {
	slices.SortFunc(run, func(a, b job.Execution) int { return int(a.Number - b.Number) })
	var statuses []jobs.ExecutionStatus
	for i, x := range run {
		statuses = append(statuses, x.Status)
		want := jobs.Removed
		if i == len(run)-1 {
			want = jobs.Succeeded
		}
		if x.Number != int64(i+1) || x.Status != want {
			return fmt.Sprintf("execution %d is number %d and %s after %v", i+1, x.Number, x.Status, statuses)
		}
	}
	if len(run) == 0 {
		return "no execution"
	}
	return ""
}
