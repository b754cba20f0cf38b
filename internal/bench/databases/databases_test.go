package main

import (
	"slices"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/bench/search"
)

// TestMeasure: every engine that is there builds, answers as plain Go does and
// changes; search.Run checks that. No time is judged.
func TestMeasure(t *testing.T) {
	o := search.Options{Devices: 13_000, Rounds: 1, Turn: time.Microsecond, Updates: 200, Batch: 50, Full: 100}
	report, err := measure(t.Context(), o, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range report.Absent {
		t.Log(why)
	}
	for _, name := range []string{"muster", "sqlite"} {
		if !slices.ContainsFunc(report.Engines, func(f search.Figures) bool { return f.Engine == name && f.Size.Rows > 0 && f.Build > 0 }) {
			t.Errorf("there are no figures of %s: %+v", name, report)
		}
	}
	if len(report.Engines)+len(report.Absent) != 3 {
		t.Errorf("%d engines, %d absent", len(report.Engines), len(report.Absent))
	}
}

// TestNoPostgres: without its programs the report says so.
func TestNoPostgres(t *testing.T) {
	if _, err := newPostgres(t.Context(), t.TempDir(), t.TempDir()); err == nil {
		t.Error("a server started out of nothing")
	}
}
