package update_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/protocol/jobs"
	document "github.com/muster-iot/muster/protocol/update"
)

// device is a world around the machine: a disk with what is journaled and
// what is committed, the version that runs, and a fleet side with one
// execution. rapid decides what goes wrong and when.
type device struct {
	t         *rapid.T
	now       time.Time
	state     update.State
	journaled update.State
	committed update.Release
	running   string
	unpacked  bool
	// diskFull lets every write of the state fail.
	diskFull bool
	// connected and the version of the execution are the fleet side's.
	connected bool
	status    jobs.ExecutionStatus
	version   int64

	work     update.EffectKind // the one that runs
	said     []update.Effect   // requests that wait for an answer
	installs int
	reported []jobs.ExecutionStatus
}

func (d *device) step(e update.Event) {
	for {
		var effects []update.Effect
		d.state, effects = update.Step(d.now, d.state, e)
		failed := false
		for _, effect := range effects {
			if effect.Kind == update.Persist && d.diskFull {
				failed = true
				// The write may or may not have reached the disk.
				if rapid.Bool().Draw(d.t, "half written") {
					d.journaled = d.state
				}
				break
			}
			d.do(effect)
		}
		if !failed {
			return
		}
		e = update.Event{Kind: update.Unsaved, Reason: "disk full"}
	}
}

func (d *device) do(e update.Effect) {
	switch e.Kind {
	case update.Persist:
		d.journaled = d.state
	case update.Stop:
		d.work = ""
	case update.Ask, update.Start, update.Describe, update.Report, update.Versions:
		if d.connected {
			if e.Kind == update.Versions && d.state.Phase == update.Idle && !d.state.Inconsistent {
				d.honest(d.committed.Version)
			}
			d.said = append(d.said, e)
		}
	default:
		d.work = e.Kind
	}
}

// honest checks that a version that is told to the fleet side is the one that runs.
func (d *device) honest(version string) {
	if version != d.running {
		d.t.Fatalf("version %s is reported, %s runs", version, d.running)
	}
}

// finishWork lets the running work end, well or badly.
func (d *device) finishWork(ok bool) {
	work := d.work
	d.work = ""
	end := update.Event{Kind: update.Done, Target: target}
	if !ok {
		end = update.Event{Kind: update.Failed, Reason: "it broke"}
	}
	d.effect(work, ok)
	if ok && (work == update.Check || work == update.Commit) && d.running != "6" {
		end = update.Event{Kind: update.Failed, Reason: "another version runs"}
	}
	d.step(end)
}

// effect is what a work does to the device, even when it fails half-way.
func (d *device) effect(work update.EffectKind, ok bool) {
	switch work {
	case update.Install:
		if ok {
			if d.unpacked {
				d.t.Fatal("installed twice")
			}
			d.unpacked = true
			d.installs++
		}
	case update.Switch:
		d.running = "6"
	case update.Commit:
		if d.running == "6" {
			d.committed = update.ReleaseOf(target)
		}
	case update.Rollback:
		if ok {
			d.running = d.committed.Version
			if d.state.Execution != (update.Identity{}) {
				d.running = d.state.From.Version
			}
		}
	}
}

// answer lets the fleet side answer the oldest request, or lose it.
func (d *device) answer() {
	e := d.said[0]
	d.said = d.said[1:]
	switch e.Kind {
	case update.Start:
		if d.status == jobs.Queued {
			d.status = jobs.InProgress
			d.version++
		}
		d.offer(update.Offered)
	case update.Ask:
		d.offer(update.Offered)
	case update.Describe:
		if d.status.Terminal() {
			d.step(update.Event{Kind: update.Gone, For: id6, Status: d.status})
			return
		}
		d.offer(update.Described)
	case update.Report:
		d.takeReport(e)
	}
}

func (d *device) offer(kind update.EventKind) {
	e := update.Event{Kind: kind, Committed: map[string]update.Release{"app": d.committed}}
	if !d.status.Terminal() {
		e.Execution = execution(d.status, doc6)
		e.Execution.VersionNumber = d.version
	}
	d.step(e)
}

func (d *device) takeReport(e update.Effect) {
	switch {
	case d.status.Terminal():
		d.step(update.Event{Kind: update.Gone, For: id6, Status: d.status})
		return
	case d.state.VersionNumber != d.version:
		d.step(update.Event{Kind: update.Mismatch, For: id6})
		return
	case e.Status.Terminal():
		d.reported = append(d.reported, e.Status)
		want := "5"
		if d.state.Inconsistent {
			want = d.running // and the reason says that rolling back failed
		}
		if e.Status == jobs.Succeeded {
			want = "6"
			d.honest(e.Details[document.KeySoftwareVersion])
		}
		d.honest(want)
	}
	d.status = e.Status
	d.version++
	d.step(update.Event{Kind: update.Accepted, For: id6, Status: e.Status, VersionNumber: d.version})
}

