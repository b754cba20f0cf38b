package agent_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-iot/muster/agent"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
)

// pass lets (virtual) time pass.
func pass(d time.Duration) { <-time.After(d) }

// settle lets everything happen that is going to happen within a while.
func settle() {
	pass(30 * time.Minute)
	synctest.Wait()
}

// scene runs a test in virtual time with one device that runs version 5.
func scene(t *testing.T, play func(t *testing.T, w *world, f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { play(t, newWorld(), newFleet(t)) })
}

func want(t *testing.T, f *fleet, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, f.said()); diff != "" {
		t.Error("what was said:\n" + diff)
	}
}

func TestUpdate(t *testing.T) {
	scene(t, func(t *testing.T, w *world, f *fleet) {
		w.slow = time.Second // so that every phase is worth a report
		d := boot(t, w, f)
		defer d.stop()
		settle()
		want(t, f, "shadow softwareVersion=5")
		x := f.push("fw-6", w.doc("6"))
		settle()
		want(t, f, "started fw-6", "fw-6 IN_PROGRESS phase=DOWNLOADING", "fw-6 IN_PROGRESS phase=INSTALLING",
			"fw-6 IN_PROGRESS phase=TRIAL", "fw-6 SUCCEEDED softwareSeq=60000 softwareVersion=6", "shadow softwareVersion=6")
		if f.status(x) != jobs.Succeeded || w.version() != "6" || w.installs["6"] != 1 || w.removed == 0 {
			t.Errorf("status %s, version %s, installs %v, removed %d", f.status(x), w.version(), w.installs, w.removed)
		}
		if f.reported["softwareSeq"] != 60000.0 {
			t.Errorf("reported %v", f.reported)
		}
	})
}

func TestJobsOneAfterTheOther(t *testing.T) {
	scene(t, func(t *testing.T, w *world, f *fleet) {
		// Two wait already when the device comes up.
		first, second := f.push("fw-6", w.doc("6")), f.push("fw-7", w.doc("7"))
		d := boot(t, w, f)
		defer d.stop()
		settle()
		if f.status(first) != jobs.Succeeded || f.status(second) != jobs.Succeeded || w.version() != "7" {
			t.Errorf("%s, %s, version %s", f.status(first), f.status(second), w.version())
		}
		f.said()
		again := f.push("fw-7-again", w.doc("7"))
		settle()
		want(t, f, "started fw-7-again", "fw-7-again SUCCEEDED softwareSeq=70000 softwareVersion=7", "shadow softwareVersion=7")
		if f.status(again) != jobs.Succeeded || w.installs["7"] != 1 {
			t.Errorf("already there: %s, installs %v", f.status(again), w.installs)
		}
	})
}

