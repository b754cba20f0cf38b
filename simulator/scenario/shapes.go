package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/muster-iot/muster/internal/pause"
	"github.com/muster-iot/muster/simulator"
	"github.com/muster-iot/muster/simulator/report"
)

// Storms and flapping come when all is updated, to a second group, of what is
// connected, and its own job, which finds everything done: things that leave
// the group and come back by their connection alone must not get it again
// (rule 5), however often that is.

// pollEvery is the distance of questions to the server.
const pollEvery = 100 * time.Millisecond

// gather makes that group and job, the first time, waits until every thing has
// its execution behind it, and returns how many executions there are.
func (r *Rollout) gather(ctx context.Context) (executions int, err error) {
	if _, watched := r.fleet.Watched(); !slices.Contains(watched, r.stay) {
		target, err := r.makeGroup(ctx, r.online, "connectivity.connected:true AND thingName:sim-"+r.cfg.Run+"-*")
		if err != nil {
			return 0, err
		}
		if err := r.makeJob(ctx, r.stay, r.online, target); err != nil {
			return 0, err
		}
	}
	for {
		list, err := r.fleet.API().ExecutionsOfJob(ctx, r.stay)
		if err != nil {
			return 0, fmt.Errorf("cannot list the executions of job %s: %w", r.stay, err)
		}
		open := 0
		for _, x := range list {
			if !x.Status.Terminal() {
				open++
			}
		}
		if len(list) >= r.cfg.Devices+r.cfg.Late && open == 0 {
			return len(list), nil
		}
		if !pause.For(ctx, pollEvery) {
			return 0, fmt.Errorf("job %s has %d executions, %d of them without an end: %w", r.stay, len(list), open, context.Cause(ctx))
		}
	}
}

// storm cuts all connections at once. While the network is away the group has
// to become empty; then everything comes back.
func (r *Rollout) storm(ctx context.Context) ([]report.Figure, error) {
	before, err := r.gather(ctx)
	if err != nil {
		return nil, err
	}
	r.fleet.Mark()
	cut, back := r.fleet.Storm(r.cfg.Storm)
	begun := time.Now()
	r.cfg.Progress.Say("a storm: %d things lose their connection for %v", cut, time.Until(back).Round(time.Second))
	left, seen, err := r.empty(ctx, back)
	if err != nil {
		return nil, err
	}
	r.threshold("members during the storm", 0, left)
	if err := r.fleet.Until(ctx, connected(cut)); err != nil {
		return nil, fmt.Errorf("not all things came back after the storm: %w", err)
	}
	figures, p := []report.Figure{
		{Name: "things", Value: float64(cut)},
		{Name: "group empty after", Value: seen.Sub(begun).Seconds(), Unit: "s"},
		{Name: "all back after", Value: time.Since(back).Seconds(), Unit: "s"},
	}, r.fleet.Phase()
	if err := r.nothingNew(ctx, "storm", before); err != nil {
		return nil, err
	}
	return slices.Concat(figures, connects(p), times(p, simulator.LatencyMembership)), nil
}

// empty waits until the group has no members, at most until the network is
// back, and returns how many were left, and when.
func (r *Rollout) empty(ctx context.Context, back time.Time) (left int, at time.Time, err error) {
	for {
		members, err := r.fleet.API().Members(ctx, r.online)
		if err != nil {
			return 0, at, fmt.Errorf("cannot list group %s: %w", r.online, err)
		}
		if at = time.Now(); len(members) == 0 || at.After(back) {
			return len(members), at, nil
		}
		if !pause.For(ctx, pollEvery) {
			return 0, at, context.Cause(ctx)
		}
	}
}

// flapping cuts some things off again and again.
func (r *Rollout) flapping(ctx context.Context) ([]report.Figure, error) {
	executions, err := r.gather(ctx)
	if err != nil {
		return nil, err
	}
	r.fleet.Mark()
	before, all := r.fleet.Snapshot(), r.cfg.Devices+r.cfg.Late
	r.cfg.Progress.Say("some things flap, %d times, once in %v", r.cfg.Flaps, r.cfg.FlapEvery)
	n := r.fleet.Flap(ctx, r.cfg.Flap, r.cfg.FlapEvery, r.cfg.FlapEvery/4, r.cfg.Flaps)
	if err := r.fleet.Until(ctx, connected(all)); err != nil {
		return nil, fmt.Errorf("not all things came back after they flapped: %w", err)
	}
	after, p := r.fleet.Snapshot(), r.fleet.Phase()
	if err := r.nothingNew(ctx, "flapping", executions); err != nil {
		return nil, err
	}
	return slices.Concat([]report.Figure{
		{Name: "things", Value: float64(n)},
		{Name: "drops", Value: float64(after.Drops - before.Drops)},
		{Name: "left", Value: float64(after.Leaves - before.Leaves)},
		{Name: "joined", Value: float64(after.Joins - before.Joins)},
	}, connects(p), times(p, simulator.LatencyMembership)), nil
}

// nothingNew makes it a threshold that no execution came of coming back.
func (r *Rollout) nothingNew(ctx context.Context, shape string, before int) error {
	after, err := r.gather(ctx)
	if err == nil {
		r.threshold("executions made by "+shape, 0, after-before)
	}
	return err
}

func (r *Rollout) threshold(name string, want, got int) {
	r.more = append(r.more, report.Threshold{Name: name, Want: fmt.Sprint(want), Got: fmt.Sprint(got), OK: want == got})
}
