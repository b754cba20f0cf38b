package simulator

import (
	"math"
	"strconv"
	"time"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/simulator/device"
	"github.com/muster-iot/muster/simulator/load"
)

// Drop cuts the connections of a fraction of the connected things, 0 to 1 and
// at least one thing unless it is 0, without a goodbye, and keeps them off the
// network for a time. It returns how many.
func (f *Fleet) Drop(fraction float64, off time.Duration) int {
	return f.hurt(fraction, func(s device.Status) bool { return s.Connected }, func(d *device.Device) { d.Drop(off) })
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