func TestEndsThatAreNoSuccess(t *testing.T) {
	other := `{"muster":1,"operation":"install","product":"app","target":"app/app-6","version":"7","seq":70000}`
	for _, row := range []struct {
		name string
		doc  string
		// work fails with err; empty is none.
		work string
		err  error
		want string
		// removed is whether what was downloaded has to be gone.
		removed bool
	}{
		{"not our document", `{"operation":"reboot"}`, "", nil, "REJECTED reason=the job document is not one that this agent knows", false},
		{
			"product of others", `{"muster":1,"operation":"install","product":"tv","target":"tv/a","version":"6","seq":6}`, "", nil,
			`REJECTED reason=product "tv" is not managed on "pump-17", which manages app`, false,
		},
		{
			"target that is not signed", `{"muster":1,"operation":"install","product":"app","target":"app/x","version":"6","seq":6}`, "", nil,
			"REJECTED reason=target app/x is not in the signed release list", false,
		},
		{
			"document that is not true", other, "", nil,
			"REJECTED reason=the job says app version 7 seq 70000, but target app/app-6 is signed as app version 6 seq 60000", false,
		},
		{"refused by rule", "", "resolve", update.Refusef("wrong-hardware: made for rpi5"), "REJECTED reason=wrong-hardware: made for rpi5", false},
		{"metadata that is not trusted", "", "resolve", errors.New("metadata-signature: not signed"), "FAILED reason=metadata-signature: not signed", false},
		{"no room", "", "prepare", errors.New("not enough room"), "FAILED reason=not enough room", false},
		{"wrong bytes", "", "fetch", errors.New("not the signed file"), "FAILED reason=not the signed file", true},
		{"staged file changed", "", "verify", errors.New("not the signed one"), "FAILED reason=not the signed one", true},
		{"cannot unpack", "", "install", errors.New("archive is damaged"), "FAILED reason=archive is damaged", true},
		{"does not start", "", "switch", errors.New("restart failed"), "FAILED reason=restart failed", true},
		{"not healthy", "", "check", errors.New("not healthy after 2m0s"), "FAILED reason=not healthy after 2m0s", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			scene(t, func(t *testing.T, w *world, f *fleet) {
				if row.work != "" {
					w.wrong = func(work string) error {
						if work == row.work {
							return row.err
						}
						return nil
					}
				}
				if row.doc == "" {
					row.doc = w.doc("6")
				}
				d := boot(t, w, f)
				defer d.stop()
				settle()
				x := f.push("fw-6", row.doc)
				settle()
				said := f.said()
				if len(said) < 2 || said[len(said)-2] != "fw-6 "+row.want || said[len(said)-1] != "shadow softwareVersion=5" {
					t.Errorf("said:\n%s\nwant the end %q", strings.Join(said, "\n"), row.want)
				}
				if w.version() != "5" || w.unpacked["6"] || (w.removed > 0) != row.removed {
					t.Errorf("version %s, unpacked %v, removed %d", w.version(), w.unpacked, w.removed)
				}
				if !f.status(x).Terminal() {
					t.Errorf("status %s", f.status(x))
				}
				// The device takes the next job all the same.
				w.mu.Lock()
				w.wrong = nil
				w.mu.Unlock()
				next := f.push("fw-7", w.doc("7"))
				settle()
				if f.status(next) != jobs.Succeeded {
					t.Errorf("the next job: %s", f.status(next))
				}
			})
		})
	}
}

// TestUnavailable: what the server cannot do now is tried again, for hours.
func TestUnavailable(t *testing.T) {
	for _, work := range []string{"resolve", "fetch"} {
		t.Run(work, func(t *testing.T) {
			scene(t, func(t *testing.T, w *world, f *fleet) {
				attempts, begun := 0, time.Now()
				w.wrong = func(name string) error {
					if name == work && time.Since(begun) < 3*time.Hour {
						attempts++
						return fmt.Errorf("cannot get it: %w", update.ErrUnavailable)
					}
					return nil
				}
				x := f.push("fw-6", w.doc("6"))
				d := boot(t, w, f)
				defer d.stop()
				pass(4 * time.Hour)
				synctest.Wait()
				if f.status(x) != jobs.Succeeded {
					t.Errorf("status %s", f.status(x))
				}
				if attempts > 3*3600/20 {
					t.Errorf("%d attempts in three hours", attempts)
				}
			})
		})
	}
}

// TestEveryAnswerIsLostOnce breaks the n-th request in every way: the update
// ends well, is installed once, and its version is told after its success.
func TestEveryAnswerIsLostOnce(t *testing.T) {
	for _, how := range []fault{lost, ignored, cut, throttle} {
		for n := 1; n <= 10; n++ {
			t.Run(fmt.Sprintf("%s %d", how, n), func(t *testing.T) {
				scene(t, func(t *testing.T, w *world, f *fleet) {
					f.fault = func(asked int, _ string) fault {
						if asked == n {
							return how
						}
						return none
					}
					x := f.push("fw-6", w.doc("6"))
					d := boot(t, w, f)
					defer d.stop()
					settle()
					if f.status(x) != jobs.Succeeded || w.installs["6"] != 1 {
						t.Errorf("status %s, installs %v", f.status(x), w.installs)
					}
					inOrder(t, f.said())
					if f.reported["softwareVersion"] != "6" {
						t.Errorf("reported %v", f.reported)
					}
				})
			})
		}
	}
}

// inOrder checks rule 22 on what was said.
func inOrder(t *testing.T, said []string) {
	t.Helper()
	succeeded := false
	for _, line := range said {
		succeeded = succeeded || strings.Contains(line, "SUCCEEDED")
		if line == "shadow softwareVersion=6" && !succeeded {
			t.Errorf("the version is told before the success:\n%s", strings.Join(said, "\n"))
		}
	}
}

