// Databases runs the benchmark of package search with SQLite and PostgreSQL
// beside Muster's index, on the same fleet in the same run, and prints the
// report as JSON. scripts/bench groups builds and calls it. It is a module of
// its own, because Muster uses no database and must not depend on one.
//
// Both get what a good administrator would give them: everything in memory as
// far as they can, nothing waits for a disk, and an index for every query that
// answers it alone. sqlite.go and postgres.go say which.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/muster-iot/muster/internal/bench/search"
)

func main() {
	var o search.Options
	o.Flags(flag.CommandLine)
	programs := flag.String("postgres", "", "folder with PostgreSQL's programs; default is where Debian has them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o.Progress = func(what string, took time.Duration) {
		fmt.Fprintf(os.Stderr, "%s: %s\n", what, took.Round(100*time.Millisecond))
	}
	report, err := measure(ctx, o, *programs)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(report)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "databases:", err)
		os.Exit(1)
	}
}

// measure runs with every engine that there is; of one that is not there the
// report says why.
func measure(ctx context.Context, o search.Options, programs string) (*search.Report, error) {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	lite, err := newSQLite(dir)
	if err != nil {
		return nil, err
	}
	engines := []search.Engine{search.NewMuster(), lite}
	var absent []string
	postgres, err := newPostgres(ctx, dir, programs)
	if err == nil {
		engines = append(engines, postgres)
	} else {
		absent = append(absent, fmt.Sprintf("postgresql: %v", err))
	}
	report, err := search.Run(ctx, o, engines...)
	if err != nil {
		return nil, err
	}
	report.Absent = absent
	return report, nil
}
