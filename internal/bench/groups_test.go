package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/bench/matching"
	"github.com/muster-iot/muster/internal/bench/search"
)

func TestGroupsFlags(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		bad  string
	}{
		{"all parts", []string{"-muster", "m"}, ""},
		{"one part", []string{"-parts", "search"}, ""},
		{"an unknown part", []string{"-parts", "search,disco"}, "disco"},
		{"no binary", []string{"-parts", "stream"}, "-muster"},
		{"no devices", []string{"-muster", "m", "-devices", "0"}, "positive"},
		{"more flips than changes", []string{"-muster", "m", "-flips", "1.5"}, "at most 1"},
		{"sizes that are none", []string{"-parts", "match", "-sizes", "100"}, "GROUPSxDEVICES"},
		{"an argument", []string{"-muster", "m", "quickly"}, "quickly"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := groupsFlags(c.args)
			if got := err == nil; got != (c.bad == "") || err != nil && !strings.Contains(err.Error(), c.bad) {
				t.Errorf("error %v, want one with %q", err, c.bad)
			}
		})
	}
}

// TestGroups prints the table at a small size: every part runs, its own checks
// hold, and every row has a figure. No time is judged.
func TestGroups(t *testing.T) {
	muster := filepath.Join(t.TempDir(), "muster")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", muster, "../../cmd/muster").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := groupsOptions{
		parts:  []string{"match", "search", "stream"},
		match:  matchOptions{sizes: []matchSize{{200, 1000}}, rounds: 1},
		fleet:  fleetOptions{Options: search.Options{Devices: 2000, Full: 100, Rounds: 1, Turn: time.Microsecond, Updates: 100, Batch: 50}},
		stream: streamOptions{muster: muster, devices: 200, groups: 100, rate: 400, flips: 0.3, span: 2 * time.Second},
	}
	var b strings.Builder
	if err := groupsTable(t.Context(), o, &b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"memberships a change", "Q1 connected", "new group", "slowest query, p99", "index beside the rows", "change to membership event, p99", "memberships checked"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, b.String())
		}
	}
}

// TestMatchRows: the targets speak of certain sizes only.
func TestMatchRows(t *testing.T) {
	of := func(groups int, tenants bool, muster, floor, naive time.Duration) matched {
		return matched{matchSize{groups, someDevices}, tenants, 1, map[string]time.Duration{matching.Muster: muster, matching.Floor: floor, matching.Naive: naive}}
	}
	var b strings.Builder
	printTable(&b, matchRows([]matched{of(100, false, 1, 1, 1), of(10_000, false, 600, 100, 90_000), of(10_000, true, 500, 100, 40_000), of(100_000, true, 2000, 1, 1)}))
	got := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"one fleet naive 150.00x 150.00-150.00 >= 100x met", "one fleet known answers 6.00x 6.00-6.00 <= 5x MISSED",
		"tenants naive 80.00x 80.00-80.00 >= 100x MISSED", "tenants known answers 5.00x 5.00-5.00 -", "tenants 10k groups 4.00x 4.00-4.00 <= 4x met",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// TestBesideDatabases: the figures of several engines become rows; only the
// queries that find more than a hundred have to be faster.
func TestBesideDatabases(t *testing.T) {
	figures := func(engine string, took time.Duration) search.Figures {
		q := search.Quantiles{P50: took, P99: took}
		return search.Figures{Engine: engine, Size: search.Size{Rows: 1000, Index: 500, Note: "heap"}, Queries: []search.Asked{
			{Query: "Q1 many", Found: 101, All: q, Page: q, Create: q}, {Query: "Q2 few", Found: 100, All: q, Page: q, Create: q},
		}}
	}
	r := &search.Report{
		Devices: 10, FullDevices: 10, Absent: []string{"oracle: nobody asked"},
		Engines: []search.Figures{figures("muster", 3*time.Millisecond), figures("slow", 4*time.Millisecond), figures("fast", time.Millisecond)},
	}
	var b strings.Builder
	printTable(&b, fleetRows(r))
	for _, want := range []string{"Q1 all ids, p50 fast 3.00x 3.00-3.00 <= 1x MISSED", "Q2 all ids, p50 fast 3.00x 3.00-3.00 - 100 found", "50.00 B 50.00-50.00 <= 100 B met"} {
		if got := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if got := fleetFigures(r); !strings.Contains(got, "not measured: oracle: nobody asked") || !strings.Contains(got, "4 ms / 4 ms") {
		t.Errorf("figures:\n%s", got)
	}
}

// TestDatabases: the module of the databases still fits package search. It is
// compiled only where its modules have been downloaded already.
func TestDatabases(t *testing.T) {
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = "databases"
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly -buildvcs=false")
		return cmd
	}
	if out, err := command("list", "-deps", "-test", "./...").CombinedOutput(); err != nil {
		t.Skipf("its modules are not downloaded: %.200s", out)
	}
	if out, err := command("vet", "./...").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
