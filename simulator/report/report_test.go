package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/simulator"
	"github.com/muster-iot/muster/simulator/load"
	"github.com/muster-iot/muster/simulator/oracle"
	"github.com/muster-iot/muster/simulator/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sample() *report.Report {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	return &report.Report{
		Scenario: "rollout", Seed: 42, Target: "http://127.0.0.1:8080", Run: "r", Began: at, Took: 12345678901,
		Replay: "muster-sim run --seed=42",
		Phases: []report.Phase{
			{Name: "ramp", Took: 2 * time.Second, Figures: []report.Figure{{Name: "things", Value: 100}, {Name: "connects/s", Value: 49.95}}},
			{Name: "storm", Took: 11 * time.Second, Figures: []report.Figure{{Name: "connect p99", Value: 0.0123456, Unit: "s"}}, Violations: 2},
		},
		Ratio:      report.Ratio{P50: 2.345, P99: 4},
		Thresholds: []report.Threshold{{Name: "on version 6", Want: "100", Got: "100", OK: true}},
		Invariants: []oracle.Result{{Name: oracle.G1, Title: "members are what the query matches", Checks: 7}},
		Latencies: []load.Summary{
			{Name: simulator.LatencyConnect, Count: 100, P50: 1234567, P99: 23456789, Max: 2345678901},
			{Name: simulator.LatencyNotify},
		},
		Counts: simulator.Counts{
			Devices: 100, Connected: 99, ByVersion: map[string]int{"5": 1, "6": 98, "": 1}, Installs: 98, Succeeded: 98, Failed: 1, Drops: 3, Joins: 103, Leaves: 102, Epochs: 2,
		},
		Process: report.Process{RSS: 50 << 20, Goroutines: 1234},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is other than before (-update writes it):\n%s", name, got)
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := sample().Write(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "good.txt", b.String())
	r := sample()
	r.Thresholds[0].OK, r.Thresholds[0].Got = false, "98"
	for range 5 {
		r.Invariants[0].Violations = append(r.Invariants[0].Violations, oracle.Violation{
			Thing: "sim-00007", At: r.Began, What: "group g: query is true of sim-00007, membership is false", Replay: r.Replay,
		})
	}
	b.Reset()
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "bad.txt", b.String())
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := sample().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back report.Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Counts.ByVersion["6"] != 98 || back.Latencies[0].P99 != 23456789 || back.Seed != 42 {
		t.Errorf("read back as %+v", back)
	}
}

func TestExitCode(t *testing.T) {
	violated := []oracle.Violation{{What: "x"}}
	for _, c := range []struct {
		name   string
		change func(*report.Report)
		want   int
	}{
		{"all holds", func(*report.Report) {}, 0},
		{"a threshold is missed", func(r *report.Report) { r.Thresholds[0].OK = false }, 99},
		{"an invariant is violated", func(r *report.Report) { r.Invariants[0].Violations = violated }, 98},
		{"both", func(r *report.Report) { r.Thresholds[0].OK, r.Invariants[0].Violations = false, violated }, 98},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := sample()
			c.change(r)
			if got := r.ExitCode(); got != c.want {
				t.Errorf("exit code %d, want %d", got, c.want)
			}
		})
	}
}

func TestMeasure(t *testing.T) {
	if p := report.Measure(); p.Goroutines < 1 || p.RSS < 0 {
		t.Errorf("the process is %+v", p)
	}
}

// broken is a writer that fails.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no paper") }

func TestWriteFails(t *testing.T) {
	if err := sample().Write(broken{}); err == nil {
		t.Error("a report was written to nowhere")
	}
	if err := sample().WriteJSON(broken{}); err == nil {
		t.Error("a report was written to nowhere")
	}
}

// fleet is one that looks the same at all times.
type fleet struct{ r *report.Report }

func (f fleet) Snapshot() simulator.Counts { return f.r.Counts }
func (f fleet) Latencies() []load.Summary  { return f.r.Latencies }

// TestProgress: lines every five seconds, or a picture four times a second
// that leaves nothing behind.
func TestProgress(t *testing.T) {
	for _, c := range []struct {
		name     string
		terminal bool
		file     string
	}{{"lines", false, "lines.txt"}, {"picture", true, "picture.txt"}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b bytes.Buffer
				p := report.NewProgress(&b, c.terminal)
				ctx, stop := context.WithCancel(context.Background())
				done := make(chan struct{})
				go func() {
					defer close(done)
					p.Follow(ctx, fleet{sample()})
				}()
				p.Say("%d things connect", 100)
				if c.terminal {
					time.Sleep(300 * time.Millisecond)
				} else {
					time.Sleep(11 * time.Second)
				}
				synctest.Wait()
				p.Say("the end")
				stop()
				<-done
				golden(t, c.file, b.String())
			})
		})
	}
}
