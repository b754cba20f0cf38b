package report

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/muster-iot/muster/simulator"
	"github.com/muster-iot/muster/simulator/load"
)

// Fleet is what progress is shown of.
type Fleet interface {
	Snapshot() simulator.Counts
	Latencies() []load.Summary
}

// Progress shows what is going on. On a terminal the last lines are a picture
// that is redrawn four times a second; elsewhere there is one line every five
// seconds.
type Progress struct {
	w        io.Writer
	terminal bool
	began    time.Time

	mu    sync.Mutex
	drawn int // lines of the picture
}

// NewProgress shows progress on a writer.
func NewProgress(w io.Writer, terminal bool) *Progress {
	return &Progress{w: w, terminal: terminal, began: time.Now()}
}

// Quiet shows nothing.
func Quiet() *Progress { return NewProgress(io.Discard, false) }

// Say prints a line about what happens next.
func (p *Progress) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintf(p.w, "%s  %s\n", p.elapsed(), fmt.Sprintf(format, args...))
}

func (p *Progress) elapsed() string { return fmt.Sprintf("%6.1fs", time.Since(p.began).Seconds()) }

// Follow shows a fleet until ctx ends.
func (p *Progress) Follow(ctx context.Context, f Fleet) {
	every := 5 * time.Second
	if p.terminal {
		every = time.Second / 4
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			p.mu.Lock()
			p.erase()
			p.mu.Unlock()
			return
		case <-ticker.C:
			p.show(f.Snapshot(), f.Latencies())
		}
	}
}

func (p *Progress) show(c simulator.Counts, latencies []load.Summary) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		fmt.Fprintf(p.w, "%s  %s%s\n", p.elapsed(), Line(c), notify(latencies))
		return
	}
	p.erase()
	lines := picture(c, latencies)
	fmt.Fprint(p.w, strings.Join(lines, "\n")+"\n")
	p.drawn = len(lines)
}

// erase takes the picture off the terminal.
func (p *Progress) erase() {
	for ; p.drawn > 0; p.drawn-- {
		fmt.Fprint(p.w, "\x1b[1A\x1b[2K")
	}
}

// Line is a fleet in one line.
func Line(c simulator.Counts) string {
	return fmt.Sprintf("connected %d/%d, %s, updating %d, succeeded %d, failed %d, joined %d, left %d",
		c.Connected, c.Devices, Versions(c.ByVersion), c.Updating, c.Succeeded, c.Failed+c.Rejected, c.Joins, c.Leaves)
}

func notify(latencies []load.Summary) string {
	for _, l := range latencies {
		if l.Name == simulator.LatencyNotify && l.Count > 0 {
			return fmt.Sprintf(", %s p50 %s p99 %s", l.Name, round(l.P50), round(l.P99))
		}
	}
	return ""
}

// barWidth is that of a full bar, in characters.
const barWidth = 40

func bar(n, of int) string {
	full := 0
	if of > 0 {
		full = min(n*barWidth/of, barWidth)
	}
	return strings.Repeat("█", full) + strings.Repeat("·", barWidth-full)
}

func picture(c simulator.Counts, latencies []load.Summary) []string {
	lines := []string{
		fmt.Sprintf("  connected %s %d/%d", bar(c.Connected, c.Devices), c.Connected, c.Devices),
		fmt.Sprintf("  succeeded %s %d/%d, updating %d, failed %d", bar(c.Succeeded, c.Devices), c.Succeeded, c.Devices, c.Updating, c.Failed+c.Rejected),
		fmt.Sprintf("  %s; joined %d, left %d; dropped %d, crashed %d", Versions(c.ByVersion), c.Joins, c.Leaves, c.Drops, c.Crashes),
	}
	for _, l := range latencies {
		if l.Count > 0 {
			lines = append(lines, fmt.Sprintf("  %-22s %6d  p50 %-10s p99 %-10s max %s", l.Name, l.Count, round(l.P50), round(l.P99), round(l.Max)))
		}
	}
	return lines
}
