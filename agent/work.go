package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/internal/pause"
)

// work is the one thing that is being done on the device.
type work struct {
	// ticket numbers works, so that the end of one that was stopped is told
	// from that of the running one.
	ticket int
	cancel context.CancelFunc
	// done is closed when the last work that was begun has returned.
	done chan struct{}
}

// workEnd is how a work ended.
type workEnd struct {
	ticket int
	kind   update.EffectKind
	event  update.Event
}

// stop asks the running work to end and forgets its end.
func (w *work) stop() {
	if w.cancel != nil {
		w.cancel()
		w.cancel = nil
	}
	w.ticket++
}

func (w *work) stopAndWait() {
	w.stop()
	if w.done != nil {
		<-w.done
	}
}

// ended takes the end of a work; it is false for one that was stopped.
func (w *work) ended(end workEnd) bool {
	if end.ticket != w.ticket || w.cancel == nil {
		return false
	}
	w.cancel()
	w.cancel = nil
	return true
}

// begin starts a work on a goroutine of its own. A work that was stopped ends
// before the next one begins: they may touch the same files.
func (a *Agent) begin(ctx context.Context, e update.Effect) {
	if e.Kind == update.Commit {
		if err := a.commit(); err != nil {
			a.log.Error("cannot commit", "err", err)
			e.Kind = failing
		}
	}
	a.work.stop()
	ticket, before, done := a.work.ticket, a.work.done, make(chan struct{})
	ctx, a.work.cancel = context.WithCancel(ctx)
	a.work.done = done
	job := job{agent: a, state: a.state, committed: a.snapshot(), rand: rand.New(rand.NewPCG(a.rand.Uint64(), 0))}
	go func() {
		defer close(done)
		if before != nil {
			<-before
		}
		if !pause.For(ctx, e.After) {
			return
		}
		event := job.do(ctx, e.Kind)
		if ctx.Err() == nil {
			select {
			case a.ends <- workEnd{ticket: ticket, kind: e.Kind, event: event}:
			case <-ctx.Done():
			}
		}
	}()
}

// failing stands for a commit whose record could not be written.
const failing update.EffectKind = "failing"

// commit records the new version as the committed one: from here on it is
// the one to roll back to.
func (a *Agent) commit() error {
	committed, product := a.snapshot(), a.state.Document.Product
	release := update.ReleaseOf(a.state.Target)
	release.Floor = max(committed[product].Floor, a.state.Target.Custom.RollbackFloor)
	committed[product] = release
	if err := a.cfg.Journal.SaveCommitted(committed); err != nil {
		return err
	}
	a.committed = committed
	return nil
}

// finished feeds the end of a work to the machine.
func (a *Agent) finished(ctx context.Context, end workEnd) {
	if end.event.Kind != update.Done {
		a.log.Warn("update", "work", end.kind, "end", end.event.Kind, "reason", end.event.Reason)
	} else if end.kind == update.Resolve {
		a.raiseFloor(end.event.Target.Custom)
	}
	a.step(ctx, end.event)
}

// raiseFloor keeps a signed roll-back floor that was seen, whatever becomes of
// the update. Where nothing is committed yet, the commit will keep it.
func (a *Agent) raiseFloor(c firmware.Custom) {
	release, ok := a.committed[c.Product]
	if !ok || c.RollbackFloor <= release.Floor {
		return
	}
	committed := a.snapshot()
	release.Floor = c.RollbackFloor
	committed[c.Product] = release
	if err := a.cfg.Journal.SaveCommitted(committed); err != nil {
		a.log.Error("cannot keep the roll-back floor", "product", c.Product, "floor", c.RollbackFloor, "err", err)
		return
	}
	a.committed = committed
}

// job is a work with what it needs, apart from the loop.
type job struct {
	agent     *Agent
	state     update.State
	committed map[string]update.Release
	rand      *rand.Rand
}

