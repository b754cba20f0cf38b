// Bench prints one table: what Muster costs beside the least that the same
// work could cost, both measured in the same run on the same machine. Figures
// of one machine say little about another; their ratios say more. It is called
// by scripts/bench.
//
// The servers are child processes: musterd as it ships, a bare mochi and a raw
// loop (package floor). What they cost is their CPU time; the load of this
// process is not counted. Every figure is the median of several rounds in
// which the servers take turns. A miss of a target is printed as such; it is
// no error, because a busy machine misses too.
//
// "bench groups" prints another table, of the fleet index and dynamic groups:
// groups.go is that command, match.go (package matching), fleet.go (package
// search, and the module in databases) and stream.go its three parts.
//
// Flow: setup.go makes the fleet, run.go measures one after the other,
// load.go is the load, process.go the children, store.go the benchmark of the
// store, table.go the output. It runs at the top of the repository.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the sizes of a run.
type options struct {
	muster  string // the binary that has every command
	devices int
	idle    int
	rounds  int
	span    time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "groups" {
		groupsMain(ctx, os.Args[2:])
		return
	}
	var o options
	flag.StringVar(&o.muster, "muster", "", "binary of command muster")
	flag.IntVar(&o.devices, "devices", 500, "devices that speak at once")
	flag.IntVar(&o.idle, "idle", 2000, "idle devices whose memory is measured")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each measurement")
	flag.DurationVar(&o.span, "span", 3*time.Second, "time of one measurement")
	flag.Parse()
	if o.muster == "" || flag.NArg() > 0 || o.devices < 1 || o.idle < 1 || o.rounds < 1 || o.span <= 0 {
		fmt.Fprintln(os.Stderr, "bench: -muster BINARY is needed; numbers are positive")
		os.Exit(2)
	}
	rows, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	printTable(os.Stdout, rows)
}
