package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/store"
)

// batch is what one commit makes durable, and what may leave after it.
type batch struct {
	ops     []shardOp
	effects []effect
	answers []answer
	// reached, if set, is closed when everything before it is through; it
	// ends the committer's refusal after a failed commit.
	reached chan struct{}
}

type answer struct {
	to  chan error
	err error
}

type shardOp struct {
	shard protocol.Shard
	op    store.Op
}

// loop is one life of the worker between two loads of its state.
type loop struct {
	*Engine
	epoch   int64
	state   *state
	commits chan *batch
	failed  chan error // capacity 1: a commit failed, the state is ahead of the store
}

// Run claims the store, loads the fleet and steps inputs until ctx ends. It
// drains what it took, closes nothing, and returns nil on a clean end.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.done)
	epoch, err := e.cfg.Store.Claim(ctx)
	if err != nil {
		return fmt.Errorf("cannot claim the store: %w", err)
	}
	l := &loop{Engine: e, epoch: epoch, commits: make(chan *batch, 1), failed: make(chan error, 1)}
	if err := l.load(ctx); err != nil {
		return err
	}
	close(e.ready)
	var g errgroup.Group
	g.Go(func() error { l.commitAll(); return nil })
	err = l.step(ctx)
	close(l.commits)
	return errors.Join(err, g.Wait())
}

func (l *loop) load(ctx context.Context) error {
	s, err := load(ctx, l.Engine)
	if err != nil {
		return fmt.Errorf("cannot load the fleet: %w", err)
	}
	l.state = s
	return nil
}

// step runs the worker: gather, step, hand to the committer.
func (l *loop) step(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(l.idle())
		var failure error
		select {
		case failure = <-l.failed: // before anything else is stepped on that state
		default:
			select {
			case failure = <-l.failed:
			case c := <-l.in:
				failure = l.batch(c)
			case <-timer.C:
				failure = l.batch(nil)
			case <-ctx.Done():
				l.drain()
				return nil
			}
		}
		if failure == nil {
			continue
		}
		switch err := l.recover(ctx, failure); {
		case ctx.Err() != nil:
			return nil // what waits is not stepped on a state that was not loaded
		case err != nil:
			return err
		}
	}
}

// idle is how long the worker may wait for an input: not for long at once,
// because the machine's clock may be set meanwhile.
func (l *loop) idle() time.Duration {
	if len(l.state.background) > 0 {
		return 0
	}
	const most = time.Minute
	switch at, ok := l.state.timers.next(); {
	case l.state.unset:
		return time.Second
	case !ok:
		return most
	default:
		return min(max(0, time.Until(at)), most)
	}
}

// batch steps first and what else has come in by now, due timers and one
// slice of background work, and hands the result to the committer. An error
// says that a step broke the state: then nothing of the batch is committed.
func (l *loop) batch(first *call) error {
	b := &batch{}
	healthy := true
	run := func(c *call) {
		if healthy {
			healthy = l.one(b, c)
		} else {
			b.answers = append(b.answers, answer{c.done, errNotCommitted})
		}
	}
	if first != nil {
		run(first)
	}
	for more := true; more && len(b.answers) < l.cfg.Batch; {
		select {
		case c := <-l.in:
			run(c)
		default:
			more = false
		}
	}
	if l.clockSet() {
		run(internal((*tx).fireTimers))
	}
	if len(l.state.background) > 0 {
		next := l.state.background[0]
		l.state.background = l.state.background[1:]
		run(internal(next))
	}
	if !healthy {
		b.ops, b.effects = nil, nil
		for i := range b.answers {
			b.answers[i].err = errNotCommitted
		}
		l.commits <- b
		return errBroken
	}
	b.ops = l.stamp(b.ops)
	l.commits <- b
	return nil
}

func internal(f func(t *tx) error) *call {
	return &call{run: f, done: make(chan error, 1)}
}

var (
	errNotCommitted = protocol.Errorf(protocol.Unavailable, "the change could not be stored: try again")
	errBroken       = errors.New("a step broke the state")
)

// one steps one input into the batch; it reports false when the state can
// not be trusted any more.
func (l *loop) one(b *batch, c *call) (healthy bool) {
	t := &tx{state: l.state, now: l.tick()}
	err, healthy := l.guard(t, c)
	if !healthy {
		b.answers = append(b.answers, answer{c.done, errNotCommitted})
		return false
	}
	b.ops = append(b.ops, t.ops...)
	b.effects = append(b.effects, t.effects...)
	b.answers = append(b.answers, answer{c.done, err})
	return true
}

