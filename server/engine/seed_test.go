package engine_test

import (
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/registry"
	"github.com/muster-iot/muster/server/rules"
)

// TestSeedFlow is the acceptance scenario of AWS IoT reference 13 at the
// engine. It reads the same under both profiles.
func TestSeedFlow(t *testing.T) { profiles(t, seedFlow) }

func seedFlow(t *testing.T, r rules.Rules) {
	f := indexed(t, nil, r)
	f.allEvents()
	f.thing("pump-17", "5")
	f.group("V5", seedQuery)
	want(t, "members before connect", f.members("V5"), nil)

	f.wire.take()
	s1 := f.connect("pump-17")
	want(t, "events of the connect", topics(f.wire.take(), "$aws/events/"), []string{
		"presence/connected/pump-17", "thingGroupMembership/thingGroup/V5/thing/pump-17/added",
	})
	want(t, "members", f.members("V5"), []protocol.ThingName{"pump-17"})

	f.job("fw-6", job.Continuous, groupARN("V5"))
	want(t, "first job", topics(f.wire.take(), "things/pump-17/jobs/"), []string{"notify", "notify-next"})
	want(t, "executions", f.executions("pump-17", "fw-6"), []string{"1:QUEUED"})

	x := f.startNext("pump-17")
	want(t, "version after start", x.VersionNumber, 2)
	f.update("pump-17", "fw-6", jobs.InProgress, jobs.StatusDetails{"step": "flash"})
	want(t, "start and progress are silent", topics(f.wire.take(), "things/pump-17/jobs/"), []string{})

	do(f, engine.UpdateThing{Name: "pump-17", Update: registry.Update{Attributes: map[string]string{"softwareVersion": "6"}}})
	want(t, "left", f.members("V5"), nil)
	want(t, "running execution is left alone", f.executions("pump-17", "fw-6"), []string{"1:IN_PROGRESS"})

	f.wire.take()
	f.update("pump-17", "fw-6", jobs.Succeeded, nil)
	all := f.wire.take()
	want(t, "end of the job", topics(all, "things/pump-17/jobs/"), []string{"notify", "notify-next"})
	want(t, "event of the end", topics(all, "$aws/events/"), []string{"jobExecution/fw-6/succeeded"})
	for _, s := range all {
		if strings.HasSuffix(s.topic, "/notify") && !strings.Contains(s.payload, `"jobs":{}`) {
			t.Errorf("notify of an empty queue is %s", s.payload)
		}
		if strings.HasSuffix(s.topic, "/notify-next") && strings.Contains(s.payload, "execution") {
			t.Errorf("notify-next of an empty queue is %s", s.payload)
		}
	}
	f.read(func(v *engine.View) {
		j, err := v.Job("fw-6")
		if err != nil || j.Status != job.InProgress || j.Counts[jobs.Succeeded] != 1 {
			t.Errorf("job after the success: %+v, %v", j, err)
		}
	})

	// A late joiner gets the job with no further command.
	f.thing("pump-18", "5")
	s2 := f.connect("pump-18")
	want(t, "late joiner", f.executions("pump-18", "fw-6"), []string{"1:QUEUED"})

	// It drops off before it starts, and comes back.
	f.wire.take()
	f.disconnect("pump-18", s2)
	want(t, "dropped", f.executions("pump-18", "fw-6"), []string{"1:REMOVED"})
	if got := topics(f.wire.take(), "$aws/events/"); !has(got, "jobExecution/fw-6/removed") {
		t.Errorf("events of the drop: %v", got)
	}
	f.connect("pump-18")
	want(t, "back", f.executions("pump-18", "fw-6"), []string{"1:REMOVED", "2:QUEUED"})

	// An updated device that reconnects gets nothing.
	f.disconnect("pump-17", s1)
	f.connect("pump-17")
	want(t, "updated device", f.executions("pump-17", "fw-6"), []string{"1:SUCCEEDED"})

	f.wire.take()
	do(f, engine.CancelJob{ID: "fw-6"})
	want(t, "canceled", f.executions("pump-18", "fw-6"), []string{"1:REMOVED", "2:CANCELED"})
	want(t, "notify after cancel", topics(f.wire.take(), "things/pump-18/jobs/"), []string{"notify", "notify-next"})
	f.thing("pump-19", "5")
	f.connect("pump-19")
	want(t, "joiner of a canceled job", f.executions("pump-19", "fw-6"), []string{})

	query := "connectivity.connected:true AND attributes.softwareVersion:6"
	do(f, engine.UpdateDynamicGroup{Name: "V5", Query: &query})
	f.active("V5")
	want(t, "members of the new query", f.members("V5"), []protocol.ThingName{"pump-17"})
}

