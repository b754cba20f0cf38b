package engine

import (
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/store"
)

// The time of a fleet never goes below a floor: the latest of Config.Floor,
// the last commit and the last step (rule 17). Queues, creation orders and
// deadlines rest on it. Where the machine's clock is below the floor, as on a
// board that starts without one, the fleet's time stands still at the floor
// and no timer fires.

// clockRow is the value of the time of the last commit.
type clockRow struct {
	At time.Time `json:"at"`
}

// Floor returns the time below which the fleet's time does not go.
func (e *Engine) Floor() time.Time { return time.Unix(0, e.floor.Load()) }

// CheckClock returns an error that says why timers stand still, nil when
// they do not.
func (e *Engine) CheckClock() error {
	now, floor := time.Now(), e.Floor()
	if !now.Before(floor) {
		return nil
	}
	return protocol.Errorf(protocol.Unavailable, "the clock of this machine reads %s, but it was already %s: set it; until then no timer fires and nothing is signed",
		now.UTC().Format(time.RFC3339), floor.UTC().Format(time.RFC3339))
}

// tick returns the time of a step: now, or the floor.
func (e *Engine) tick() time.Time {
	now := time.Now().Round(0)
	if floor := e.Floor(); now.Before(floor) {
		return floor
	}
	e.floor.Store(now.UnixNano())
	return now
}

// raise lifts the floor to a time that is known to have passed.
func (e *Engine) raise(at time.Time) {
	if !at.IsZero() && at.After(e.Floor()) {
		e.floor.Store(at.UnixNano())
	}
}

// clockSet reports whether timers may fire. When the clock of a fleet that was
// loaded without one has been set, what came due meanwhile was overdue all the
// time: devices have their graces from now on.
func (l *loop) clockSet() bool {
	if l.CheckClock() != nil {
		return false
	}
	if l.state.unset {
		l.state.unset = false
		l.state.begin(l.tick())
		l.cfg.Logger.Info("the clock is set: timers fire again")
	}
	return true
}

// begin starts the graces of a loaded fleet: for what was due while the server
// was down, and for clients to come back.
func (s *state) begin(now time.Time) {
	s.loadedAt = now
	s.timers.add(timer{at: now.Add(s.cfg.Rules.ReconnectGrace), kind: timerSweep})
}

// stamp adds the time of a commit to what it writes.
func (l *loop) stamp(ops []shardOp) []shardOp {
	if len(ops) == 0 {
		return ops
	}
	return append(ops, shardOp{protocol.GlobalShard, store.Op{Kind: kindConfig, Key: keyClock, Value: marshal(clockRow{l.Floor()})}})
}