// TestVersionsWait: a report of the versions that does not get through for a
// while does not overtake the success that it belongs behind.
func TestVersionsWait(t *testing.T) {
	scene(t, func(t *testing.T, w *world, f *fleet) {
		w.slow = 10 * time.Second
		begun := time.Now()
		f.fault = func(_ int, name string) fault {
			switch {
			case name == topic.Shadow(thing, "", "update") && time.Since(begun) < 74*time.Second:
				return ignored // into the commit, from 73 s to 83 s
			case strings.HasSuffix(name, "/fw-6/update") && time.Since(begun) < 3*time.Minute:
				return throttle
			}
			return none
		}
		x := f.push("fw-6", w.doc("6"))
		d := boot(t, w, f, func(c *agent.Config) { c.AnswerTimeout, c.Retry = time.Second, agent.Backoff{Max: time.Second} })
		defer d.stop()
		settle()
		inOrder(t, f.said())
		if f.status(x) != jobs.Succeeded || f.reported["softwareVersion"] != "6" {
			t.Errorf("status %s, reported %v", f.status(x), f.reported)
		}
	})
}

// TestOffline: the connection is lost in the middle and back much later. The
// update goes on meanwhile, and its end is reported then.
func TestOffline(t *testing.T) {
	scene(t, func(t *testing.T, w *world, f *fleet) {
		w.slow = time.Minute
		x := f.push("fw-6", w.doc("6"))
		d := boot(t, w, f)
		defer d.stop()
		pass(90 * time.Second)
		f.drop(true)
		settle()
		if w.version() != "6" || f.status(x) != jobs.InProgress {
			t.Fatalf("offline: version %s, status %s", w.version(), f.status(x))
		}
		attempts := f.connects()
		pass(10 * time.Hour)
		synctest.Wait()
		if per := float64(f.connects()-attempts) / 10; per > 180 || per < 60 {
			t.Errorf("%.0f connection attempts an hour", per)
		}
		f.said()
		f.drop(false)
		settle()
		want(t, f, "fw-6 SUCCEEDED softwareSeq=60000 softwareVersion=6", "shadow softwareVersion=6")
	})
}

// TestKilledInEveryPhase stops the agent as soon as it enters a phase and
// starts another one on the same disk: old or new runs, what is reported is
// true, and one execution is installed once.
func TestKilledInEveryPhase(t *testing.T) {
	want := map[update.Phase]jobs.ExecutionStatus{update.Installing: jobs.Failed, update.Switching: jobs.Failed}
	for _, phase := range update.Phases() {
		t.Run(string(phase), func(t *testing.T) {
			scene(t, func(t *testing.T, w *world, f *fleet) {
				reached := make(chan struct{}, 100)
				if phase == update.RollingBack || phase == update.RolledBack {
					w.wrong = func(work string) error {
						if work == "check" {
							return errors.New("sick")
						}
						return nil
					}
				}
				x := f.push("fw-6", w.doc("6"))
				w.slow = time.Second
				d := boot(t, w, f, func(c *agent.Config) {
					c.Observe = func(s update.State) {
						if s.Phase == phase {
							reached <- struct{}{}
						}
					}
				})
				select {
				case <-reached:
				case <-time.After(time.Hour):
					if phase != update.Unreadable {
						t.Errorf("never reached")
					}
				}
				d.stop()
				d = boot(t, w, f)
				defer d.stop()
				settle()
				status := f.status(x)
				expected := want[phase]
				if expected == "" {
					expected = jobs.Succeeded
					if w.wrong != nil {
						expected = jobs.Failed
					}
				}
				if status != expected || w.installs["6"] > 1 {
					t.Errorf("status %s, want %s; installs %v", status, expected, w.installs)
				}
				if runs := w.version(); (runs == "6") != (status == jobs.Succeeded) || f.reported["softwareVersion"] != runs {
					t.Errorf("%s, version %s runs, %v is reported", status, runs, f.reported["softwareVersion"])
				}
				inOrder(t, f.said())
			})
		})
	}
}

