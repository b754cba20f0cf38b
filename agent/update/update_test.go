package update_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/protocol/jobs"
	document "github.com/muster-iot/muster/protocol/update"
)

var (
	now    = time.Unix(1_740_830_400, 0)
	id6    = update.Identity{JobID: "fw-6", ExecutionNumber: 1, QueuedAt: 1_740_830_000}
	five   = update.Release{Version: "5", Seq: 50000, SHA256: "05"}
	target = firmware.Target{
		Path: "app/app-6.tar.zst", Length: 10, SHA256: firmware.Digest{6},
		Custom: firmware.Custom{Product: "app", Version: "6", Seq: 60000},
	}
)

const doc6 = `{"muster":1,"operation":"install","product":"app","target":"app/app-6.tar.zst","version":"6","seq":60000}`

func execution(status jobs.ExecutionStatus, doc string) *jobs.Execution {
	return &jobs.Execution{
		JobID: id6.JobID, ExecutionNumber: id6.ExecutionNumber, QueuedAt: id6.QueuedAt,
		Status: status, VersionNumber: 2, JobDocument: []byte(doc),
	}
}

// at returns a state in the given phase, in the middle of the update to 6.
func at(p update.Phase) update.State {
	s := update.State{Schema: update.Schema, Phase: p, Stores: 3}
	switch p {
	case update.Idle, update.Unreadable:
		return s
	case update.Chosen:
		s.Execution = id6
		return s
	}
	s.Execution, s.VersionNumber, s.From, s.Confirmed = id6, 2, five, true
	s.Document, _, _ = document.Parse([]byte(doc6))
	if p != update.Metadata {
		s.Target = target
	}
	switch p {
	case update.Trial:
		s.Tries = 1
	case update.Reporting:
		s.Outcome = update.Outcome{Status: jobs.Succeeded, Running: update.ReleaseOf(target)}
	case update.RollingBack, update.RolledBack:
		s.Outcome = update.Outcome{Status: jobs.Failed, Reason: "it broke"}
	}
	return s
}

// sample returns one event of each kind, as it comes for the execution at hand.
func sample(kind update.EventKind) update.Event {
	e := update.Event{Kind: kind, For: id6, Reason: "it broke", Committed: map[string]update.Release{"app": five}}
	switch kind {
	case update.Offered, update.Described:
		e.Execution = execution(jobs.InProgress, doc6)
	case update.Hinted:
		e.Execution = execution(jobs.Queued, doc6)
	case update.Accepted:
		e.Status, e.VersionNumber = jobs.Succeeded, 3
	case update.Done:
		e.Target = target
	}
	return e
}

