package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// commits is the benchmark of durable commits, which lives with the store and
// brings its floor along.
func commits(ctx context.Context, _ servers, o options) ([]row, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=^BenchmarkCommit$/^writers=128$",
		"-benchtime=20000x", "-count="+strconv.Itoa(o.rounds), "./server/store/pebble")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	metric := func(unit string) (values []float64) {
		for _, m := range regexp.MustCompile(`([0-9.e+]+) `+unit).FindAllSubmatch(out, -1) {
			if v, err := strconv.ParseFloat(string(m[1]), 64); err == nil {
				values = append(values, v)
			}
		}
		return values
	}
	r := row{what: "durable commits of a row, 128 writers", floor: "raw group-committed log", ratios: metric("store/log"), limit: 0.5, atLeast: true}
	store, log := metric("store-rows/s"), metric("log-rows/s")
	if len(r.ratios) != o.rounds || len(store) == 0 || len(log) == 0 {
		return nil, fmt.Errorf("the benchmark printed no figures: %s", out)
	}
	r.figures = fmt.Sprintf("%.0f/s against %.0f/s", median(store), median(log))
	return []row{r}, nil
}
