package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/muster-iot/muster/internal/bench/search"
)

// streamOptions are the sizes of the end-to-end part.
type streamOptions struct {
	muster          string // the binary that has every command
	devices, groups int
	rate            float64 // changes a second
	flips           float64 // the share of them that are of connectivity
	span            time.Duration
}

// pick chooses what happens next to a connected device. A disconnected one
// connects, so that half of the flips come by themselves.
func (o streamOptions) pick(rng *rand.Rand) change {
	switch x := rng.Float64(); {
	case x < o.flips/(2-o.flips):
		return change{kind: connectivity}
	default:
		return report(rng)
	}
}

// report is a change that a device tells in its shadow.
func report(rng *rand.Rand) change {
	switch x := rng.IntN(100); {
	case x < 43:
		return change{version, search.Version(rng)}
	case x < 64:
		return change{build, rng.IntN(builds)}
	case x < 85:
		return change{battery, rng.IntN(101)}
	default:
		return change{temp, rng.IntN(140) - 20}
	}
}

// streamed is what a stream of changes gave.
type streamed struct {
	p50, p99, worst time.Duration
	changes, late   int64
	heard           int64
	took, cpu       time.Duration
	rss             int64
	memberships     int // checked in the end; of the server alone
}

// stream measures from a change of a device to the membership event on MQTT,
// and the same from a message to its echo with a bare mochi.
func stream(ctx context.Context, o streamOptions, dir string) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	bare, err := streamFloor(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("bare mochi: %w", err)
	}
	own, err := streamMuster(ctx, o, dir)
	if err != nil {
		return nil, fmt.Errorf("musterd: %w", err)
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	each := func(s streamed) float64 { return float64(s.cpu.Microseconds()) / float64(max(1, s.changes)) }
	figures := fmt.Sprintf("%d devices, %d groups; %.0f changes/s, %.0f membership events/s, %d late; p50 %.1f ms, worst %.0f ms; %d memberships checked",
		o.devices, o.groups, float64(own.changes)/own.took.Seconds(), float64(own.heard)/own.took.Seconds(), own.late, ms(own.p50), ms(own.worst), own.memberships)
	echoed := fmt.Sprintf("bare mochi: p50 %.1f ms, p99 %.1f ms, worst %.0f ms, %d late", ms(bare.p50), ms(bare.p99), ms(bare.worst), bare.late)
	return []row{
		{what: "change to membership event, p99", floor: "-", ratios: []float64{ms(own.p99)}, unit: " ms", limit: 100, figures: figures},
		{what: "change to membership event, p99", floor: "bare mochi echo, p99", ratios: []float64{ms(own.p99) / ms(bare.p99)}, figures: echoed},
		{
			what: "CPU of a change, all in", floor: "bare mochi echo", ratios: []float64{each(own) / each(bare)},
			figures: fmt.Sprintf("%.0f us against %.0f us; %.0f%% of a core, RSS %d MB against %d MB", each(own), each(bare),
				100*own.cpu.Seconds()/own.took.Seconds(), own.rss>>20, bare.rss>>20),
		},
		{
			what: "changes that happened", floor: "those that were due", ratios: []float64{float64(own.changes) / (o.rate * own.took.Seconds())},
			limit: 0.99, atLeast: true, figures: fmt.Sprintf("%.0f/s wanted for %s", o.rate, own.took.Round(time.Second)),
		},
	}, nil
}

// streamFloor lets the same changes go to a bare mochi, which echoes reports.
func streamFloor(ctx context.Context, o streamOptions) (streamed, error) {
	p, err := start("bare mochi", o.muster, "floor")
	if err != nil {
		return streamed{}, err
	}
	defer p.stop()
	c, err := assemble(ctx, subject{
		p: p, watch: "out/#",
		report: func(i int, to change) (string, []byte) { return "in/" + device(i), shadowReport(to) },
		about: func(topic []byte) (int, bool) {
			name, ok := bytes.CutPrefix(topic, []byte("out/"))
			return deviceOf(name, ok)
		},
	}, o.devices)
	if err != nil {
		return streamed{}, err
	}
	defer c.close()
	w, err := observe(ctx, c, func([]byte) {})
	if err != nil {
		return streamed{}, err
	}
	defer w.close()
	o.span = min(o.span, 10*time.Second)
	return c.measure(ctx, o, w)
}

