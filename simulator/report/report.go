// Package report puts a simulation into words: progress while it runs, one
// screen on a terminal and plain lines elsewhere, and in the end thresholds,
// invariants, latencies and counts, as text and as JSON. It owns the wording
// and the exit code and measures nothing but the process itself. Read on in
// progress.go.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/muster-iot/muster/internal/procstat"
	"github.com/muster-iot/muster/simulator"
	"github.com/muster-iot/muster/simulator/load"
	"github.com/muster-iot/muster/simulator/oracle"
)

// Report is how a run went.
type Report struct {
	Scenario string        `json:"scenario"`
	Seed     uint64        `json:"seed"`
	Target   string        `json:"target"`
	Run      string        `json:"run"`
	Began    time.Time     `json:"began"`
	Took     time.Duration `json:"took"`
	// Replay is the command that runs it again.
	Replay string `json:"replay"`
	// Phases are what the run went through, in order.
	Phases     []Phase         `json:"phases,omitempty"`
	Thresholds []Threshold     `json:"thresholds"`
	Invariants []oracle.Result `json:"invariants"`
	Latencies  []load.Summary  `json:"latencies"`
	// Ratio is how many times the floor change -> notify-next took, while late
	// joiners came; zero when no floor was measured.
	Ratio   Ratio            `json:"ratio,omitzero"`
	Counts  simulator.Counts `json:"counts"`
	Process Process          `json:"process"`
}

// Ratio compares two latencies at the median and at the 99th percentile.
type Ratio struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// Phase is one shape of load and how it went.
type Phase struct {
	Name    string        `json:"name"`
	Took    time.Duration `json:"took"`
	Figures []Figure      `json:"figures"`
	// Violations is how many violations of invariants were known at its end.
	Violations int `json:"violations"`
}

// Figure is a number. The unit "s" is seconds; without one the name says what
// is counted.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

func (f Figure) String() string {
	switch {
	case f.Unit == "s":
		return f.Name + " " + round(time.Duration(f.Value*float64(time.Second))).String()
	case f.Value == math.Trunc(f.Value):
		return fmt.Sprintf("%s %.0f", f.Name, f.Value)
	}
	return fmt.Sprintf("%s %.1f", f.Name, f.Value)
}

// Threshold is something that had to hold in the end.
type Threshold struct {
	Name string `json:"name"`
	Want string `json:"want"`
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
}

// Process is what the simulator itself took.
type Process struct {
	// RSS is its resident memory in bytes, 0 when it cannot be told.
	RSS        int64 `json:"rss"`
	Goroutines int   `json:"goroutines"`
}

// Measure looks at the process.
func Measure() Process {
	p := Process{Goroutines: runtime.NumGoroutine()}
	p.RSS, _ = procstat.Memory(os.Getpid())
	return p
}

// The exit codes of a run.
const (
	exitOK        = 0
	exitInvariant = 98
	exitThreshold = 99
)

// ExitCode is 98 when an invariant was violated, 99 when a threshold was
// missed, and 0 otherwise.
func (r *Report) ExitCode() int {
	switch {
	case slices.ContainsFunc(r.Invariants, func(i oracle.Result) bool { return !i.OK() }):
		return exitInvariant
	case slices.ContainsFunc(r.Thresholds, func(t Threshold) bool { return !t.OK }):
		return exitThreshold
	}
	return exitOK
}

// Verdict says in one line how it went.
func (r *Report) Verdict() string {
	switch r.ExitCode() {
	case exitInvariant:
		return "an invariant was violated"
	case exitThreshold:
		return "a threshold was missed"
	}
	return "everything held"
}

// WriteJSON writes the report as one JSON document; times are in nanoseconds.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// violationsShown bounds how many violations of an invariant are printed.
const violationsShown = 3

// Write writes the report as text.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nscenario %s, seed %d, against %s: %s after %s\n", r.Scenario, r.Seed, r.Target, r.Verdict(), round(r.Took))
	r.phases(&b)
	r.thresholds(&b)
	r.invariants(&b)
	r.latencies(&b)
	r.counts(&b)
	if r.Replay != "" {
		fmt.Fprintf(&b, "\nagain: %s\n", r.Replay)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func mark(ok bool) string {
	if ok {
		return "✓"
	}
	return "✗"
}

// table writes rows in columns.
func table(w io.Writer, rows func(w io.Writer)) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows(t)
	_ = t.Flush() // the writer below is in memory
}

