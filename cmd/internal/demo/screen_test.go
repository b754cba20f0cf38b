package demo

import (
	"bytes"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol/jobs"
)

func shownProgress() progress {
	return progress{
		things: 10, connected: 9, group: true, members: 4, job: true,
		executions: map[jobs.ExecutionStatus]int{jobs.InProgress: 3, jobs.Succeeded: 6, jobs.TimedOut: 1},
		versions:   map[string]int{"5": 4, "6": 6},
	}
}

func TestProgressText(t *testing.T) {
	const want = "connected 9/10 | in group 4 | queued 0  in progress 3  succeeded 6  timed out 1 | v5 4 | v6 6"
	if got := shownProgress().text(); got != want {
		t.Errorf("progress reads\n%s, want\n%s", got, want)
	}
	if got := (progress{down: true}).text(); got != "musterd does not answer" {
		t.Errorf("progress without a server reads %q", got)
	}
}

// TestScreenRedraws looks at what is sent to a terminal: a block goes away
// before anything else is printed, and none of its lines wraps.
func TestScreenRedraws(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out, 50)
	p := shownProgress()
	s.progress(p)
	lines := len(p.block())
	if n := strings.Count(out.String(), "\n"); n != lines {
		t.Errorf("the block has %d lines, %d were printed", lines, n)
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n >= 50 {
			t.Errorf("a line of %d characters on a terminal of 50: %q", n, line)
		}
	}
	out.Reset()
	s.step("next")
	if !strings.HasPrefix(out.String(), "\x1b[5A\r\x1b[J") {
		t.Errorf("a step does not clear the block: %q", out.String())
	}
	out.Reset()
	s.progress(p)
	s.settle()
	s.line("end")
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("a settled block is cleared: %q", out.String())
	}
}

func TestScreenWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out, 0)
	s.step("one")
	for range 3 {
		s.progress(shownProgress())
	}
	s.note("done")
	if strings.Contains(out.String(), "\x1b") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("output is not a step, one line of progress and a note:\n%q", out.String())
	}
}

func TestBar(t *testing.T) {
	for _, row := range []struct{ n, total, full int }{
		{0, 0, 0}, {0, 10, 0}, {1, 1000, 1}, {5, 10, barWidth / 2}, {10, 10, barWidth}, {11, 10, barWidth},
	} {
		b := bar(row.n, row.total)
		if full := strings.Count(b, "█"); full != row.full || len([]rune(b)) != barWidth {
			t.Errorf("bar(%d, %d) = %s", row.n, row.total, b)
		}
	}
}