// TestAtomicSuccess is rule 1: execution, shadow, attribute and leave are one step.
func TestAtomicSuccess(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.allEvents()
	f.thing("dev1", "")
	f.report("dev1", map[string]any{"softwareVersion": "5", "softwareSeq": 50000})
	f.group("V5", seedQuery)
	s := f.connect("dev1")
	do(f, engine.CreateJob{ID: "app-6", Targets: []string{groupARN("V5")}, Selection: job.Continuous, Document: musterDocument})
	f.startNext("dev1")

	f.wire.take()
	f.update("dev1", "app-6", jobs.Succeeded, jobs.StatusDetails{"softwareVersion": "6", "softwareSeq": "60000"})
	want(t, "members", f.members("V5"), nil)
	want(t, "executions", f.executions("dev1", "app-6"), []string{"1:SUCCEEDED"})
	all := f.wire.take()
	if got := topics(all, "$aws/events/"); !has(got, "thingGroupMembership/thingGroup/V5/thing/dev1/removed") {
		t.Errorf("events: %v", got)
	}
	if got := topics(all, "things/dev1/"); !has(got, "shadow/update/accepted") || got[len(got)-1] != "jobs/notify-next" {
		t.Errorf("messages: %v", got)
	}
	f.read(func(v *engine.View) {
		th, err := v.Thing("dev1")
		if err != nil || th.Attributes["softwareVersion"] != "6" || th.Attributes["softwareSeq"] != "60000" || th.Version != 1 {
			t.Errorf("thing: %+v, %v", th, err)
		}
	})
	// The report that follows is an idempotent repeat, a flap brings nothing.
	f.report("dev1", map[string]any{"softwareVersion": "6", "softwareSeq": 60000})
	f.disconnect("dev1", s)
	f.connect("dev1")
	want(t, "after a flap", f.executions("dev1", "app-6"), []string{"1:SUCCEEDED"})
}

func TestVerifyReported(t *testing.T) {
	for _, c := range []struct {
		name    string
		details jobs.StatusDetails
		want    string
	}{
		{"as wanted", jobs.StatusDetails{"softwareVersion": "6", "softwareSeq": "60000"}, "1:SUCCEEDED"},
		{"another version", jobs.StatusDetails{"softwareVersion": "5", "softwareSeq": "60000"}, "1:FAILED"},
		{"another counter", jobs.StatusDetails{"softwareVersion": "6", "softwareSeq": "50000"}, "1:FAILED"},
		{"another counter alone", jobs.StatusDetails{"softwareSeq": "50000"}, "1:FAILED"},
		{"another version alone", jobs.StatusDetails{"softwareVersion": "5"}, "1:FAILED"},
		{"another version, as long as details may be", jobs.StatusDetails{"softwareVersion": strings.Repeat("5", 1024)}, "1:FAILED"},
		{"the version alone", jobs.StatusDetails{"softwareVersion": "6"}, "1:SUCCEEDED"},
		{"a device that reports none", nil, "1:SUCCEEDED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, nil, rules.Safe())
			f.thing("dev1", "5")
			do(f, engine.CreateJob{ID: "app-6", Targets: []string{thingARN("dev1")}, Document: musterDocument})
			f.startNext("dev1")
			f.update("dev1", "app-6", jobs.Succeeded, c.details)
			want(t, "executions", f.executions("dev1", "app-6"), []string{c.want})
		})
	}
}

// TestAtomicSuccessOfAnyDocument: whoever says the version with SUCCEEDED has said it.
func TestAtomicSuccessOfAnyDocument(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.thing("dev1", "5")
	f.job("fw-6", job.Snapshot, thingARN("dev1"))
	f.update("dev1", "fw-6", jobs.Succeeded, jobs.StatusDetails{"softwareVersion": "6"})
	f.read(func(v *engine.View) {
		if th, err := v.Thing("dev1"); err != nil || th.Attributes["softwareVersion"] != "6" {
			t.Errorf("thing: %+v, %v", th, err)
		}
	})
}

// TestVersionOfProgress: details that are kept from a progress report say
// nothing about what the device runs when it has succeeded.
func TestVersionOfProgress(t *testing.T) {
	f := start(t, nil, rules.Safe())
	f.thing("dev1", "")
	f.job("fw-6", job.Snapshot, thingARN("dev1"))
	f.update("dev1", "fw-6", jobs.InProgress, jobs.StatusDetails{"softwareVersion": "5"})
	f.report("dev1", map[string]any{"softwareVersion": "6"})
	f.update("dev1", "fw-6", jobs.Succeeded, nil)
	f.read(func(v *engine.View) {
		if th, err := v.Thing("dev1"); err != nil || th.Attributes["softwareVersion"] != "6" {
			t.Errorf("thing: %+v, %v", th, err)
		}
	})
}

// TestOrderOfVersionAndSuccess: devices that are not Muster's report the
// version before or after SUCCEEDED; both must end with one execution.
func TestOrderOfVersionAndSuccess(t *testing.T) {
	version := func(f *fleet) { f.report("dev1", map[string]any{"softwareVersion": "6"}) }
	success := func(f *fleet) { f.update("dev1", "fw-6", jobs.Succeeded, nil) }
	for name, steps := range map[string][]func(*fleet){
		"version first": {version, success},
		"success first": {success, version},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, nil, rules.Safe())
			f.thing("dev1", "")
			f.report("dev1", map[string]any{"softwareVersion": "5"})
			f.group("V5", seedQuery)
			s := f.connect("dev1")
			f.job("fw-6", job.Continuous, groupARN("V5"))
			f.startNext("dev1")
			steps[0](f)
			// The device loses its connection between the two.
			f.disconnect("dev1", s)
			f.connect("dev1")
			steps[1](f)
			want(t, "executions", f.executions("dev1", "fw-6"), []string{"1:SUCCEEDED"})
			want(t, "members", f.members("V5"), nil)
		})
	}
}
