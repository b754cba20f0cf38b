package agent

import (
	"context"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/muster-iot/muster/agent/update"
)

// Run is the device's life: it returns when ctx ends, with nothing running
// any more and nothing lost, since all that matters is journaled.
func (a *Agent) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var connecting sync.WaitGroup
	defer func() {
		stop()
		connecting.Wait()
		a.work.stopAndWait()
		a.talk.wait()
	}()
	a.recall()
	a.step(ctx, update.Event{Kind: update.Boot})
	connecting.Go(func() { a.connect(ctx) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-a.sessions:
			a.session(ctx, l)
		case h := <-a.hints.box:
			if h.link == a.talk.link {
				a.step(ctx, update.Event{Kind: update.Hinted, Execution: h.execution})
			}
		case end := <-a.ends:
			if a.work.ended(end) {
				a.finished(ctx, end)
			}
		case ans := <-a.answers:
			a.answered(ctx, ans)
		}
	}
}

// recall reads the journal. What cannot be read is made good from what runs.
func (a *Agent) recall() {
	var err error
	if a.state, err = a.cfg.Journal.State(); err != nil {
		a.log.Error("the update's state is unreadable: every product goes back to its committed version", "err", err)
	}
	if a.committed, err = a.cfg.Journal.Committed(); err != nil {
		a.log.Error("the committed versions are unreadable: what runs is taken for committed", "err", err)
	}
	for product, installer := range a.cfg.Installers {
		if _, ok := a.committed[product]; !ok {
			a.adopt(product, installer)
		}
	}
}

// adopt takes what a product runs for committed when no record says so: on
// the first start of a device, and when the record was lost.
func (a *Agent) adopt(product string, installer Installer) {
	if a.state.Execution != (update.Identity{}) && a.state.Document.Product == product {
		if a.state.From != (update.Release{}) {
			a.committed[product] = a.state.From // what runs may be on trial
		}
		return
	}
	adopter, ok := installer.(Adopter)
	if !ok {
		return
	}
	current, err := adopter.Current()
	if err != nil {
		a.log.Warn("cannot tell what the product runs", "product", product, "err", err)
		return
	}
	if current != (update.Release{}) {
		a.committed[product] = current
		a.log.Info("product found installed", "product", product, "version", current.Version, "seq", current.Seq)
	}
}

// step feeds one event to the machine and carries its effects out.
func (a *Agent) step(ctx context.Context, e update.Event) {
	for {
		before := a.state
		next, effects := update.Step(time.Now(), before, e)
		a.state = next
		if next.Phase != before.Phase {
			a.log.Info("update", "phase", next.Phase, "job", next.Execution.JobID, "reason", next.Outcome.Reason)
			if a.cfg.Observe != nil {
				a.cfg.Observe(next)
			}
		}
		err := a.carryOut(ctx, effects)
		if err == nil {
			return
		}
		a.log.Error("cannot write the update's state", "phase", next.Phase, "err", err)
		e = update.Event{Kind: update.Unsaved, Reason: err.Error()}
	}
}

// carryOut does effects in order. An error is that the state could not be
// written, and nothing after that was done.
func (a *Agent) carryOut(ctx context.Context, effects []update.Effect) error {
	for _, e := range effects {
		switch e.Kind {
		case update.Persist:
			if err := a.cfg.Journal.SaveState(a.state); err != nil {
				return err
			}
		case update.Stop:
			a.work.stop()
		case update.Ask, update.Start, update.Describe, update.Report, update.Versions:
			a.say(ctx, e)
		default:
			a.begin(ctx, e)
		}
	}
	return nil
}

// session begins or ends the conversation with the fleet side.
func (a *Agent) session(ctx context.Context, l *link) {
	a.talk.reset(l)
	if l == nil {
		a.log.Info("disconnected")
		return
	}
	a.log.Info("connected")
	a.step(ctx, update.Event{Kind: update.Connected})
}

// snapshot returns what is committed, in a map that nobody changes.
func (a *Agent) snapshot() map[string]update.Release { return maps.Clone(a.committed) }

func keys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