// guard runs an input and turns a panic, or an error after a change, into an
// unhealthy state with a log line.
func (l *loop) guard(t *tx, c *call) (err error, healthy bool) {
	defer func() {
		if p := recover(); p != nil {
			l.cfg.Logger.Error("an input panicked: its batch is refused", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			healthy = false
		}
	}()
	err = c.run(t)
	if err == nil {
		t.finish()
		return nil, true
	}
	if len(t.ops)+len(t.effects) > 0 {
		l.cfg.Logger.Error("an input failed half way: its batch is refused", "error", err)
		return err, false
	}
	return err, true
}

// commitAll is the committer: it makes batches durable in their order and
// releases what they hold back. After a failure it refuses every batch until
// the worker has loaded its state again.
func (l *loop) commitAll() {
	refuse := false
	for b := range l.commits {
		if b.reached != nil {
			refuse = false
			close(b.reached)
			continue
		}
		err := errors.New("an earlier commit failed")
		if !refuse {
			err = l.commit(b.ops)
		}
		if err != nil && !refuse {
			refuse = true
			select {
			case l.failed <- err:
			default: // the worker is about to load again as it is
			}
		}
		l.release(b, err)
	}
}

func (l *loop) commit(ops []shardOp) error {
	if len(ops) == 0 {
		return nil
	}
	var batches []store.ShardBatch
	place := map[protocol.Shard]int{}
	for _, o := range ops {
		i, ok := place[o.shard]
		if !ok {
			i = len(batches)
			place[o.shard] = i
			batches = append(batches, store.ShardBatch{Shard: o.shard, Epoch: l.epoch})
		}
		batches[i].Ops = append(batches[i].Ops, o.op)
	}
	return l.cfg.Store.Commit(context.Background(), batches)
}

func (l *loop) release(b *batch, err error) {
	if err == nil {
		for _, g := range b.effects {
			g.release(l.cfg.Gateway)
		}
	}
	for _, a := range b.answers {
		if err != nil {
			a.err = errNotCommitted
		}
		a.to <- a.err
	}
}

// recover throws the state away after a failed commit and loads what the
// store holds. Only a fenced worker gives up: another one owns the fleet.
func (l *loop) recover(ctx context.Context, cause error) error {
	if errors.Is(cause, store.ErrFenced) {
		return fmt.Errorf("cannot commit: %w", cause)
	}
	l.cfg.Logger.Error("a change was refused and not acknowledged; loading the fleet again", "error", cause)
	b := &batch{reached: make(chan struct{})}
	l.commits <- b
	<-b.reached
	select {
	case <-l.failed: // of a batch before, answered by this load
	default:
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := l.load(ctx)
		if err == nil {
			break
		}
		l.cfg.Logger.Error("cannot recover yet", "error", err)
		if !l.refuseFor(ctx, wait) {
			return ctx.Err()
		}
	}
	l.cfg.Logger.Info("recovered", "things", l.state.things.len(), "jobs", l.state.jobOrder.len())
	return nil
}

// refuseFor answers inputs with Unavailable for a while; false when ctx ended.
func (l *loop) refuseFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case c := <-l.in:
			c.done <- errNotCommitted
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// drain steps what has been handed over before the end.
func (l *loop) drain() {
	for {
		select {
		case c := <-l.in:
			if l.batch(c) != nil {
				return
			}
		default:
			return
		}
	}
}

// tx is one step: the state it works on and what it wants to write and send.
type tx struct {
	*state
	now     time.Time
	ops     []shardOp
	effects []effect
	queues  queues
	ended   []protocol.JobID // jobs whose counts changed
}

// later adds a slice of background work, stepped in a later batch.
func (t *tx) later(f func(t *tx) error) { t.background = append(t.background, f) }

// inSlices is background work that visits everything in an order, a slice at a
// time, while inputs are stepped between: what comes meanwhile is visited, too.
// It is given up when it is not wanted any more, and else comes to its end.
func inSlices[K ~string](of *order[K], wanted func(*tx) bool, visit func(*tx, K), end func(*tx)) func(t *tx) error {
	var last ordered[K]
	var next func(t *tx) error
	next = func(t *tx) error {
		if !wanted(t) {
			return nil
		}
		items := of.after(last)
		for _, o := range items[:min(slice, len(items))] {
			visit(t, o.key)
			last = o
		}
		if len(items) > slice {
			t.later(next)
			return nil
		}
		end(t)
		return nil
	}
	return next
}

func (t *tx) publish(topic string, payload []byte) {
	t.effects = append(t.effects, effect{topic: topic, payload: payload, fan: true})
}

// announce is publish for a message that is made only if somebody hears it.
func (t *tx) announce(topic string, made func() []byte) {
	t.effects = append(t.effects, effect{topic: topic, made: made, fan: true})
}

// reply answers the session that asked, or [Subscribers]; other surfaces get
// the value that the input returns and have session 0.
func (t *tx) reply(session uint64, topic string, payload []byte) {
	switch session {
	case 0:
	case Subscribers:
		t.publish(topic, payload)
	default:
		t.effects = append(t.effects, effect{topic: topic, payload: payload, session: session})
	}
}

// finish closes a step: jobs that are through, notifications of the queues
// that changed.
func (t *tx) finish() {
	slices.Sort(t.ended)
	for _, id := range slices.Compact(t.ended) {
		t.completeIfEnded(id)
	}
	t.keepWaits()
	t.notifyQueues()
	for _, r := range t.refused {
		t.cfg.Logger.Info("AddThingToDynamicThingGroupsFailed: the thing is in as many groups as it may", "thing", r.Thing, "group", r.Group)
	}
	t.refused = t.refused[:0]
}
