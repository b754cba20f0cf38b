package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/muster-iot/muster/simulator"
	"github.com/muster-iot/muster/simulator/load"
)

// figures are what is measured and told, and not judged.
type figures struct {
	// idle and busy are the server's resident memory in bytes before any
	// device and in the end, cpu the processor time of all its processes; 0
	// when this system does not tell.
	idle, busy int64
	cpu        time.Duration
	// start is how fast the virtual devices connected at first, back how fast
	// they did after the kill.
	start, back load.Rate
	// late is what was measured while late joiners came, the floor beside it.
	late simulator.Phase
}

// text tells the figures, one line each.
func (f figures) text(took time.Duration, devices int) string {
	lines := []string{fmt.Sprintf("It took %s.", took.Round(100*time.Millisecond))}
	if f.idle > 0 {
		lines[0] += fmt.Sprintf(" musterd used %d MB idle and %d MB with %d devices connected, and %.1f s of processor time.",
			megabytes(f.idle), megabytes(f.busy), devices, f.cpu.Seconds())
	}
	lines = append(lines, fmt.Sprintf("Connects in a second: %s at the start, %s after the kill -9.", rate(f.start), rate(f.back)))
	ours, least := f.late.Latency(simulator.LatencyNotify), f.late.Latency(simulator.LatencyFloor)
	if p50, p99 := f.late.Ratio(); p50 > 0 {
		lines = append(lines, fmt.Sprintf("Late joiners, change to notify-next: p50 %s, p99 %s of %d: %.1f and %.1f times that of a bare MQTT echo beside it (p50 %s, p99 %s of %d).",
			round(ours.P50), round(ours.P99), ours.Count, p50, p99, round(least.P50), round(least.P99), least.Count))
	}
	return strings.Join(lines, "\n")
}

func rate(r load.Rate) string { return fmt.Sprintf("%.0f (at most %d)", r.Mean, r.Peak) }

func megabytes(n int64) int64 { return (n + 1<<19) >> 20 }
