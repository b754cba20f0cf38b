package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/muster-iot/muster/internal/pause"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/simulator"
	"github.com/muster-iot/muster/simulator/awsapi"
	"github.com/muster-iot/muster/simulator/load"
	"github.com/muster-iot/muster/simulator/oracle"
	"github.com/muster-iot/muster/simulator/report"
)

// phase is one shape of load. It returns when the fleet has come to rest
// again, with what is worth knowing of it.
type phase struct {
	name string
	on   bool
	run  func(context.Context) ([]report.Figure, error)
}

// story is what happens, in order. Each phase ends with the oracle's verdict.
func (r *Rollout) story(ctx context.Context) error {
	for _, p := range []phase{
		{"ramp", true, r.ramp},
		{"roll-out", true, r.rollOut},
		{"late joiners", r.cfg.Late > 0, r.late},
		{"groups", r.cfg.Groups > 0, r.groups},
		{"storm", r.cfg.Storm > 0, r.storm},
		{"flapping", r.cfg.Flap > 0, r.flapping},
	} {
		if !p.on {
			continue
		}
		if len(r.phases) > 0 { // the first one was begun by connect
			r.fleet.Mark()
		}
		began := time.Now()
		figures, err := p.run(ctx)
		if err != nil {
			return err
		}
		took := time.Since(began)
		results, err := r.fleet.Check(ctx, r.cfg.Replay)
		if err != nil {
			return fmt.Errorf("cannot check the invariants: %w", err)
		}
		r.verdict.with(results)
		r.phases = append(r.phases, report.Phase{Name: p.name, Took: took, Figures: figures, Violations: violations(results)})
	}
	r.cfg.Progress.Say("all things have come to an end")
	return nil
}

func violations(results []oracle.Result) (n int) {
	for _, r := range results {
		n += len(r.Violations)
	}
	return n
}

// verdict keeps violations that a later look at the fleet does not show any
// more.
type verdict map[string][]oracle.Violation

// with adds what was found to what was known, and returns both.
func (v verdict) with(results []oracle.Result) []oracle.Result {
	for i, r := range results {
		for _, x := range r.Violations {
			known := func(y oracle.Violation) bool { return x.Thing == y.Thing && x.What == y.What }
			if !slices.ContainsFunc(v[r.Name], known) {
				v[r.Name] = append(v[r.Name], x)
			}
		}
		results[i].Violations = v[r.Name]
	}
	return results
}

// ended says that so many things have come to an end and are at rest.
func ended(all int) func(simulator.Counts) bool {
	return func(c simulator.Counts) bool {
		return c.Succeeded+c.Failed+c.Rejected >= all && c.Updating == 0 && c.Connected == all
	}
}

// connected says that so many things are.
func connected(all int) func(simulator.Counts) bool {
	return func(c simulator.Counts) bool { return c.Connected == all }
}

// ramp waits until the things have connected, which connect has begun.
func (r *Rollout) ramp(ctx context.Context) ([]report.Figure, error) {
	if err := r.fleet.Until(ctx, connected(r.cfg.Devices)); err != nil {
		return nil, fmt.Errorf("not all things connected: %w", err)
	}
	p := r.fleet.Phase()
	asked := load.Ramp{N: r.cfg.Devices, Over: r.cfg.Ramp}.PerSecond()
	return slices.Concat([]report.Figure{{Name: "things", Value: float64(r.cfg.Devices)}, {Name: "asked for/s", Value: asked}}, connects(p)), nil
}

// connects tells how fast things have connected.
func connects(p simulator.Phase) []report.Figure {
	return slices.Concat([]report.Figure{
		{Name: "connects/s", Value: p.Connects.Mean}, {Name: "in the busiest second", Value: float64(p.Connects.Peak)},
	}, times(p, simulator.LatencyConnect))
}

// times tells median and 99th percentile of a latency.
func times(p simulator.Phase, name string) []report.Figure {
	s := p.Latency(name)
	if s.Count == 0 {
		return nil
	}
	return []report.Figure{
		{Name: name + " p50", Value: s.P50.Seconds(), Unit: "s"},
		{Name: name + " p99", Value: s.P99.Seconds(), Unit: "s"},
		{Name: name + " count", Value: float64(s.Count)},
	}
}

