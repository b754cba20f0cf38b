// Package search is the benchmark of the fleet index: a fleet, the five
// queries that operators ask most, and how long engines take over them. Muster's
// index is one engine; the module internal/bench/databases brings SQLite and
// PostgreSQL, so that Muster itself need not know any database.
//
//	report, err := search.Run(ctx, search.Options{Devices: 1_000_000}, search.NewMuster())
//
// It owns the workload, the order in which engines take turns, and the check
// that all give the same answers, which are also those of plain Go. It never
// decides what is good: targets stand with the table in internal/bench.
//
// Read on in fleet.go (what is searched and how), run.go (the measurement),
// muster.go (Muster's engine) and report.go (what comes out).
package search

import "context"

// Engine is something that holds a fleet and searches it. It is used by one
// goroutine.
type Engine interface {
	// Name names the engine in the report.
	Name() string
	// Build takes the fleet in, with every index that the queries want.
	Build(ctx context.Context, fleet []Device) error
	// Size tells, after Build, what the fleet takes.
	Size(ctx context.Context) (Size, error)
	// IDs appends the numbers of all devices that a query finds to ids, in any
	// order. The numbers are the engine's own: see Devices.
	IDs(ctx context.Context, q Query, ids []uint32) ([]uint32, error)
	// Devices turns the engine's numbers into places in the fleet, in place.
	Devices(ids []uint32)
	// Page returns the names of the first devices that a query finds, in order.
	Page(ctx context.Context, q Query, limit int) ([]string, error)
	// Flip turns connected to disconnected and back, in one batch.
	Flip(ctx context.Context, devices []int) error
	// Release gives each device the version that the fleet now says, in one batch.
	Release(ctx context.Context, devices []int) error
	// Create makes a group of a query and returns how many members it has. The
	// function that it returns removes the group again.
	Create(ctx context.Context, q Query) (members int, remove func() error, err error)
	// Process returns the id of a process beside this one whose CPU time counts
	// as well, 0 for none.
	Process() int
	// Close ends the engine.
	Close() error
}

// Size is what a fleet takes in an engine, in bytes.
type Size struct {
	// Rows is what the devices themselves take, Index all that finds them.
	Rows, Index int64
	// Note says how that was counted.
	Note string
}
