package demo

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/simulator/awsapi"
)

// These tests are inside the package: plan and outcome are nobody else's.

func thingName(i int) protocol.ThingName { return protocol.ThingName(fmt.Sprintf("t%d", i)) }

// good returns a plan of 2 real, 3 virtual and 2 late devices of which one was
// dropped, and an outcome that fulfils it.
func good() (plan, outcome) {
	p := plan{real: 2, virtual: 3, late: 2, dropped: 1, kills: 1, wanted: "6", slow: time.Second, slowTimes: 4}
	o := outcome{
		index: map[protocol.ThingName]string{}, connected: 7,
		disks: map[protocol.ThingName]string{}, installs: map[protocol.ThingName]int{},
		late: []protocol.ThingName{thingName(5), thingName(6)}, dropped: map[protocol.ThingName]bool{thingName(2): true},
		starts: 2, kills: 1, checked: 7, notify: latency{count: 2, p50: time.Millisecond, p99: 2 * time.Millisecond},
	}
	for i := range 7 {
		o.index[thingName(i)], o.disks[thingName(i)], o.installs[thingName(i)] = "6", "6", 1
		o.executions = append(o.executions, executed(i, jobs.Succeeded, 1))
	}
	// The dropped device lost its first execution while it was away.
	o.executions[2].Number = 2
	o.executions = append(o.executions, executed(2, jobs.Removed, 1))
	return p, o
}

func executed(i int, s jobs.ExecutionStatus, n int64) awsapi.Execution {
	return awsapi.Execution{Thing: thingName(i), Status: s, Number: n}
}

func TestJudgePasses(t *testing.T) {
	p, o := good()
	for _, c := range judge(p, o) {
		if !c.ok {
			t.Errorf("%s: seen %s, wanted %s", c.what, c.seen, c.want)
		}
	}
}

// TestJudgeSlowMachine: notifications may take as long as the machine makes a
// bare echo take, and some more.
func TestJudgeSlowMachine(t *testing.T) {
	p, o := good()
	o.floor.p99, o.notify.p99 = time.Second, 3*time.Second
	for _, c := range judge(p, o) {
		if !c.ok {
			t.Errorf("%s: seen %s, wanted %s", c.what, c.seen, c.want)
		}
	}
}

// TestJudgeFails breaks one thing at a time: each row names the line of the
// summary that must notice it.
func TestJudgeFails(t *testing.T) {
	const lost = "no such line"
	noticed := map[string]bool{}
	for name, row := range map[string]struct {
		spoil func(*outcome)
		line  string
	}{
		"a device is missing in the index":   {func(o *outcome) { delete(o.index, thingName(1)) }, "devices in the fleet index"},
		"there is one device too many":       {func(o *outcome) { o.index["stranger"] = "6" }, "devices in the fleet index"},
		"a device is not connected":          {func(o *outcome) { o.connected-- }, "devices connected"},
		"the index has an old version":       {func(o *outcome) { o.index[thingName(1)] = "5" }, "devices on version 6 in the fleet index"},
		"a member stayed":                    {func(o *outcome) { o.members = 1 }, "members left in the group"},
		"a device never succeeded":           {func(o *outcome) { o.executions[1].Status = jobs.Queued }, "devices with exactly one SUCCEEDED execution"},
		"a device succeeded twice":           {func(o *outcome) { o.executions = append(o.executions, executed(1, jobs.Succeeded, 2)) }, "devices with exactly one SUCCEEDED execution"},
		"an execution was lost":              {func(o *outcome) { o.executions = o.executions[1:] }, "devices with exactly one SUCCEEDED execution"},
		"a device failed first":              {func(o *outcome) { o.executions = append(o.executions, executed(1, jobs.Failed, 2)) }, "executions that ended otherwise or not at all"},
		"an execution is still in progress":  {func(o *outcome) { o.executions[1].Status = jobs.InProgress }, "executions that ended otherwise or not at all"},
		"one was removed without a drop":     {func(o *outcome) { o.executions = append(o.executions, executed(1, jobs.Removed, 2)) }, "removed executions of devices that never dropped off"},
		"a late joiner got nothing":          {func(o *outcome) { o.late[0] = "nobody" }, "late joiners that got the job"},
		"someone helped":                     {func(o *outcome) { o.commands = 1 }, "commands given after the job was created"},
		"a disk has the old version":         {func(o *outcome) { o.disks[thingName(0)] = "5" }, "devices on version 6 on their own disks"},
		"a device was installed twice":       {func(o *outcome) { o.installs[thingName(3)] = 2 }, "devices that installed it twice"},
		"a device claims without installing": {func(o *outcome) { o.installs[thingName(3)] = 0 }, "devices that installed it exactly once"},
		"a drop went unseen":                 {func(o *outcome) { o.dropped = nil }, "devices dropped off, as the server saw it"},
		"the server was not killed":          {func(o *outcome) { o.kills = 0 }, "kill -9 of the server"},
		"the server died by itself":          {func(o *outcome) { o.starts = 3 }, "starts of the server"},
		"an invariant is broken":             {func(o *outcome) { o.violations = []string{"G1: t1"} }, "invariants broken"},
		"no invariant was checked":           {func(o *outcome) { o.checked = 0 }, "invariants broken"},
		"notifications are slow":             {func(o *outcome) { o.notify.p99 = time.Second }, "change to notify-next"},
		"notifications are slow on a slow machine": {func(o *outcome) {
			o.floor.p99, o.notify.p99 = time.Second, 4*time.Second
		}, "change to notify-next"},
		"no notification was measured": {func(o *outcome) { o.notify = latency{} }, "change to notify-next"},
	} {
		t.Run(name, func(t *testing.T) {
			p, o := good()
			row.spoil(&o)
			seen := lost
			for _, c := range judge(p, o) {
				if c.what == row.line {
					seen = c.seen
					if c.ok {
						t.Errorf("%s passes: seen %s, wanted %s", c.what, c.seen, c.want)
					}
				}
			}
			if seen == lost {
				t.Errorf("the summary has no line %q", row.line)
			}
			noticed[row.line] = true
		})
	}
	p, o := good()
	for _, c := range judge(p, o) {
		if !noticed[c.what] && c.what != "executions in all" { // the sum of two other lines
			t.Errorf("no row of this test lets %q fail", c.what)
		}
	}
}

func TestSummaryNamesWhatFailed(t *testing.T) {
	p, o := good()
	var out bytes.Buffer
	if err := newScreen(&out, 0).summary(judge(p, o)); err != nil {
		t.Errorf("a good outcome: %v", err)
	}
	if n := strings.Count(out.String(), "✓"); n != len(judge(p, o)) {
		t.Errorf("%d lines are ticked in\n%s", n, &out)
	}
	o.members = 4
	out.Reset()
	err := newScreen(&out, 0).summary(judge(p, o))
	if err == nil || !strings.Contains(err.Error(), "members left in the group: 4 seen, 0 wanted") {
		t.Errorf("4 members left: %v", err)
	}
	if n := strings.Count(out.String(), "✗"); n != 1 {
		t.Errorf("%d lines are crossed in\n%s", n, &out)
	}
}