// do works until there is an end other than that the server is not available.
func (j job) do(ctx context.Context, kind update.EffectKind) update.Event {
	for n := 0; ; n++ {
		target, err := j.once(ctx, kind)
		var refusal *update.Refusal
		switch {
		case err == nil:
			return update.Event{Kind: update.Done, Target: target}
		case errors.As(err, &refusal):
			return update.Event{Kind: update.Refused, Reason: err.Error()}
		case !errors.Is(err, update.ErrUnavailable):
			return update.Event{Kind: update.Failed, Reason: err.Error()}
		}
		wait := j.agent.cfg.Retry.pause(j.rand, n)
		j.agent.log.Info("waiting for the server", "work", kind, "pause", wait, "err", err)
		if !pause.For(ctx, wait) {
			return update.Event{Kind: update.Failed, Reason: err.Error()}
		}
	}
}

func (j job) once(ctx context.Context, kind update.EffectKind) (firmware.Target, error) {
	t, cfg := j.state.Target, j.agent.cfg
	installer := cfg.Installers[j.state.Document.Product]
	switch {
	case kind == failing:
		return t, errors.New("cannot write what is committed")
	case kind == update.Rollback:
		return t, j.rollback(ctx)
	case kind == update.Clean:
		return t, j.clean()
	case installer == nil:
		managed := strings.Join(slices.Sorted(keys(cfg.Installers)), ", ")
		return t, update.Refusef("product %q is not managed on %q, which manages %s", j.state.Document.Product, cfg.Thing, managed)
	}
	switch kind {
	case update.Resolve:
		return j.resolve(ctx, installer)
	case update.Download:
		return t, cfg.Fetcher.Fetch(ctx, t)
	case update.Verify:
		return t, cfg.Fetcher.Verify(ctx, t)
	case update.Install:
		return t, installer.Install(ctx, t, cfg.Fetcher.File(t))
	case update.Switch:
		return t, installer.Switch(ctx, t)
	case update.Check:
		return t, installer.Check(ctx, t)
	case update.Commit:
		if err := installer.Commit(ctx, t); err != nil {
			return t, err
		}
		return t, j.clean()
	}
	return t, fmt.Errorf("unknown work %q", kind)
}

// resolve finds the signed target that the document names. The document
// itself is not signed: it must agree with the target, which decides.
func (j job) resolve(ctx context.Context, installer Installer) (firmware.Target, error) {
	doc := j.state.Document
	t, err := j.agent.cfg.Trust.Resolve(ctx, time.Now(), doc, j.committed[doc.Product])
	if err != nil {
		return t, err
	}
	c := t.Custom
	if c.Product != doc.Product || c.Version != doc.Version || c.Seq != doc.Seq {
		return t, update.Refusef("the job says %s version %s seq %d, but target %s is signed as %s version %s seq %d",
			doc.Product, doc.Version, doc.Seq, doc.Target, c.Product, c.Version, c.Seq)
	}
	return t, installer.Prepare(ctx, t)
}

// rollback makes the committed version run again: that of the update's
// product, or of every product when it is not known which one was updated.
func (j job) rollback(ctx context.Context) error {
	if j.state.Execution != (update.Identity{}) {
		installer := j.agent.cfg.Installers[j.state.Document.Product]
		if installer == nil {
			return fmt.Errorf("product %q is not managed any more", j.state.Document.Product)
		}
		return installer.Rollback(ctx, j.state.From, j.state.Target)
	}
	var errs []error
	for product, to := range j.committed {
		if installer := j.agent.cfg.Installers[product]; installer != nil {
			errs = append(errs, installer.Rollback(ctx, to, firmware.Target{}))
		}
	}
	return errors.Join(errs...)
}

// clean removes the download; that it cannot is no reason to fail an update.
func (j job) clean() error {
	if j.state.Target.Path == "" {
		return nil
	}
	if err := j.agent.cfg.Fetcher.Remove(j.state.Target); err != nil {
		j.agent.log.Warn("cannot remove the download", "err", err)
	}
	return nil
}