// rollOut makes the group and the job, disturbs the things on their way, and
// waits until all have come to an end.
func (r *Rollout) rollOut(ctx context.Context) ([]report.Figure, error) {
	say, before := r.cfg.Progress.Say, r.fleet.Snapshot()
	target, err := r.makeGroup(ctx, r.group, r.cfg.Query)
	if err != nil {
		return nil, err
	}
	say("job %s brings the group to version %s", r.job, r.cfg.Source.To)
	if r.cfg.Crash > 0 {
		say("%d things will lose power in phase %s", r.fleet.CrashAt(r.cfg.Crash, r.cfg.CrashPhase), r.cfg.CrashPhase)
	}
	if r.cfg.Drop > 0 {
		say("%d things will lose their connection when they are notified", r.fleet.DropOnNotify(r.cfg.Drop/2, r.cfg.DropTime))
	}
	if err := r.makeJob(ctx, r.job, r.group, target); err != nil {
		return nil, err
	}
	underWay := func(c simulator.Counts) bool { return c.Updating > 0 || c.Succeeded+c.Failed > 0 }
	if err := r.fleet.Until(ctx, underWay); err != nil {
		return nil, fmt.Errorf("the roll-out did not begin: %w", err)
	}
	if r.cfg.Drop > 0 {
		say("%d things lose their connection for %v", r.fleet.Drop(r.cfg.Drop/2, r.cfg.DropTime), r.cfg.DropTime)
	}
	if err := r.fleet.Until(ctx, ended(r.cfg.Devices)); err != nil {
		return nil, fmt.Errorf("not all things came to an end: %w", err)
	}
	r.settled = r.fleet.Snapshot()
	c := r.settled
	return slices.Concat([]report.Figure{
		{Name: "succeeded", Value: float64(c.Succeeded)},
		{Name: "failed", Value: float64(c.Failed + c.Rejected)},
		{Name: "dropped", Value: float64(c.Drops - before.Drops)},
		{Name: "power cuts", Value: float64(c.Crashes - before.Crashes)},
	}, times(r.fleet.Phase(), simulator.LatencyUpdate)), nil
}

// late lets things come that nobody has seen before, now that the job is
// there, and measures the floor beside them.
func (r *Rollout) late(ctx context.Context) ([]report.Figure, error) {
	stop, err := r.fleet.Measure(ctx, r.cfg.Floor, r.cfg.Devices)
	if err != nil {
		return nil, err
	}
	r.cfg.Progress.Say("%d late joiners come", r.cfg.Late)
	all, over := r.cfg.Devices+r.cfg.Late, time.Duration(r.cfg.Late)*r.cfg.Ramp/time.Duration(r.cfg.Devices)
	err = r.fleet.Add(r.cfg.Late, over)
	if err == nil {
		// The floor is measured for as long as there is something to compare.
		err = r.fleet.Until(ctx, func(c simulator.Counts) bool {
			return ended(all)(c) || int(r.fleet.Phase().Latency(simulator.LatencyNotify).Count) >= r.cfg.Late
		})
	}
	if err := errors.Join(err, stop()); err != nil {
		return nil, fmt.Errorf("not all late joiners were notified: %w", err)
	}
	if err := r.fleet.Until(ctx, ended(all)); err != nil {
		return nil, fmt.Errorf("not all late joiners came to an end: %w", err)
	}
	r.settled = r.fleet.Snapshot()
	p := r.fleet.Phase()
	r.ratio.P50, r.ratio.P99 = p.Ratio()
	return slices.Concat([]report.Figure{{Name: "things", Value: float64(r.cfg.Late)}},
		connects(p), times(p, simulator.LatencyNotify), times(p, simulator.LatencyFloor)), nil
}

// makeGroup makes a dynamic group, waits until it is built and returns its ARN.
func (r *Rollout) makeGroup(ctx context.Context, name protocol.ThingGroupName, query string) (arn string, err error) {
	r.cfg.Progress.Say("group %s: %s", name, query)
	if arn, err = r.fleet.API().CreateDynamicGroup(ctx, name, query); err != nil {
		return "", fmt.Errorf("cannot make group %s: %w", name, err)
	}
	return arn, r.built(ctx, name)
}

// built waits until a group is ACTIVE.
func (r *Rollout) built(ctx context.Context, name protocol.ThingGroupName) error {
	for {
		g, err := r.fleet.API().Group(ctx, name)
		if err != nil {
			return fmt.Errorf("cannot describe group %s: %w", name, err)
		}
		if g.Status == "ACTIVE" {
			return nil
		}
		if !pause.For(ctx, 50*time.Millisecond) {
			return fmt.Errorf("group %s is still %s: %w", name, g.Status, context.Cause(ctx))
		}
	}
}

// makeJob makes a continuous job that brings a group to the new version.
func (r *Rollout) makeJob(ctx context.Context, id protocol.JobID, group protocol.ThingGroupName, arn string) error {
	doc, err := json.Marshal(r.firmware.To.Document())
	if err != nil {
		return err
	}
	// From here on changes are measured; what the job finds is none of them.
	r.fleet.Watch(group, id)
	err = r.fleet.API().CreateJob(ctx, awsapi.JobSpec{
		ID: id, Targets: []string{arn}, Document: doc, Continuous: true, PerMinute: r.cfg.PerMinute,
	})
	if err != nil {
		return fmt.Errorf("cannot make job %s: %w", id, err)
	}
	return nil
}
