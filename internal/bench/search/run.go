package search

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/muster-iot/muster/internal/procstat"
)

// Options are the sizes of a run.
type Options struct {
	// Devices is the size of the fleet.
	Devices int
	// Rounds is how often the engines take turns, Turn how long a turn is; a
	// turn asks at least once.
	Rounds int
	Turn   time.Duration
	// Updates is how many devices change in a round, Batch how many at once.
	Updates, Batch int
	// Full is how many devices the fuller set of fields is measured with.
	Full int
	// Progress, if set, is told what has been done.
	Progress func(what string, took time.Duration)
}

func (o Options) check() error {
	for name, n := range map[string]int{"devices": o.Devices, "rounds": o.Rounds, "updates": o.Updates, "batch": o.Batch, "full": o.Full} {
		if n < 1 {
			return fmt.Errorf("%s is %d: it is positive", name, n)
		}
	}
	return nil
}

// Flags defines a flag for every size.
func (o *Options) Flags(f *flag.FlagSet) {
	f.IntVar(&o.Devices, "fleet", 1_000_000, "search: devices in the index and the databases")
	f.IntVar(&o.Full, "full", 100_000, "search: devices with more fields, in the index alone")
	f.IntVar(&o.Rounds, "turns", 5, "search: how often the engines take turns")
	f.DurationVar(&o.Turn, "turn", 150*time.Millisecond, "search: how long a turn at one query is")
	f.IntVar(&o.Updates, "updates", 20_000, "search: changes of each kind in a round")
	f.IntVar(&o.Batch, "batch", 256, "search: changes in a batch")
}

// pageSize is how many devices the first page of an answer has.
const pageSize = 100

// Run builds the fleet in every engine, lets them take turns at every question
// and change, and checks that they agree before and after. It closes them.
func Run(ctx context.Context, o Options, engines ...Engine) (*Report, error) {
	defer func() {
		for _, e := range engines {
			_ = e.Close()
		}
	}()
	if err := o.check(); err != nil {
		return nil, err
	}
	r := &run{Options: o, fleet: Fleet(o.Devices), queries: Queries()}
	for _, e := range engines {
		r.lanes = append(r.lanes, &lane{engine: e, asked: make([]timings, len(r.queries)), figures: Figures{Engine: e.Name()}})
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"builds", r.build}, {"check", r.check}, {"queries", r.ask}, {"updates", r.update}, {"groups", r.create}, {"check after updates", r.check},
	} {
		begin := time.Now()
		if err := step.do(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
		r.done(step.name, begin)
	}
	report := r.report()
	begin := time.Now()
	var err error
	if report.Full, err = FullSize(o.Full); err != nil {
		return nil, fmt.Errorf("cannot make the fuller fleet: %w", err)
	}
	r.done("fuller set of fields", begin)
	return report, nil
}

// run is a run on its way.
type run struct {
	Options
	fleet   []Device
	queries []Query
	lanes   []*lane
}

// lane is one engine in a run.
type lane struct {
	engine           Engine
	figures          Figures
	asked            []timings // by query
	flips, releases  []float64 // microseconds of CPU of one, a round each
	flipsWall, relsW []float64
}

// timings are of one query with one engine, in nanoseconds.
type timings struct {
	all, page, create *hdrhistogram.Histogram
	found             int
}

func (r *run) done(what string, begin time.Time) {
	if r.Progress != nil {
		r.Progress(what, time.Since(begin))
	}
}

func (r *run) build(ctx context.Context) error {
	for _, l := range r.lanes {
		begin, cpu := time.Now(), l.cpu()
		if err := l.engine.Build(ctx, r.fleet); err != nil {
			return fmt.Errorf("%s cannot build: %w", l.engine.Name(), err)
		}
		l.figures.Build, l.figures.BuildCPU = time.Since(begin), l.cpu()-cpu
		var err error
		if l.figures.Size, err = l.engine.Size(ctx); err != nil {
			return fmt.Errorf("%s cannot tell its size: %w", l.engine.Name(), err)
		}
		for i := range l.asked {
			l.asked[i] = timings{histogram(), histogram(), histogram(), 0}
		}
		r.done("build "+l.engine.Name(), begin)
	}
	return nil
}

func histogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, time.Minute.Nanoseconds(), 3) }

// cpu is the CPU time of this process and of the engine's own.
func (l *lane) cpu() time.Duration {
	var own syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &own)
	sum := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	if pid := l.engine.Process(); pid != 0 {
		if other, err := procstat.CPU(pid); err == nil {
			sum += other
		}
	}
	return sum
}

