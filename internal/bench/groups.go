package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// groupsOptions are the sizes of the table about the fleet index and dynamic
// groups.
type groupsOptions struct {
	parts  []string
	match  matchOptions
	fleet  fleetOptions
	stream streamOptions
}

// section is a part of the table: figures side by side, and what they mean for
// the targets.
type section struct {
	title   string
	figures string // a table of its own, may be empty
	rows    []row
}

// groupsMain is the command "bench groups".
func groupsMain(ctx context.Context, args []string) {
	o, err := groupsFlags(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench groups:", err)
		os.Exit(2)
	}
	if err := groupsTable(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench groups:", err)
		os.Exit(1)
	}
}

func groupsFlags(args []string) (groupsOptions, error) {
	var o groupsOptions
	f := flag.NewFlagSet("groups", flag.ContinueOnError)
	known := []string{"match", "search", "stream"}
	parts := f.String("parts", strings.Join(known, ","), "what to measure")
	sizes := f.String("sizes", "100x100000,1000x100000,10000x100000,100000x100000,10000x1000000", "match: groups and devices")
	f.IntVar(&o.match.rounds, "rounds", 5, "match: how often the ways take turns")
	o.fleet.Flags(f)
	f.StringVar(&o.fleet.databases, "databases", "", "search: binary of internal/bench/databases")
	f.StringVar(&o.fleet.postgres, "postgres", "", "search: folder with PostgreSQL's programs; default is Debian's")
	f.StringVar(&o.stream.muster, "muster", "", "binary of command muster, for stream")
	f.IntVar(&o.stream.devices, "devices", 10_000, "stream: connected devices")
	f.IntVar(&o.stream.groups, "groups", 1000, "stream: dynamic groups")
	f.Float64Var(&o.stream.rate, "rate", 2000, "stream: changes a second")
	f.Float64Var(&o.stream.flips, "flips", 0.2, "stream: share of the changes that are of connectivity")
	f.DurationVar(&o.stream.span, "span", 25*time.Second, "stream: how long changes stream in")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.match.sizes, err = parseSizes(*sizes); err != nil {
		return o, err
	}
	o.parts = strings.Split(*parts, ",")
	for _, p := range o.parts {
		if !slices.Contains(known, p) {
			return o, fmt.Errorf("part %q is none of %s", p, strings.Join(known, ", "))
		}
	}
	s := o.stream
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is not understood", f.Arg(0))
	case slices.Contains(o.parts, "stream") && s.muster == "":
		return o, fmt.Errorf("part stream needs -muster BINARY")
	case o.match.rounds < 1 || s.devices < 1 || s.groups < 1 || s.rate <= 0 || s.span <= 0 || s.flips < 0 || s.flips > 1:
		return o, fmt.Errorf("numbers are positive, shares at most 1")
	}
	return o, nil
}

// groupsTable measures the parts and prints them.
func groupsTable(ctx context.Context, o groupsOptions, w io.Writer) error {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var sections []section
	for _, part := range o.parts {
		begin := time.Now()
		s, err := o.measure(ctx, part, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		sections = append(sections, s)
		progress("part "+part, begin)
	}
	for _, s := range sections {
		fmt.Fprintf(w, "\n%s\n%s", s.title, s.figures)
		if len(s.rows) > 0 {
			printTable(w, s.rows)
		}
	}
	return nil
}

func (o groupsOptions) measure(ctx context.Context, part, dir string) (section, error) {
	switch part {
	case "match":
		return match(ctx, o.match)
	case "search":
		return measureFleet(ctx, o.fleet)
	}
	rows, err := stream(ctx, o.stream, dir)
	return section{title: "End to end: from a change to the membership event on MQTT", rows: rows}, err
}

// progress tells what has been done and how long it took.
func progress(format string, begin time.Time, args ...any) {
	fmt.Fprintf(os.Stderr, format+": %s\n", append(args, time.Since(begin).Round(100*time.Millisecond))...)
}
