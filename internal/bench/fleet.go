package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/muster-iot/muster/internal/bench/search"
)

// fleetOptions are the sizes of the part about the fleet index.
type fleetOptions struct {
	search.Options
	databases string // the binary of module databases; empty is without them
	postgres  string // where its programs are; empty is where Debian has them
}

// measureFleet measures searches, beside the databases if they are there.
func measureFleet(ctx context.Context, o fleetOptions) (section, error) {
	var report *search.Report
	var err error
	if o.databases == "" {
		o.Progress = func(what string, took time.Duration) { progress(what, time.Now().Add(-took)) }
		report, err = search.Run(ctx, o.Options, search.NewMuster())
		if report != nil {
			report.Absent = append(report.Absent, "sqlite and postgresql: no -databases BINARY")
		}
	} else {
		report, err = besideDatabases(ctx, o)
	}
	if err != nil {
		return section{}, err
	}
	return section{
		title:   fmt.Sprintf("The fleet index: %d devices", report.Devices),
		figures: fleetFigures(report), rows: fleetRows(report),
	}, nil
}

// besideDatabases lets the other module measure.
func besideDatabases(ctx context.Context, o fleetOptions) (*search.Report, error) {
	args := []string{"-postgres", o.postgres}
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	new(search.Options).Flags(flags)
	given := map[string]string{
		"fleet": strconv.Itoa(o.Devices), "full": strconv.Itoa(o.Full), "turns": strconv.Itoa(o.Rounds), "turn": o.Turn.String(),
		"updates": strconv.Itoa(o.Updates), "batch": strconv.Itoa(o.Batch),
	}
	flags.VisitAll(func(f *flag.Flag) { args = append(args, "-"+f.Name, given[f.Name]) })
	cmd := exec.CommandContext(ctx, o.databases, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has a server to end
	cmd.WaitDelay = 30 * time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.databases, err)
	}
	report := &search.Report{}
	decoder := json.NewDecoder(bytes.NewReader(out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(report); err != nil {
		return nil, fmt.Errorf("%s says %q: %w", o.databases, out, err)
	}
	if len(report.Engines) == 0 {
		return nil, errors.New("no engine was measured")
	}
	return report, nil
}

// fleetFigures puts the engines side by side.
func fleetFigures(r *search.Report) string {
	var b strings.Builder
	for _, why := range r.Absent {
		fmt.Fprintf(&b, "not measured: %s\n", why)
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(what, found string, of func(search.Figures) string) {
		fmt.Fprintf(t, "%s\t%s", what, found)
		for _, f := range r.Engines {
			fmt.Fprintf(t, "\t%s", of(f))
		}
		fmt.Fprintln(t)
	}
	line("", "found", func(f search.Figures) string { return f.Engine })
	for i, q := range r.Engines[0].Queries {
		line(q.Query+": all ids, p50 / p99", strconv.Itoa(q.Found), func(f search.Figures) string { return f.Queries[i].All.String() })
		line("  first 100 by name", "", func(f search.Figures) string { return f.Queries[i].Page.String() })
		line("  new group, until its members are known", "", func(f search.Figures) string { return f.Queries[i].Create.String() })
	}
	line("build: CPU / passed", "", func(f search.Figures) string {
		return fmt.Sprintf("%.1f / %.1f s", f.BuildCPU.Seconds(), f.Build.Seconds())
	})
	line("bytes a device: rows / index", "", func(f search.Figures) string {
		return fmt.Sprintf("%d / %d (%s)", f.Size.Rows/int64(r.Devices), f.Size.Index/int64(r.Devices), f.Size.Note)
	})
	line("connectivity flips: CPU / passed, each", "", func(f search.Figures) string { return fmt.Sprintf("%.1f / %.1f us", f.FlipCPU, f.FlipWall) })
	line("version changes: CPU / passed, each", "", func(f search.Figures) string { return fmt.Sprintf("%.1f / %.1f us", f.ReleaseCPU, f.ReleaseWall) })
	t.Flush()
	return b.String()
}

// fleetRows are the targets. Muster is the first engine.
func fleetRows(r *search.Report) []row {
	own, others := r.Engines[0], r.Engines[1:]
	var rows []row
	slowest := search.Quantiles{}
	for i, q := range own.Queries {
		slowest.P50, slowest.P99 = max(slowest.P50, q.All.P50, q.Page.P50), max(slowest.P99, q.All.P99, q.Page.P99)
		if len(others) == 0 {
			continue
		}
		for _, asked := range []struct {
			what string
			of   func(search.Asked) search.Quantiles
			many bool
		}{
			{"all ids", func(a search.Asked) search.Quantiles { return a.All }, q.Found > 100},
			{"first 100", func(a search.Asked) search.Quantiles { return a.Page }, false},
		} {
			best, name := time.Duration(0), ""
			for _, f := range others {
				if took := asked.of(f.Queries[i]).P50; name == "" || took < best {
					best, name = took, f.Engine
				}
			}
			line := row{what: q.Query[:2] + " " + asked.what + ", p50", floor: name, ratios: []float64{float64(asked.of(q).P50) / float64(best)}}
			if asked.many {
				line.limit = 1
			}
			line.figures = fmt.Sprintf("%d found; %s against %s", q.Found, search.Milliseconds(asked.of(q).P50), search.Milliseconds(best))
			rows = append(rows, line)
		}
	}
	index := float64(own.Size.Index) / float64(r.Devices)
	return append(
		rows,
		row{what: "slowest query, p50", floor: "-", ratios: []float64{float64(slowest.P50) / 1e6}, unit: " ms", limit: 2, figures: "all ids or the first 100"},
		row{what: "slowest query, p99", floor: "-", ratios: []float64{float64(slowest.P99) / 1e6}, unit: " ms", limit: 2, figures: "all ids or the first 100"},
		row{
			what: "index beside the rows, a device", floor: "-", ratios: []float64{index}, unit: " B", limit: 100,
			figures: fmt.Sprintf("rows %d B; with more fields (%d devices) %d B beside rows of %d B", own.Size.Rows/int64(r.Devices),
				r.FullDevices, r.Full.Index/int64(r.FullDevices), r.Full.Rows/int64(r.FullDevices)),
		},
	)
}