func (r *Report) phases(w io.Writer) {
	if len(r.Phases) == 0 {
		return
	}
	fmt.Fprintln(w, "\nPHASES")
	table(w, func(w io.Writer) {
		for _, p := range r.Phases {
			texts := make([]string, len(p.Figures))
			for i, f := range p.Figures {
				texts[i] = f.String()
			}
			fmt.Fprintf(w, "  %s %s\t%s\t%s\n", mark(p.Violations == 0), p.Name, round(p.Took), strings.Join(texts, ", "))
		}
	})
}

func (r *Report) thresholds(w io.Writer) {
	fmt.Fprintln(w, "\nTHRESHOLDS")
	table(w, func(w io.Writer) {
		for _, t := range r.Thresholds {
			fmt.Fprintf(w, "  %s %s\t%s\twanted %s\n", mark(t.OK), t.Name, t.Got, t.Want)
		}
	})
}

func (r *Report) invariants(w io.Writer) {
	fmt.Fprintln(w, "\nINVARIANTS")
	table(w, func(w io.Writer) {
		for _, i := range r.Invariants {
			fmt.Fprintf(w, "  %s %s\t%s\t%d checks\t%d violations\n", mark(i.OK()), i.Name, i.Title, i.Checks, len(i.Violations))
		}
	})
	for _, i := range r.Invariants {
		for n, v := range i.Violations {
			if n == violationsShown {
				fmt.Fprintf(w, "  %s: and %d more\n", i.Name, len(i.Violations)-n)
				break
			}
			fmt.Fprintf(w, "  %s at %s: %s\n", i.Name, v.At.Format("15:04:05.000"), v.What)
			if v.Replay != "" {
				fmt.Fprintf(w, "     again: %s\n", v.Replay)
			}
		}
	}
}

func (r *Report) latencies(w io.Writer) {
	fmt.Fprintln(w, "\nLATENCIES")
	table(w, func(w io.Writer) {
		fmt.Fprintf(w, "  \tcount\tp50\tp99\tmax\n")
		for _, l := range r.Latencies {
			if l.Count == 0 {
				fmt.Fprintf(w, "  %s\t0\t-\t-\t-\n", l.Name)
				continue
			}
			fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\n", l.Name, l.Count, round(l.P50), round(l.P99), round(l.Max))
		}
	})
	if r.Ratio.P50 > 0 {
		fmt.Fprintf(w, "  late joiners: %s is %.1f times the floor at p50, %.1f times at p99\n", simulator.LatencyNotify, r.Ratio.P50, r.Ratio.P99)
	}
}

func (r *Report) counts(w io.Writer) {
	c := r.Counts
	fmt.Fprintln(w, "\nCOUNTS")
	fmt.Fprintf(w, "  %d things, %d connected, %s\n", c.Devices, c.Connected, Versions(c.ByVersion))
	fmt.Fprintf(w, "  %d installs; reports: %d succeeded, %d failed, %d rejected\n", c.Installs, c.Succeeded, c.Failed, c.Rejected)
	fmt.Fprintf(w, "  %d joined the group, %d left it; %d connections dropped, %d power cuts, observer reconnected %d times\n",
		c.Joins, c.Leaves, c.Drops, c.Crashes, max(c.Epochs-1, 0))
	if c.Devices > 0 && r.Process.RSS > 0 {
		fmt.Fprintf(w, "  simulator: %d MB, %d goroutines (%d KB and %.1f for each thing)\n", r.Process.RSS>>20, r.Process.Goroutines,
			r.Process.RSS>>10/int64(c.Devices), float64(r.Process.Goroutines)/float64(c.Devices))
	}
}

// Versions tells how many things run which version, in order of the version.
func Versions(by map[string]int) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(by)) {
		name := v
		if name == "" {
			name = "nothing"
		}
		parts = append(parts, fmt.Sprintf("%d on %s", by[v], name))
	}
	return strings.Join(parts, ", ")
}

// round cuts a duration to what is worth reading.
func round(d time.Duration) time.Duration {
	switch {
	case d > 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
