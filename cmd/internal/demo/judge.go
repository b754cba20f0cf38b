package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/simulator/awsapi"
)

// plan is what a demo did; what must have come of it follows from it.
type plan struct {
	// real, virtual and late count the devices: processes, those that were
	// there from the start, and those that came after the job.
	real, virtual, late int
	// dropped and kills count the faults.
	dropped, kills int
	// wanted is the version that every device ends with.
	wanted string
	// slow is how long a notification may take at the 99th percentile; on a
	// machine on which a bare echo is slow as well, slowTimes that.
	slow      time.Duration
	slowTimes int
}

func (p plan) devices() int { return p.real + p.virtual + p.late }

// outcome is what was seen at the end, by several witnesses.
type outcome struct {
	// index is the version of every thing in the server's fleet index,
	// connected the number of those that are.
	index     map[protocol.ThingName]string
	connected int
	// disks is the version on every device's own disk, and installs how often
	// the device made that version the running one.
	disks    map[protocol.ThingName]string
	installs map[protocol.ThingName]int
	// executions are all of the job's, as the server lists them.
	executions []awsapi.Execution
	// late lists the late joiners, dropped the devices that the server saw
	// disconnect when the connections were cut.
	late    []protocol.ThingName
	dropped map[protocol.ThingName]bool
	// commands counts what was asked of the server, other than reading, after
	// the job was created.
	commands int
	// members is the size of the dynamic group.
	members int
	// starts and kills count processes of the server.
	starts, kills int
	// checked counts the invariants that were checked, violations describe
	// what contradicts them.
	checked    int
	violations []string
	// notify is the time from a change to notify-next, floor that of a bare
	// echo beside it.
	notify, floor latency
}

// latency summarises times.
type latency struct {
	count    int64
	p50, p99 time.Duration
}

// check is one line of the summary.
type check struct {
	what, want, seen string
	ok               bool
}

// judge compares an outcome with a plan.
func judge(p plan, o outcome) []check {
	return slices.Concat(judgeFleet(p, o), judgeExecutions(p, o), judgeDevices(p, o), judgeFaults(p, o), judgeTimes(p, o))
}

func number(what string, want, seen int) check {
	return check{what: what, want: fmt.Sprint(want), seen: fmt.Sprint(seen), ok: want == seen}
}

func judgeFleet(p plan, o outcome) []check {
	updated := 0
	for _, v := range o.index {
		if v == p.wanted {
			updated++
		}
	}
	return []check{
		number("devices in the fleet index", p.devices(), len(o.index)),
		number("devices connected", p.devices(), o.connected),
		number("devices on version "+p.wanted+" in the fleet index", p.devices(), updated),
		number("members left in the group", 0, o.members),
	}
}

// judgeExecutions counts what the server made of the job: each device
// succeeded once, and besides that an execution may only have been removed,
// because its device had dropped off before it began.
func judgeExecutions(p plan, o outcome) []check {
	succeeded := map[protocol.ThingName]int{}
	removed, other, strangers := 0, map[jobs.ExecutionStatus]int{}, 0
	for _, x := range o.executions {
		switch {
		case x.Status == jobs.Succeeded:
			succeeded[x.Thing]++
		case x.Status == jobs.Removed && o.dropped[x.Thing]:
			removed++
		case x.Status == jobs.Removed:
			strangers++
		default:
			other[x.Status]++
		}
	}
	late := 0
	for _, name := range o.late {
		if succeeded[name] == 1 {
			late++
		}
	}
	return []check{
		number("devices with exactly one SUCCEEDED execution", p.devices(), exactly(succeeded, 1)),
		{
			what: "executions in all", want: fmt.Sprintf("%d + removed", p.devices()),
			seen: fmt.Sprintf("%d + %d removed", len(o.executions)-removed, removed), ok: len(o.executions)-removed == p.devices(),
		},
		{
			what: "removed executions of devices that never dropped off", want: "0",
			seen: fmt.Sprint(strangers), ok: strangers == 0,
		},
		{what: "executions that ended otherwise or not at all", want: "none", seen: tally(other), ok: len(other) == 0},
		number("late joiners that got the job", p.late, late),
		number("commands given after the job was created", 0, o.commands),
	}
}

func judgeDevices(p plan, o outcome) []check {
	updated := 0
	for _, v := range o.disks {
		if v == p.wanted {
			updated++
		}
	}
	doubled := 0
	for _, n := range o.installs {
		if n > 1 {
			doubled++
		}
	}
	return []check{
		number("devices on version "+p.wanted+" on their own disks", p.devices(), updated),
		number("devices that installed it exactly once", p.devices(), exactly(o.installs, 1)),
		number("devices that installed it twice", 0, doubled),
	}
}

func judgeFaults(p plan, o outcome) []check {
	broken := fmt.Sprintf("0 of %d", o.checked)
	if len(o.violations) > 0 {
		broken = fmt.Sprintf("%d, the first: %s", len(o.violations), o.violations[0])
	}
	return []check{
		number("devices dropped off, as the server saw it", p.dropped, len(o.dropped)),
		number("kill -9 of the server", p.kills, o.kills),
		number("starts of the server", p.kills+1, o.starts),
		{what: "invariants broken", want: fmt.Sprintf("0 of %d", max(1, o.checked)), seen: broken, ok: o.checked > 0 && len(o.violations) == 0},
	}
}

func judgeTimes(p plan, o outcome) []check {
	slow := max(p.slow, time.Duration(p.slowTimes)*o.floor.p99)
	return []check{{
		what: "change to notify-next", want: fmt.Sprintf("p99 < %s", round(slow)),
		seen: fmt.Sprintf("p50 %s, p99 %s of %d", round(o.notify.p50), round(o.notify.p99), o.notify.count),
		ok:   o.notify.count > 0 && o.notify.p99 < slow,
	}}
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// exactly counts the things with that number.
func exactly(counts map[protocol.ThingName]int, n int) int {
	things := 0
	for _, c := range counts {
		if c == n {
			things++
		}
	}
	return things
}

func tally(counts map[jobs.ExecutionStatus]int) string {
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[s], s))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