// show writes what a step did as one word per effect.
func show(next update.State, effects []update.Effect) string {
	words := []string{string(next.Phase) + ":"}
	for _, e := range effects {
		word := string(e.Kind)
		if e.Kind == update.Report {
			word += "(" + string(e.Status) + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// TestEveryStateAndEvent walks every pair. The table is the machine as people
// read it: rows are phases, a line per event; "=" is that nothing happens.
func TestEveryStateAndEvent(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(everyPair), "\n")
	want := map[string]string{}
	for _, line := range lines {
		phase, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		event, what, _ := strings.Cut(strings.TrimSpace(rest), " ")
		want[phase+" "+event] = strings.TrimSpace(what)
	}
	var got []string
	for _, phase := range update.Phases() {
		for _, kind := range update.Events {
			before := at(phase)
			next, effects := update.Step(now, before, sample(kind))
			key, what := string(phase)+" "+string(kind), show(next, effects)
			if cmp.Equal(next, before) && len(effects) == 0 {
				what = "="
			}
			got = append(got, fmt.Sprintf("%-12s %-10s %s", phase, kind, what))
			if want[key] != what {
				t.Errorf("%s: got %q, want %q", key, what, want[key])
			}
			delete(want, key)
			written(t, key, before, next, effects)
		}
	}
	for key := range want {
		t.Errorf("%s is in the table, but it is no pair", key)
	}
	if t.Failed() {
		t.Log("\n" + strings.Join(got, "\n"))
	}
}

// written checks what holds for every step: a new phase is written before
// anything is done about it.
func written(t *testing.T, name string, before, next update.State, effects []update.Effect) {
	t.Helper()
	if next.Phase == before.Phase || strings.HasSuffix(name, string(update.Unsaved)) && next.Phase == update.Trial {
		return // nothing new, or back to a phase that was written before
	}
	for _, e := range effects {
		switch e.Kind {
		case update.Stop:
			continue
		case update.Persist:
			return
		}
		t.Errorf("%s: %s is done before phase %s is written", name, e.Kind, next.Phase)
		return
	}
	if next.Phase != update.Idle {
		t.Errorf("%s: phase %s is never written", name, next.Phase)
	}
}

func TestResumeAfterCrash(t *testing.T) {
	for _, row := range []struct {
		at, leads update.Phase
		effects   string
		reason    string
	}{
		{update.Idle, update.Idle, "IDLE:", ""},
		{update.Chosen, update.Chosen, "ACCEPTED:", ""},
		{update.Metadata, update.Metadata, "METADATA: persist resolve", ""},
		{update.Downloading, update.Downloading, "DOWNLOADING: persist report(IN_PROGRESS) download", ""},
		{update.Staged, update.Staged, "STAGED: persist verify", ""},
		{update.Installing, update.RollingBack, "ROLLING_BACK: persist rollback", "the agent stopped while installing"},
		{update.Switching, update.RollingBack, "ROLLING_BACK: persist rollback", "the agent stopped while switching"},
		{update.Trial, update.Trial, "TRIAL: persist report(IN_PROGRESS) check", ""},
		{update.Committing, update.Committing, "COMMITTING: commit", ""},
		{update.Reporting, update.Reporting, "REPORTING:", ""},
		{update.RollingBack, update.RollingBack, "ROLLING_BACK: persist rollback", "it broke"},
		{update.RolledBack, update.RolledBack, "ROLLED_BACK: persist clean", "it broke"},
		{update.Unreadable, update.RollingBack, "ROLLING_BACK: persist rollback", "the agent's state could not be read"},
		{"REBOOTING", update.RollingBack, "ROLLING_BACK: persist rollback", "the agent's state could not be read"},
	} {
		t.Run(string(row.at), func(t *testing.T) {
			next, effects := update.Step(now, at(row.at), update.Event{Kind: update.Boot})
			if got := show(next, effects); got != row.effects || next.Phase != row.leads || update.Resume(row.at) != row.leads {
				t.Errorf("got %q, table %s; want %q", got, update.Resume(row.at), row.effects)
			}
			if next.Outcome.Reason != row.reason && next.Outcome.Status == jobs.Failed {
				t.Errorf("reason %q, want %q", next.Outcome.Reason, row.reason)
			}
		})
	}
}

// TestNothingIsInstalledUnconfirmed: after a start the fleet side may have
// ended the execution long ago, perhaps because this device said so.
func TestNothingIsInstalledUnconfirmed(t *testing.T) {
	s, _ := update.Step(now, at(update.Staged), update.Event{Kind: update.Boot})
	s, effects := update.Step(now, s, update.Event{Kind: update.Done})
	if got := show(s, effects); got != "STAGED: ask" {
		t.Fatalf("verified, unconfirmed: %s", got)
	}
	if next, effects := update.Step(now, s, update.Event{Kind: update.Hinted, Execution: execution(jobs.InProgress, doc6)}); next.Phase != update.Staged {
		t.Errorf("a hint confirms: %s", show(next, effects))
	}
	for kind, want := range map[update.EventKind]string{
		update.Offered:   "INSTALLING: persist report(IN_PROGRESS) install",
		update.Described: "INSTALLING: persist report(IN_PROGRESS) install",
		update.Gone:      "ROLLED_BACK: stop persist clean",
	} {
		if got := show(update.Step(now, s, sample(kind))); got != want {
			t.Errorf("%s: got %q, want %q", kind, got, want)
		}
	}
}

func TestTrialHasFewTries(t *testing.T) {
	s := at(update.Trial)
	for try := 2; try <= update.MaxTries; try++ {
		s, _ = update.Step(now, s, update.Event{Kind: update.Boot})
		if s.Phase != update.Trial || s.Tries != try {
			t.Fatalf("start %d: phase %s with %d tries", try, s.Phase, s.Tries)
		}
	}
	s, _ = update.Step(now, s, update.Event{Kind: update.Boot})
	if s.Phase != update.RollingBack || s.Outcome.Status != jobs.Failed {
		t.Errorf("after the last try: phase %s, outcome %+v", s.Phase, s.Outcome)
	}
}

func TestLoopBreaker(t *testing.T) {
	for _, phase := range update.Phases() {
		t.Run(string(phase), func(t *testing.T) {
			s := at(phase)
			for range 3 * update.MaxStores {
				s, _ = update.Step(now, s, update.Event{Kind: update.Boot})
			}
			switch s.Phase {
			case update.Reporting:
				if phase != update.Reporting && s.Outcome.Status != jobs.Failed {
					t.Errorf("outcome %+v", s.Outcome)
				}
			case update.Idle, update.Chosen, update.Committing: // wait, or must end
			case update.RollingBack: // every start tries anew when nothing is known
				if phase != update.Unreadable {
					t.Errorf("still in %s", s.Phase)
				}
			default:
				t.Errorf("still in %s", s.Phase)
			}
		})
	}
}

func TestBegin(t *testing.T) {
	finished := update.Outcome{Status: jobs.Failed, Reason: "no"}
	for _, row := range []struct {
		name   string
		state  update.State
		status jobs.ExecutionStatus
		doc    string
		want   string
		reason string
	}{
		{"new", update.State{}, jobs.InProgress, doc6, "METADATA: persist resolve", ""},
		{"queued is started first", update.State{}, jobs.Queued, doc6, "ACCEPTED: persist start", ""},
		{
			"known execution is answered again",
			update.State{Finished: []update.Finished{{Execution: id6, Outcome: finished}}},
			jobs.InProgress, doc6, "REPORTING: persist report(FAILED)", "no",
		},
		{
			"same job at another time is new",
			update.State{Finished: []update.Finished{{Execution: update.Identity{JobID: "fw-6", ExecutionNumber: 1, QueuedAt: 1}, Outcome: finished}}},
			jobs.InProgress, doc6, "METADATA: persist resolve", "",
		},
		{
			"already there",
			update.State{},
			jobs.InProgress, strings.NewReplacer(`"6"`, `"5"`, "60000", "50000").Replace(doc6),
			"REPORTING: persist report(SUCCEEDED)", "",
		},
		{"same version under another seq", update.State{}, jobs.InProgress, strings.Replace(doc6, `"6"`, `"5"`, 1), "METADATA: persist resolve", ""},
		{
			"not our document",
			update.State{},
			jobs.InProgress, `{"operation":"reboot"}`,
			"REPORTING: persist report(REJECTED)", "the job document is not one that this agent knows",
		},
		{"no document", update.State{}, jobs.InProgress, ``, "REPORTING: persist report(REJECTED)", "the job document is not one that this agent knows"},
		{
			"unknown operation",
			update.State{},
			jobs.InProgress, strings.Replace(doc6, "install", "explode", 1),
			"REPORTING: persist report(REJECTED)", `job document has unknown operation "explode"`,
		},
		{
			"worked on before the journal was lost",
			update.State{Lost: true},
			jobs.InProgress, doc6,
			"REPORTING: persist report(FAILED)", "the agent's state could not be read, so the update is not tried again; the committed version runs",
		},
		{"queued when the journal was lost", update.State{Lost: true}, jobs.Queued, doc6, "ACCEPTED: persist start", ""},
		{"ended", update.State{}, jobs.Canceled, doc6, "IDLE:", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.state.Phase = update.Idle
			e := update.Event{Kind: update.Offered, Execution: execution(row.status, row.doc), Committed: map[string]update.Release{"app": five}}
			next, effects := update.Step(now, row.state, e)
			if got := show(next, effects); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
			if next.Outcome.Reason != row.reason {
				t.Errorf("reason %q, want %q", next.Outcome.Reason, row.reason)
			}
			if next.Phase == update.Metadata && next.From != five {
				t.Errorf("from %+v", next.From)
			}
		})
	}
}

// TestOrderOnTheWire is rule 22: SUCCEEDED with the versions, accepted, and
// only then the shadow.
func TestOrderOnTheWire(t *testing.T) {
	s := at(update.Committing)
	s, effects := update.Step(now, s, sample(update.Done))
	want := []update.Effect{{Kind: update.Persist}, {
		Kind: update.Report, Status: jobs.Succeeded,
		Details: jobs.StatusDetails{"softwareVersion": "6", "softwareSeq": "60000"},
	}}
	if diff := cmp.Diff(want, effects); diff != "" {
		t.Error(diff)
	}
	for _, kind := range []update.EventKind{update.Connected, update.Boot} {
		_, effects = update.Step(now, s, update.Event{Kind: kind})
		if slices.ContainsFunc(effects, func(e update.Effect) bool { return e.Kind == update.Versions }) {
			t.Errorf("%s reports versions before SUCCEEDED is accepted: %v", kind, effects)
		}
	}
	progress := update.Event{Kind: update.Accepted, For: id6, Status: jobs.InProgress, VersionNumber: 9}
	if s, _ = update.Step(now, s, progress); s.Phase != update.Reporting || s.VersionNumber != 9 {
		t.Errorf("accepted progress: phase %s, version %d", s.Phase, s.VersionNumber)
	}
	s, effects = update.Step(now, s, sample(update.Accepted))
	if got := show(s, effects); got != "IDLE: persist versions ask" {
		t.Errorf("after accepted: %s", got)
	}
}

func TestEndedByTheFleetSide(t *testing.T) {
	gone := func(status jobs.ExecutionStatus) update.Event {
		return update.Event{Kind: update.Gone, For: id6, Status: status}
	}
	for _, row := range []struct {
		name  string
		at    update.Phase
		event update.Event
		want  string
	}{
		{"canceled while downloading", update.Downloading, gone(jobs.Canceled), "ROLLED_BACK: stop persist clean"},
		{"canceled on trial", update.Trial, gone(jobs.Canceled), "ROLLING_BACK: stop persist rollback"},
		{"canceled after the point of no return", update.Committing, gone(jobs.Canceled), "COMMITTING:"},
		{"removed mid-update is finished here", update.Trial, gone(jobs.Removed), "TRIAL:"},
		{"the end of another execution", update.Trial, update.Event{Kind: update.Gone, For: update.Identity{JobID: "old"}}, "TRIAL:"},
		{"another head: ask about ours", update.Downloading, update.Event{Kind: update.Hinted}, "DOWNLOADING: describe"},
		{"described as another one", update.Downloading, update.Event{Kind: update.Described, Execution: &jobs.Execution{JobID: "fw-6", Status: jobs.InProgress}}, "ROLLED_BACK: stop persist clean"},
		{"the report is not wanted any more", update.Reporting, gone(jobs.TimedOut), "IDLE: persist versions ask"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := show(update.Step(now, at(row.at), row.event)); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestCanceledWhileSwitching(t *testing.T) {
	s, effects := update.Step(now, at(update.Switching), update.Event{Kind: update.Gone, For: id6})
	if got := show(s, effects); got != "SWITCHING:" {
		t.Fatalf("the switch is to end first, got %q", got)
	}
	for _, want := range []string{"ROLLING_BACK: persist rollback", "ROLLED_BACK: persist clean", "IDLE: persist versions ask"} {
		s, effects = update.Step(now, s, update.Event{Kind: update.Done})
		if got := show(s, effects); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if len(s.Finished) != 0 {
		t.Errorf("a canceled execution is remembered as ended here: %+v", s.Finished)
	}
}

func TestReasonsAreFitToReport(t *testing.T) {
	s := at(update.Metadata)
	dirty := "line\x00 one\nline\ttwo \xff" + strings.Repeat("ä", 2000)
	s, effects := update.Step(now, s, update.Event{Kind: update.Failed, Reason: dirty})
	reason := effects[1].Details[document.KeyReason]
	if len(reason) > 1024 || strings.ContainsAny(reason, "\x00\n\t") || !strings.HasPrefix(reason, "line one line two ä") || !strings.HasSuffix(reason, "…") {
		t.Errorf("reason %q", reason)
	}
	if s.Outcome.Reason != reason {
		t.Errorf("journaled %q", s.Outcome.Reason)
	}
}

func TestFinishedIsBounded(t *testing.T) {
	s := update.State{}
	for n := range int64(3 * update.FinishedKept) {
		x := execution(jobs.InProgress, `{}`)
		x.ExecutionNumber = n
		s, _ = update.Step(now, s, update.Event{Kind: update.Offered, Execution: x})
		s, _ = update.Step(now, s, update.Event{Kind: update.Accepted, For: update.IdentityOf(x), Status: jobs.Rejected})
	}
	if len(s.Finished) != update.FinishedKept || s.Finished[update.FinishedKept-1].Execution.ExecutionNumber != 3*update.FinishedKept-1 {
		t.Errorf("finished: %+v", s.Finished)
	}
}