// streamMuster registers fleet and groups, streams, and checks in the end that
// the events told every change of every group's members.
func streamMuster(ctx context.Context, o streamOptions, dir string) (streamed, error) {
	p, err := start("musterd", o.muster, "musterd", "--dev", "--data", dir, "--log-level", "warn", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	if err != nil {
		return streamed{}, err
	}
	defer p.stop()
	a := newAPI(p.addr.HTTP)
	begin := time.Now()
	if err := registerFleet(ctx, a, o.devices); err != nil {
		return streamed{}, err
	}
	progress("%d devices registered", begin, o.devices)
	c, err := assemble(ctx, subject{
		p: p, watch: "$aws/events/thingGroupMembership/#",
		report: func(i int, to change) (string, []byte) {
			return shadowTopic(i), shadowReport(to)
		},
		about: func(topic []byte) (int, bool) {
			_, thing, _, ok := membershipOf(topic)
			return deviceOf(thing, ok)
		},
	}, o.devices)
	if err != nil {
		return streamed{}, err
	}
	defer c.close()
	if err := c.firstReports(ctx); err != nil {
		return streamed{}, err
	}
	progress("%d devices connected and reported", begin, o.devices)
	begin = time.Now()
	if err := createGroups(ctx, a, o.groups, o.devices); err != nil {
		return streamed{}, err
	}
	progress("%d groups built", begin, o.groups)
	return c.measureChecked(ctx, o, a)
}

func (c *crowd) measureChecked(ctx context.Context, o streamOptions, a *api) (streamed, error) {
	told := &members{}
	w, err := observe(ctx, c, told.event)
	if err != nil {
		return streamed{}, err
	}
	defer w.close()
	if err := w.quiet(ctx, time.Second); err != nil {
		return streamed{}, err
	}
	if err := told.list(ctx, a, o.groups); err != nil {
		return streamed{}, err
	}
	result, err := c.measure(ctx, o, w)
	if err != nil {
		return streamed{}, err
	}
	if err := c.settled(ctx); err != nil {
		return streamed{}, err
	}
	if err := w.quiet(ctx, time.Second); err != nil {
		return streamed{}, err
	}
	result.memberships, err = told.check(ctx, a, o.groups)
	return result, err
}

// warmup is how long changes stream before they are measured.
const warmup = 3 * time.Second

// measure streams changes for a while.
func (c *crowd) measure(ctx context.Context, o streamOptions, w *observer) (streamed, error) {
	rng := rand.New(rand.NewPCG(4, uint64(o.devices)))
	order := rng.Perm(o.devices)
	if _, err := c.pace(ctx, o, order, rng, min(warmup, o.span)); err != nil {
		return streamed{}, err
	}
	before, err := c.p.cpu()
	if err != nil {
		return streamed{}, err
	}
	c.late.Store(0)
	w.on.Store(true)
	begin := time.Now()
	n, err := c.pace(ctx, o, order, rng, o.span)
	if err != nil {
		return streamed{}, err
	}
	result := streamed{took: time.Since(begin), late: c.late.Load()}
	result.changes = int64(n) - result.late
	c.changes.Wait()
	after, err := c.p.cpu()
	if err != nil {
		return streamed{}, err
	}
	result.cpu = after - before
	if err := w.quiet(ctx, time.Second); err != nil {
		return streamed{}, err
	}
	w.on.Store(false)
	w.mu.Lock()
	defer w.mu.Unlock()
	quantile := func(q float64) time.Duration { return time.Duration(w.hist.ValueAtQuantile(q)) * time.Microsecond }
	result.heard, result.p50, result.p99, result.worst = w.heard, quantile(50), quantile(99), quantile(100)
	if result.heard == 0 {
		return streamed{}, fmt.Errorf("nothing was heard of %d changes", n)
	}
	result.rss, err = c.p.rss()
	return result, err
}

// firstReports lets every device report everything once.
func (c *crowd) firstReports(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range c.lights {
		payload := fmt.Sprintf(`{"state":{"reported":{"softwareVersion":%d,"build":%d,"battery":%d,"temp":%d}}}`,
			search.Version(rng), rng.IntN(builds), rng.IntN(101), rng.IntN(140)-20)
		if err := c.send(i, shadowTopic(i), []byte(payload)); err != nil {
			return err
		}
		if i%500 == 499 { // no more than the server takes without throttling
			if err := c.settled(ctx); err != nil {
				return err
			}
		}
	}
	return c.settled(ctx)
}

func shadowTopic(i int) string { return "$aws/things/" + device(i) + "/shadow/update" }

// shadowReport is the payload by which a device tells a change.
func shadowReport(c change) []byte {
	name := [...]string{version: "softwareVersion", build: "build", battery: "battery", temp: "temp"}[c.kind]
	b := append(make([]byte, 0, 64), `{"state":{"reported":{"`...)
	b = append(append(b, name...), `":`...)
	return append(strconv.AppendInt(b, int64(c.value), 10), "}}}"...)
}

func deviceOf(name []byte, ok bool) (int, bool) {
	digits, found := bytes.CutPrefix(name, []byte("bench-"))
	i, err := strconv.Atoi(string(digits))
	return i, ok && found && err == nil && i >= 0
}