func TestCanceled(t *testing.T) {
	for _, row := range []struct {
		name   string
		after  time.Duration // works take a minute each
		status jobs.ExecutionStatus
		runs   string
	}{
		{"while resolving", 30 * time.Second, jobs.Canceled, "5"},
		{"while downloading", 150 * time.Second, jobs.Canceled, "5"},
		{"while installing", 270 * time.Second, jobs.Canceled, "5"},
		{"while switching", 330 * time.Second, jobs.Canceled, "5"},
		{"on trial", 390 * time.Second, jobs.Canceled, "5"},
		{"while committing", 450 * time.Second, jobs.Canceled, "6"},
		{"removed while installing", 270 * time.Second, jobs.Removed, "6"},
		{"timed out on trial", 390 * time.Second, jobs.TimedOut, "5"},
	} {
		t.Run(row.name, func(t *testing.T) {
			scene(t, func(t *testing.T, w *world, f *fleet) {
				w.slow = time.Minute
				x := f.push("fw-6", w.doc("6"))
				d := boot(t, w, f)
				defer d.stop()
				pass(row.after)
				f.end(x, row.status)
				settle()
				if w.version() != row.runs || f.status(x) != row.status || f.reported["softwareVersion"] != row.runs {
					t.Errorf("version %s, status %s, reported %v", w.version(), f.status(x), f.reported)
				}
				next := f.push("fw-7", w.doc("7"))
				settle()
				if f.status(next) != jobs.Succeeded {
					t.Errorf("the next job: %s", f.status(next))
				}
			})
		})
	}
}

// TestCanceledWhileOff: the execution was ended while the device was off.
func TestCanceledWhileOff(t *testing.T) {
	scene(t, func(t *testing.T, w *world, f *fleet) {
		w.slow = time.Minute
		x := f.push("fw-6", w.doc("6"))
		d := boot(t, w, f)
		pass(150 * time.Second)
		d.stop()
		f.drop(false)
		f.end(x, jobs.Canceled)
		d = boot(t, w, f)
		defer d.stop()
		settle()
		if w.version() != "5" || w.installs["6"] != 0 {
			t.Errorf("version %s, installs %v", w.version(), w.installs)
		}
	})
}

// TestKnownExecution: a restored server offers an execution again that has
// ended here.
func TestKnownExecution(t *testing.T) {
	scene(t, func(t *testing.T, w *world, f *fleet) {
		w.wrong = func(work string) error {
			if work == "check" {
				return errors.New("sick")
			}
			return nil
		}
		x := f.push("fw-6", w.doc("6"))
		d := boot(t, w, f)
		defer d.stop()
		settle()
		w.mu.Lock()
		w.wrong = nil
		w.mu.Unlock()
		f.said()
		f.mu.Lock()
		x.Status, x.VersionNumber = jobs.Queued, 1
		f.mu.Unlock()
		f.drop(false)
		settle()
		if f.status(x) != jobs.Failed || w.installs["6"] != 1 {
			t.Errorf("status %s, installs %v", f.status(x), w.installs)
		}
		// The same job as another execution is another try.
		again := f.push("fw-6", w.doc("6"))
		settle()
		if f.status(again) != jobs.Succeeded || w.installs["6"] != 2 {
			t.Errorf("status %s, installs %v", f.status(again), w.installs)
		}
	})
}

func TestCorruptJournal(t *testing.T) {
	scene(t, func(t *testing.T, w *world, f *fleet) {
		w.slow = time.Minute
		x := f.push("fw-6", w.doc("6"))
		d := boot(t, w, f)
		defer func() { d.stop() }()
		settle()
		if f.status(x) != jobs.Succeeded {
			t.Fatal(f.status(x))
		}
		y := f.push("fw-7", w.doc("7"))
		pass(390 * time.Second) // on trial
		d.stop()
		corrupt(t, w)
		d = boot(t, w, f)
		settle()
		if w.version() != "6" || f.status(y) != jobs.Failed || w.installs["7"] != 1 || f.reported["softwareVersion"] != "6" {
			t.Errorf("version %s, status %s, installs %v, reported %v", w.version(), f.status(y), w.installs, f.reported)
		}
		if got := y.StatusDetails["reason"]; !strings.Contains(got, "state could not be read") {
			t.Errorf("reason %q", got)
		}
	})
}

