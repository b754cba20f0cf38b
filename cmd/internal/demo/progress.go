package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/muster-iot/muster/protocol/jobs"
)

// progress is the state of the fleet as the server's API shows it.
type progress struct {
	// down is set while the server does not answer; the rest is then old.
	down      bool
	things    int
	connected int
	// group is set once the dynamic group exists, job once the job does.
	group   bool
	members int
	job     bool
	// executions counts things by the status of their latest execution.
	executions map[jobs.ExecutionStatus]int
	// versions counts things by the version in the fleet index.
	versions map[string]int
}

// shown are the statuses that are always shown, others only when there are any.
var shown = [...]jobs.ExecutionStatus{jobs.Queued, jobs.InProgress, jobs.Succeeded}

// given counts the things that have an execution.
func (p progress) given() (n int) {
	for _, things := range p.executions {
		n += things
	}
	return n
}

// statuses describes the executions.
func (p progress) statuses() string {
	var parts []string
	for _, s := range shown {
		parts = append(parts, fmt.Sprintf("%s %d", label(s), p.executions[s]))
	}
	for _, s := range jobs.Statuses {
		if n := p.executions[s]; n > 0 && !slices.Contains(shown[:], s) {
			parts = append(parts, fmt.Sprintf("%s %d", label(s), n))
		}
	}
	return strings.Join(parts, "  ")
}

func label(s jobs.ExecutionStatus) string {
	return strings.ToLower(strings.ReplaceAll(string(s), "_", " "))
}

// text is the state in one line.
func (p progress) text() string {
	if p.down {
		return "musterd does not answer"
	}
	parts := []string{fmt.Sprintf("connected %d/%d", p.connected, p.things)}
	if p.group {
		parts = append(parts, fmt.Sprintf("in group %d", p.members))
	}
	if p.job {
		parts = append(parts, p.statuses())
	}
	for _, v := range p.known() {
		parts = append(parts, fmt.Sprintf("v%s %d", v, p.versions[v]))
	}
	return strings.Join(parts, " | ")
}

// block is the state in lines for a terminal.
func (p progress) block() []string {
	server := "up"
	if p.down {
		server = "DOWN"
	}
	lines := []string{fmt.Sprintf("server %-5s connected %d of %d", server, p.connected, p.things)}
	for _, v := range p.known() {
		lines = append(lines, fmt.Sprintf("version %-4s %s %d", v, bar(p.versions[v], p.things), p.versions[v]))
	}
	if p.group {
		lines = append(lines, fmt.Sprintf("group       %d members", p.members))
	}
	if p.job {
		lines = append(lines, "executions  "+p.statuses())
	}
	return lines
}

// known lists the versions, in order, those of the demo always.
func (p progress) known() []string {
	all := slices.Collect(maps.Keys(p.versions))
	for _, v := range []string{"5", "6"} {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	slices.Sort(all)
	return all
}

// barWidth is the width of a full bar.
const barWidth = 40

// bar draws n of total.
func bar(n, total int) string {
	full := 0
	if total > 0 {
		full = min(barWidth, n*barWidth/total)
	}
	if n > 0 && full == 0 {
		full = 1
	}
	return strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
}
