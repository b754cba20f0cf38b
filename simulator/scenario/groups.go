package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/muster-iot/muster/internal/pause"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/simulator/report"
)

// Groups of every kind come beside the one of the roll-out while attributes,
// shadows and connections change: they are made, given another query and
// deleted under load, and those that stay are judged to the end of the run.

// kind is a group by what its query is about, and what it becomes.
type kind struct{ name, query, then string }

// kinds are queries over what the load changes; the run's own things are added.
func kinds() []kind {
	return []kind{
		{"range", "attributes.level:[3 TO 6]", "attributes.level>=7"},
		{"not", "NOT attributes.site:s1", "NOT attributes.site:s* OR connectivity.connected:false"},
		{"prefix", "attributes.site:s*", "attributes.site:(s1 OR s2)"},
		{"or", "attributes.level<2 OR shadow.reported.sim.mode:eco", "-(attributes.level<2 OR shadow.reported.sim.mode:eco)"},
		{"shadow", `shadow.reported.sim.note:"blue whale" AND shadow.reported.sim.level>4`, "shadow.reported.sim.tags:red OR NOT shadow.reported.sim.level:*"},
		{"named", "shadow.name.sim.reported.level>4", "NOT shadow.name.sim.reported.level:*"},
		{"anything", "whale", "NOT whale"},
	}
}

// loaders is how many changes of things are under way at a time.
const loaders = 4

// groups makes, changes and deletes groups while things change.
func (r *Rollout) groups(ctx context.Context) ([]report.Figure, error) {
	r.cfg.Progress.Say("%d groups of all kinds come and go while things change for %v", 2*len(kinds()), r.cfg.Groups)
	before := r.fleet.Snapshot()
	load, ctx2 := errgroup.WithContext(ctx)
	limited, stop := context.WithTimeout(ctx2, r.cfg.Groups)
	defer stop()
	changes := make([]int, loaders)
	for i := range loaders {
		load.Go(func() (err error) {
			rng := rand.New(rand.NewPCG(r.cfg.Seed, uint64(i)))
			changes[i], err = r.change(ctx2, limited, rng)
			return err
		})
	}
	load.Go(func() error { return r.comeAndGo(ctx2) })
	if err := load.Wait(); err != nil {
		return nil, err
	}
	for _, name := range r.standing {
		if err := r.built(ctx, name); err != nil {
			return nil, err
		}
	}
	if err := r.fleet.Until(ctx, connected(r.cfg.Devices+r.cfg.Late)); err != nil {
		return nil, fmt.Errorf("not all things came back while groups changed: %w", err)
	}
	n := 0
	for _, c := range changes {
		n += c
	}
	return []report.Figure{
		{Name: "groups", Value: float64(2 * len(kinds()))},
		{Name: "changes of things", Value: float64(n)},
		{Name: "changes/s", Value: float64(n) / r.cfg.Groups.Seconds()},
		{Name: "drops", Value: float64(r.fleet.Snapshot().Drops - before.Drops)},
	}, nil
}

// comeAndGo makes two groups of each kind, half of them before the load has
// done much; then one of each gets another query, and the other is deleted.
func (r *Rollout) comeAndGo(ctx context.Context) error {
	own := " AND thingName:sim-" + r.cfg.Run + "-*"
	name := func(k kind, n int) protocol.ThingGroupName {
		return protocol.ThingGroupName(fmt.Sprintf("sim-%s-%s-%d", r.cfg.Run, k.name, n))
	}
	steps := []func(k kind) error{
		func(k kind) error {
			r.standing = append(r.standing, name(k, 1))
			return r.fleet.MakeGroup(ctx, name(k, 1), "("+k.query+")"+own)
		},
		func(k kind) error { return r.fleet.MakeGroup(ctx, name(k, 2), "("+k.then+")"+own) },
		func(k kind) error { return r.fleet.ChangeGroup(ctx, name(k, 1), "("+k.then+")"+own) },
		func(k kind) error { return r.fleet.DeleteGroup(ctx, name(k, 2)) },
	}
	for i, step := range steps {
		for _, k := range kinds() {
			if err := step(k); err != nil {
				return err
			}
		}
		if i == 1 {
			r.fleet.Drop(0.1, r.cfg.Groups/4)
		}
		if !pause.For(ctx, r.cfg.Groups/time.Duration(len(steps)+1)) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// change changes things, one after the other, until its time is over, and
// returns how many changes it made. Each is carried out to its end.
func (r *Rollout) change(ctx, limited context.Context, rng *rand.Rand) (n int, err error) {
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	api := r.fleet.API()
	for limited.Err() == nil && err == nil {
		thing := r.fleet.Name(rng.IntN(r.cfg.Devices))
		switch rng.IntN(3) {
		case 0:
			err = api.UpdateThing(ctx, thing, map[string]string{"level": strconv.Itoa(rng.IntN(10)), "site": pick("s1", "s2", "t1", "")})
		case 1:
			err = api.UpdateShadow(ctx, thing, "", map[string]any{"sim": map[string]any{
				"level": rng.IntN(10), "mode": pick("eco", "full"), "note": pick("Blue Whale", "whale blue"), "tags": []string{pick("red", "green"), "x"},
			}})
		default:
			err = api.UpdateShadow(ctx, thing, "sim", map[string]any{"level": rng.IntN(10)})
		}
		n++
	}
	if err != nil {
		return n, fmt.Errorf("cannot change a thing: %w", err)
	}
	return n, nil
}
