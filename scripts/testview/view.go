package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of go test -json (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// tally counts what was seen.
type tally struct {
	passed, failed, skipped        int // tests, subtests included
	packages, failedPackages, bare int // bare packages have no tests
}

// bad reports whether the run must count as a failure. A run without a single
// test is one: it means that nothing was checked.
func (t tally) bad() bool {
	return t.failed > 0 || t.failedPackages > 0 || t.passed == 0
}

// viewer holds the output of what is still running.
type viewer struct {
	out    io.Writer
	output map[string][]string // by package and test
	counts tally
}

// view copies what matters of the events in r to w. Lines that are no events
// (a go command that complains before any test) are copied as they are.
func view(r io.Reader, w io.Writer) (tally, error) {
	v := &viewer{out: w, output: map[string][]string{}}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			v.line(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return v.counts, fmt.Errorf("cannot read the test events: %w", err)
		}
	}
	c := v.counts
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped in %d packages (%d failed, %d without tests)\n",
		c.passed, c.failed, c.skipped, c.packages, c.failedPackages, c.bare)
	return c, nil
}

func (v *viewer) line(line string) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprintf(v.out, "%s\n", strings.TrimSuffix(line, "\n"))
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if !isFrame(e.Output) {
			v.output[key] = append(v.output[key], e.Output)
		}
	case "build-output":
		fmt.Fprint(v.out, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			v.packageEnd(e, v.output[key])
		} else {
			v.testEnd(e, v.output[key])
		}
		delete(v.output, key)
	}
}

// isFrame reports whether an output line only says that a test runs.
func isFrame(output string) bool {
	for _, prefix := range []string{"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME "} {
		if strings.HasPrefix(output, prefix) {
			return true
		}
	}
	return false
}

func (v *viewer) testEnd(e event, output []string) {
	switch e.Action {
	case "pass":
		v.counts.passed++
	case "fail":
		v.counts.failed++
		fmt.Fprintf(v.out, "FAIL  %s %s\n", e.Package, e.Test)
		for _, line := range output {
			fmt.Fprintf(v.out, "      %s\n", strings.TrimSuffix(line, "\n"))
		}
	case "skip":
		v.counts.skipped++
		fmt.Fprintf(v.out, "SKIP  %s %s: %s\n", e.Package, e.Test, reason(output))
	}
}

// reason joins what a skipped test said, without the line that says it was skipped.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "--- SKIP") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

func (v *viewer) packageEnd(e event, output []string) {
	v.counts.packages++
	switch e.Action {
	case "pass":
		fmt.Fprintf(v.out, "ok    %s %.1f s\n", e.Package, e.Elapsed)
	case "skip":
		v.counts.bare++
		fmt.Fprintf(v.out, "-     %s has no tests\n", e.Package)
	case "fail":
		v.counts.failedPackages++
		v.unfinished(e.Package)
		for _, line := range output {
			fmt.Fprintf(v.out, "      %s\n", strings.TrimSuffix(line, "\n"))
		}
		fmt.Fprintf(v.out, "FAIL  %s %.1f s\n", e.Package, e.Elapsed)
	}
}

// unfinished prints what the tests of a package had said that never ended: a
// panic, a timeout or an os.Exit took them down.
func (v *viewer) unfinished(pkg string) {
	for _, key := range slices.Sorted(maps.Keys(v.output)) {
		name, ok := strings.CutPrefix(key, pkg+" ")
		if !ok || name == "" {
			continue
		}
		v.counts.failed++
		fmt.Fprintf(v.out, "FAIL  %s %s: did not end\n", pkg, name)
		for _, line := range v.output[key] {
			fmt.Fprintf(v.out, "      %s\n", strings.TrimSuffix(line, "\n"))
		}
		delete(v.output, key)
	}
}