// crash is a power cut with the start that follows.
func (d *device) crash() {
	if d.work != "" {
		d.effect(d.work, rapid.Bool().Draw(d.t, "work was done"))
	}
	d.state, d.work, d.said, d.connected = d.journaled, "", nil, false
	d.step(update.Event{Kind: update.Boot})
}

// TestAnyHistory lets anything happen in any order: crashes at every point,
// works that fail, lost answers, a full disk, a cancel. At the end, when
// nothing goes wrong any more, the device is idle, runs what is committed,
// has installed at most once and has told the truth.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &device{t: t, now: time.Unix(1_740_830_400, 0), committed: five, running: "5", status: jobs.Queued, version: 1}
		d.step(update.Event{Kind: update.Boot})
		goOn := func(t *rapid.T) {
			switch {
			case d.work != "" && (len(d.said) == 0 || rapid.Bool().Draw(t, "work first")):
				d.finishWork(rapid.IntRange(0, 9).Draw(t, "works") > 0)
			case len(d.said) > 0:
				d.answer()
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"tick": func(t *rapid.T) { d.now = d.now.Add(time.Second) },
			// Three ways to go on for every one to be disturbed.
			"go on": goOn, "go on, go on": goOn, "go on and on": goOn,
			"connect": func(t *rapid.T) {
				d.connected, d.said = true, nil
				d.step(update.Event{Kind: update.Connected})
			},
			"hint": func(t *rapid.T) {
				e := update.Event{Kind: update.Hinted}
				if rapid.Bool().Draw(t, "names ours") {
					e.Execution = execution(jobs.Queued, doc6) // perhaps a late one
				}
				d.step(e)
			},
			"crash": func(t *rapid.T) { d.crash() },
			"disk":  func(t *rapid.T) { d.diskFull = rapid.IntRange(0, 3).Draw(t, "full") == 0 },
			"cancel": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "cancels") == 0 && !d.status.Terminal() {
					d.status = jobs.Canceled
				}
			},
			"": func(t *rapid.T) {
				if d.installs > 1 {
					t.Fatalf("installed %d times", d.installs)
				}
				if len(d.reported) > 1 {
					t.Fatalf("reported %v", d.reported)
				}
			},
		})
		d.settle()
	})
}

// settle lets everything go well until the device is idle.
func (d *device) settle() {
	d.diskFull, d.connected, d.said = false, true, nil
	d.step(update.Event{Kind: update.Connected})
	for range 200 {
		switch {
		case d.work != "":
			d.finishWork(true)
		case len(d.said) > 0:
			d.answer()
		case d.state.Phase == update.Idle && d.state.Inconsistent:
			d.crash()
		case d.state.Phase == update.Idle && d.status.Terminal():
			d.honest(d.committed.Version)
			if d.status == jobs.Succeeded && d.running != "6" || d.status == jobs.Failed && d.running != "5" {
				d.t.Fatalf("%s is reported and %s runs", d.status, d.running)
			}
			return
		default:
			d.step(update.Event{Kind: update.Connected})
		}
	}
	d.t.Fatalf("not idle after all went well: phase %s, status %s, work %q", d.state.Phase, d.status, d.work)
}

// FuzzJobDocument: whatever a job document holds, the device ends in a known
// phase and what it says about it can be reported.
func FuzzJobDocument(f *testing.F) {
	for _, doc := range []string{doc6, `{}`, `{"muster":1}`, `{"muster":"x"}`, `null`, `[`, `{"muster":1,"operation":"install","product":"\u0000"}`} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		next, effects := update.Step(time.Unix(0, 0), update.State{}, update.Event{Kind: update.Offered, Execution: execution(jobs.InProgress, doc)})
		switch next.Phase {
		case update.Metadata:
			if next.Document.Target == "" {
				t.Errorf("a document without a target is worked on: %q", doc)
			}
		case update.Reporting:
			reason := effects[1].Details[document.KeyReason]
			if effects[1].Status != jobs.Rejected || reason == "" || len(reason) > 1024 {
				t.Errorf("%q: %s, reason %q", doc, effects[1].Status, reason)
			}
		default:
			t.Errorf("%q leads to %s", doc, next.Phase)
		}
	})
}