func corrupt(t *testing.T, w *world) {
	t.Helper()
	file, err := w.disk.OpenFile("state.json", 1 /* O_WRONLY */, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write([]byte("xx"))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestFullDisk fails the n-th step on the disk under the journal: the device
// says so or goes on, and never gets stuck.
func TestFullDisk(t *testing.T) {
	for n := 1; n <= 80; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			scene(t, func(t *testing.T, w *world, f *fleet) {
				d := boot(t, w, f)
				defer d.stop()
				settle()
				w.disk.FailAt(n, errors.New("no space left on device"))
				x := f.push("fw-6", w.doc("6"))
				settle()
				if status := f.status(x); !status.Terminal() || (status == jobs.Succeeded) != (w.version() == "6") {
					t.Errorf("status %s, version %s", status, w.version())
				}
			})
		})
	}
}

// TestFloor: a signed roll-back floor counts from when it is seen, also when
// the update that brought it failed, and outlives the agent.
func TestFloor(t *testing.T) {
	scene(t, func(t *testing.T, w *world, f *fleet) {
		target := w.targets["app/app-7"]
		target.Custom.RollbackFloor = 65000
		w.targets["app/app-7"] = target
		w.wrong = func(work string) error {
			if work == "check" {
				return errors.New("sick")
			}
			return nil
		}
		d := boot(t, w, f)
		for _, version := range []string{"6", "7"} { // the first one is below the floor to come
			f.push(protocol.JobID("fw-"+version), w.doc(version))
			settle()
		}
		d.stop()
		d = boot(t, w, f)
		settle()
		f.push("fw-6-again", w.doc("6"))
		settle()
		d.stop()
		if len(w.committed) == 0 || w.committed[len(w.committed)-1].Floor != 65000 {
			t.Errorf("resolved over %+v", w.committed)
		}
		if got := w.committed[0].Floor; got != 0 {
			t.Errorf("the floor is %d before it was seen", got)
		}
	})
}

func TestRegister(t *testing.T) {
	scene(t, func(t *testing.T, w *world, f *fleet) {
		d := boot(t, w, f, func(c *agent.Config) { c.Register = true })
		defer d.stop()
		settle()
		if diff := cmp.Diff(map[string]any{"register": true}, f.reported["muster"]); diff != "" {
			t.Error(diff)
		}
	})
}

// TestNonsense: messages that make no sense change nothing.
func TestNonsense(t *testing.T) {
	scene(t, func(t *testing.T, w *world, f *fleet) {
		d := boot(t, w, f)
		defer d.stop()
		settle()
		for _, name := range []string{
			topic.Jobs(thing, "notify-next"), topic.Jobs(thing, "start-next/accepted"), topic.Jobs(thing, "$next/get/rejected"),
			topic.Jobs(thing, "x/update/accepted"), topic.Shadow(thing, "", "update/rejected"), "", "/accepted",
		} {
			for _, payload := range []string{"", "{", "null", `{"execution":7}`, `{"execution":{"status":"QUEUED"}}`, `{"clientToken":7}`, `{"clientToken":"x"}`, strings.Repeat("[", 300_000)} {
				f.session.deliver(name, []byte(payload))
			}
		}
		settle()
		x := f.push("fw-6", w.doc("6"))
		settle()
		if f.status(x) != jobs.Succeeded {
			t.Error(f.status(x))
		}
	})
}

func TestNew(t *testing.T) {
	w := newWorld()
	f := newFleet(t)
	good := agent.Config{Thing: thing, Transport: f, Journal: nil, Trust: w, Fetcher: w, Installers: map[string]agent.Installer{"app": w}}
	for name, change := range map[string]func(*agent.Config){
		"no journal":    func(*agent.Config) {},
		"bad name":      func(c *agent.Config) { c.Thing = "a b" },
		"no products":   func(c *agent.Config) { c.Installers = nil },
		"other primary": func(c *agent.Config) { c.Primary = "tv" },
	} {
		cfg := good
		change(&cfg)
		if _, err := agent.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