// check compares every engine's answers with those of plain Go.
func (r *run) check(ctx context.Context) error {
	for i, q := range r.queries {
		var want []uint32
		var names []string
		for k := range r.fleet {
			if q.Match(&r.fleet[k]) {
				want = append(want, uint32(k))
				names = append(names, r.fleet[k].Name)
			}
		}
		names = names[:min(len(names), pageSize)] // the fleet is in order of names
		for _, l := range r.lanes {
			if err := l.check(ctx, q, want, names); err != nil {
				return fmt.Errorf("%s, %s: %w", l.engine.Name(), q.Name, err)
			}
			l.asked[i].found = len(want)
		}
	}
	return nil
}

func (l *lane) check(ctx context.Context, q Query, want []uint32, names []string) error {
	got, err := l.engine.IDs(ctx, q, nil)
	if err != nil {
		return err
	}
	l.engine.Devices(got)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%d devices are found, %d match, and they differ", len(got), len(want))
	}
	page, err := l.engine.Page(ctx, q, pageSize)
	if err == nil && !slices.Equal(page, names) {
		err = fmt.Errorf("the first page is %v, want %v", page, names)
	}
	return err
}

// ask lets the engines take turns at the queries.
func (r *run) ask(ctx context.Context) error {
	var ids []uint32
	for range r.Rounds {
		for i, q := range r.queries {
			for _, l := range r.lanes {
				if err := r.turn(ctx, l.asked[i].all, func() (err error) {
					ids, err = l.engine.IDs(ctx, q, ids[:0])
					return err
				}); err != nil {
					return err
				}
				if err := r.turn(ctx, l.asked[i].page, func() error {
					_, err := l.engine.Page(ctx, q, pageSize)
					return err
				}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// turn does something over and over until the turn is over.
func (r *run) turn(ctx context.Context, into *hdrhistogram.Histogram, do func() error) error {
	for end := time.Now().Add(r.Turn); ; {
		begin := time.Now()
		if err := do(); err != nil {
			return err
		}
		now := time.Now()
		_ = into.RecordValue(min(max(1, now.Sub(begin).Nanoseconds()), time.Minute.Nanoseconds()))
		if now.After(end) || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// update lets the same devices change in every engine.
func (r *run) update(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(2, 2))
	for range r.Rounds {
		flips, releases := rng.Perm(len(r.fleet)), rng.Perm(len(r.fleet))
		flips, releases = flips[:min(r.Updates, len(flips))], releases[:min(r.Updates, len(releases))]
		for _, i := range flips {
			r.fleet[i].Connected = !r.fleet[i].Connected
		}
		for _, i := range releases {
			r.fleet[i].Version = Version(rng)
		}
		for _, l := range r.lanes {
			for _, c := range []struct {
				devices   []int
				do        func(context.Context, []int) error
				cpu, wall *[]float64
			}{
				{flips, l.engine.Flip, &l.flips, &l.flipsWall}, {releases, l.engine.Release, &l.releases, &l.relsW},
			} {
				begin, cpu := time.Now(), l.cpu()
				for batch := range slices.Chunk(c.devices, r.Batch) {
					if err := c.do(ctx, batch); err != nil {
						return fmt.Errorf("%s: %w", l.engine.Name(), err)
					}
				}
				each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(len(c.devices)) }
				*c.cpu = append(*c.cpu, each(l.cpu()-cpu))
				*c.wall = append(*c.wall, each(time.Since(begin)))
			}
		}
	}
	return nil
}

// create lets the engines take turns at making a group of each query.
func (r *run) create(ctx context.Context) error {
	for range r.Rounds {
		for i, q := range r.queries {
			for _, l := range r.lanes {
				begin := time.Now()
				members, remove, err := l.engine.Create(ctx, q)
				took := time.Since(begin)
				if err == nil {
					err = remove()
				}
				if err != nil {
					return fmt.Errorf("%s, %s: %w", l.engine.Name(), q.Name, err)
				}
				if members == 0 && l.asked[i].found > 0 {
					return fmt.Errorf("%s, %s: the group has no members", l.engine.Name(), q.Name)
				}
				_ = l.asked[i].create.RecordValue(min(max(1, took.Nanoseconds()), time.Minute.Nanoseconds()))
			}
		}
	}
	return nil
}
