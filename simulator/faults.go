package simulator

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/internal/pause"
	"github.com/muster-iot/muster/simulator/device"
	"github.com/muster-iot/muster/simulator/load"
	"github.com/muster-iot/muster/simulator/oracle"
)

// Drop cuts the connections of a fraction of the connected things, 0 to 1 and
// at least one thing unless it is 0, without a goodbye, and keeps them off the
// network for a time. It returns how many.
func (f *Fleet) Drop(fraction float64, off time.Duration) int {
	return f.hurt(fraction, func(s device.Status) bool { return s.Connected }, func(d *device.Device) { d.Drop(off) })
}

// StormTime is how long everything is off the network in a storm at least, so
// that the pauses of all agents have grown to their longest.
const StormTime = 6 * time.Second

// Storm cuts every connection at once and takes the network away for a time,
// StormTime or longer. It returns how many were cut, and when the network is
// back: invariant A7 says how they may return.
func (f *Fleet) Storm(off time.Duration) (cut int, back time.Time) {
	off = max(off, StormTime)
	cut = f.Drop(1, off)
	back = time.Now().Add(off)
	f.oracle.Storm(oracle.Storm{Back: back, Things: cut})
	return cut, back
}

// Flap cuts a fraction of the connected things off the network again and
// again, each by its own clock: on average once in every, for off, so many
// times. It returns how many flapped, when they are done or ctx has ended.
func (f *Fleet) Flap(ctx context.Context, fraction float64, every, off time.Duration, times int) int {
	var all sync.WaitGroup
	n := 0
	seed := load.Derive(f.cfg.Seed, "flap")
	flap := func(d *device.Device) {
		n++
		draw := load.Rand(seed, strconv.Itoa(n))
		all.Go(func() {
			for range times {
				if !pause.For(ctx, every/2+time.Duration(draw.Int64N(int64(every)))) {
					return
				}
				d.Drop(off)
			}
		})
	}
	f.hurt(fraction, func(s device.Status) bool { return s.Connected }, flap)
	all.Wait()
	return n
}

// DropOnNotify arms a drop on a fraction of the connected things: each is cut
// off once, when it has been notified of an execution and has not started it.
func (f *Fleet) DropOnNotify(fraction float64, off time.Duration) int {
	return f.hurt(fraction, func(s device.Status) bool { return s.Connected }, func(d *device.Device) { d.DropOnNotify(off) })
}

// Crash cuts the power of a fraction of the things, and returns of how many.
// Those that are installing or switching fail their update, as the agent's
// resume table says; all others go on.
func (f *Fleet) Crash(fraction float64) int {
	return f.hurt(fraction, func(device.Status) bool { return true }, (*device.Device).Crash)
}

// CrashAt arms a crash on a fraction of the things that run the version they
// were born with: each crashes once, when its agent enters the phase.
func (f *Fleet) CrashAt(fraction float64, p update.Phase) int {
	return f.hurt(fraction, func(s device.Status) bool { return s.Running.Version == f.cfg.Version },
		func(d *device.Device) { d.CrashAt(p) })
}

// hurt does something to a fraction of the things that can take it, drawn
// from the seed.
func (f *Fleet) hurt(fraction float64, can func(device.Status) bool, do func(*device.Device)) int {
	f.mu.Lock()
	f.faults++
	draw := load.Rand(f.cfg.Seed, "fault", strconv.Itoa(f.faults))
	members := append([]*member(nil), f.members...)
	f.mu.Unlock()
	draw.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	var able []*member
	for _, m := range members {
		if can(m.device.Status()) {
			able = append(able, m)
		}
	}
	n := int(math.Ceil(min(max(fraction, 0), 1) * float64(len(able))))
	for _, m := range able[:n] {
		do(m.device)
	}
	return n
}
