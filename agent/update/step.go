package update

import (
	"time"

	"github.com/muster-iot/muster/protocol/jobs"
	document "github.com/muster-iot/muster/protocol/update"
)

// Step is the machine: what an event leads to. It is total: every pair of
// state and event has an answer, and one that has no meaning changes nothing.
func Step(now time.Time, s State, e Event) (State, []Effect) {
	r := rowOf(s.Phase)
	switch e.Kind {
	case Boot:
		return boot(now, s, r)
	case Connected:
		return s, greeting(s, r)
	case Offered:
		return offered(now, s, r, e)
	case Hinted:
		return hinted(now, s, r, e)
	case Described:
		return described(now, s, r, e)
	case Accepted:
		return accepted(now, s, e)
	case Mismatch:
		if e.For == s.Execution && s.open() {
			return s, []Effect{{Kind: Describe}}
		}
	case Gone:
		return gone(now, s, r, e)
	case Done, Refused, Failed:
		return ended(now, s, r, e)
	case Unsaved:
		return unsaved(now, s, r, e)
	}
	return s, nil
}

// open reports whether there is an execution that the fleet side may still
// hear about.
func (s State) open() bool { return s.Execution != Identity{} && !s.Canceled }

// enter begins a phase: it is counted and written, then its work starts.
func enter(now time.Time, s State, p Phase) (State, []Effect) {
	if s.Stores >= limit(p) {
		s, p = giveUp(s, p)
	}
	if p == Idle {
		s = fresh(s)
	}
	s.Schema, s.Phase, s.Since = Schema, p, now.Unix()
	s.Stores++
	r := rowOf(p)
	effects := []Effect{{Kind: Persist}}
	if p == Idle {
		// What happened is told, then what runs, then the next job is asked
		// for, in this order (rule 22).
		return s, append(effects, Effect{Kind: Versions}, Effect{Kind: Ask})
	}
	if p == Reporting || r.progress && s.open() {
		effects = append(effects, reportOf(s))
	}
	if r.work != "" {
		effects = append(effects, Effect{Kind: r.work})
	}
	return s, effects
}

// limit returns the number of writes from which on a phase is not begun any
// more. What must end by itself has none.
func limit(p Phase) int {
	switch p {
	case Idle, Reporting, Committing:
		return int(^uint(0) >> 1)
	case RollingBack, RolledBack:
		return MaxStores + RollbackStores
	}
	return MaxStores
}

// giveUp is the loop breaker: it returns the phase to begin instead of p.
func giveUp(s State, p Phase) (State, Phase) {
	s.Outcome = Outcome{Status: jobs.Failed, Reason: "given up: the update did not end after many attempts"}
	switch p {
	case RollingBack, RolledBack:
		s.Outcome.Reason = "given up: rolling back did not end after many attempts"
		s.Inconsistent = s.Inconsistent || p == RollingBack
		return s, afterClean(s)
	case Switching, Trial, Installing:
		s.Tries = 0
		return s, RollingBack
	}
	return s, RolledBack
}

// boot resumes after a start from the table's resume column.
func boot(now time.Time, s State, r row) (State, []Effect) {
	next := r.resume
	s.Confirmed, s.Ready = false, false
	if r.phase == Unreadable {
		s = State{Lost: true, Finished: s.Finished}
	}
	switch {
	case next == Idle && s.Inconsistent:
		s, next = fresh(s), RollingBack
	case next == Idle:
		s.Phase = Idle
		return s, nil
	case next == Reporting, next == Chosen:
		return s, nil // greeted again at connect
	case next == Committing:
		return s, []Effect{{Kind: r.work}} // written already, and past the point of no return
	case next == Trial && s.Tries >= MaxTries:
		s.Outcome = failure("the new version did not become healthy in " + tries(s.Tries) + " starts")
		s.Tries, next = 0, RollingBack
	case next == Trial:
		s.Tries++
	case next != r.phase:
		s.Outcome, s.Tries = failure(r.interrupted), 0
	}
	return enter(now, s, next)
}

// greeting is what is said first in a new session.
func greeting(s State, r row) []Effect {
	var effects []Effect
	if r.versions {
		effects = append(effects, Effect{Kind: Versions})
	}
	switch r.phase {
	case Reporting:
		effects = append(effects, reportOf(s))
	case Trial:
		if s.open() {
			effects = append(effects, reportOf(s))
		}
	case Switching, Committing, RollingBack, RolledBack, Unreadable:
		// Nothing is decided by the fleet side until the work ends.
	default:
		effects = append(effects, Effect{Kind: Ask})
	}
	return effects
}

// offered handles the head of the queue as the fleet side answered it.
func offered(now time.Time, s State, r row, e Event) (State, []Effect) {
	if r.phase != Idle && r.phase != Chosen {
		if e.Execution != nil && IdentityOf(e.Execution) == s.Execution && !e.Execution.Status.Terminal() {
			return confirm(now, s, e.Execution.VersionNumber)
		}
		return reconcile(s, r, e.Execution)
	}
	x := e.Execution
	switch {
	case x == nil || x.Status.Terminal():
		s.Lost = false // nothing is in progress
		if r.phase == Idle {
			return s, nil
		}
		// The head went away between the offer and its start. A notification
		// follows when there is another; asking again could go on for ever.
		next, effects := finish(now, s)
		return next, effects[:1]
	case x.Status != jobs.InProgress:
		return choose(now, s, r, x)
	}
	return begin(now, s, x, e.Committed)
}

// hinted handles a notification: it never decides anything by itself.
func hinted(now time.Time, s State, r row, e Event) (State, []Effect) {
	switch {
	case r.phase != Idle:
		return reconcile(s, r, e.Execution)
	case e.Execution == nil:
		return s, nil
	case e.Execution.Status == jobs.Queued && !s.Lost:
		return choose(now, s, r, e.Execution)
	}
	return s, []Effect{{Kind: Ask}}
}

// reconcile checks, while an execution is worked on, that it is still the one
// that the fleet side wants.
func reconcile(s State, r row, x *jobs.Execution) (State, []Effect) {
	switch {
	case r.canceled == "" || r.phase == Chosen || !s.open():
		return s, nil
	case x != nil && IdentityOf(x) == s.Execution:
		s.VersionNumber = max(s.VersionNumber, x.VersionNumber)
		return s, nil
	}
	return s, []Effect{{Kind: Describe}}
}

// choose writes down which execution is about to be started.
func choose(now time.Time, s State, r row, x *jobs.Execution) (State, []Effect) {
	if r.phase == Chosen && s.Execution == IdentityOf(x) {
		return s, []Effect{{Kind: Start}}
	}
	s = fresh(s)
	s.Lost = false // it has not been started, so it is not one that was worked on
	s.Execution, s.VersionNumber = IdentityOf(x), x.VersionNumber
	return enter(now, s, Chosen)
}

// begin decides about an execution that is in progress: it is worked on at
// most once, and only when it leads to something new.
func begin(now time.Time, s State, x *jobs.Execution, committed map[string]Release) (State, []Effect) {
	lost := s.Lost
	s = fresh(s)
	s.Lost = false
	s.Execution, s.VersionNumber, s.Confirmed = IdentityOf(x), x.VersionNumber, true
	if o, ok := s.known(s.Execution); ok {
		s.Outcome = o
		return enter(now, s, Reporting)
	}
	doc, ours, err := document.Parse(x.JobDocument)
	switch {
	case !ours:
		s.Outcome = refusal("the job document is not one that this agent knows")
	case err != nil:
		s.Outcome = refusal(err.Error())
	case !s.Inconsistent && committed[doc.Product].Version == doc.Version && committed[doc.Product].Seq == doc.Seq:
		s.Document = doc
		s.Outcome = Outcome{Status: jobs.Succeeded, Running: committed[doc.Product]}
	case lost:
		s.Document = doc
		s.Outcome = failure("the agent's state could not be read, so the update is not tried again; the committed version runs")
	default:
		s.Document, s.From = doc, committed[doc.Product]
		return enter(now, s, Metadata)
	}
	return enter(now, s, Reporting)
}

// fresh drops everything that belongs to an execution.
func fresh(s State) State {
	return State{Schema: Schema, Lost: s.Lost, Inconsistent: s.Inconsistent, Finished: s.Finished}
}

// described takes the fleet side's word on the execution of the state.
func described(now time.Time, s State, r row, e Event) (State, []Effect) {
	if !s.open() || r.phase == Chosen {
		return s, nil
	}
	if e.Execution == nil || IdentityOf(e.Execution) != s.Execution || e.Execution.Status.Terminal() {
		status := jobs.ExecutionStatus("")
		if e.Execution != nil && IdentityOf(e.Execution) == s.Execution {
			status = e.Execution.Status
		}
		return gone(now, s, r, Event{Kind: Gone, For: s.Execution, Status: status})
	}
	s, effects := confirm(now, s, e.Execution.VersionNumber)
	if r.phase == Reporting {
		return s, []Effect{reportOf(s)}
	}
	return s, effects
}

// confirm takes the fleet side's word that it still wants the execution.
func confirm(now time.Time, s State, version int64) (State, []Effect) {
	if s.Canceled {
		return s, nil
	}
	s.Confirmed, s.VersionNumber = true, version
	if s.Ready {
		s.Ready = false
		return enter(now, s, Installing)
	}
	return s, nil
}

// accepted takes a report off the list: the last one closes the execution.
func accepted(now time.Time, s State, e Event) (State, []Effect) {
	if e.For != s.Execution || !s.open() {
		return s, nil
	}
	version := max(s.VersionNumber, e.VersionNumber)
	if s.Phase == Reporting && e.Status == s.Outcome.Status {
		s.VersionNumber = version
		return finish(now, s)
	}
	return confirm(now, s, version)
}

// gone ends an execution that the fleet side has ended: before the point of
// no return the update is undone, after it it stays.
func gone(now time.Time, s State, r row, e Event) (State, []Effect) {
	switch {
	case e.For != s.Execution || !s.open():
		return s, nil
	case r.phase == Reporting:
		return finish(now, s)
	case r.canceled == "" || e.Status == jobs.Removed:
		// REMOVED: the device has left the job's target, perhaps because of
		// the update itself. It is finished here; its report will be dropped.
		return s, nil
	}
	s.Canceled, s.Ready = true, false
	s.Outcome = failure("the execution was ended by the fleet side")
	if r.wait {
		return s, nil
	}
	s, effects := leave(now, s, r.canceled)
	return s, append([]Effect{{Kind: Stop}}, effects...)
}

// leave goes where the end of an execution leads.
func leave(now time.Time, s State, p Phase) (State, []Effect) {
	if p == Idle {
		return finish(now, s)
	}
	s.Tries = 0
	return enter(now, s, p)
}

// ended handles the end of a phase's work.
func ended(now time.Time, s State, r row, e Event) (State, []Effect) {
	next := map[EventKind]Phase{Done: r.done, Refused: r.refused, Failed: r.failed}[e.Kind]
	switch {
	case next == "":
		return s, nil
	case s.Canceled && r.canceled != "":
		return leave(now, s, r.canceled)
	case r.phase == Committing && e.Kind == Failed:
		return s, []Effect{{Kind: r.work, After: CommitRetry}}
	case r.phase == RollingBack && e.Kind != Done:
		return rollbackFailed(now, s, e)
	case r.phase == RolledBack:
		return leave(now, s, afterClean(s))
	case r.phase == Staged && e.Kind == Done && !s.Confirmed:
		s.Ready = true
		return s, []Effect{{Kind: Ask}}
	}
	switch {
	case e.Kind == Refused:
		s.Outcome = refusal(e.Reason)
	case e.Kind == Failed:
		s.Outcome = failure(e.Reason)
	case r.phase == Metadata:
		s.Target = e.Target
	case r.phase == RollingBack:
		s.Inconsistent = false
	case r.phase == Committing:
		s.Inconsistent = false
		s.Outcome = Outcome{Status: jobs.Succeeded, Running: ReleaseOf(s.Target)}
	}
	s.Tries = 0
	if next == Trial {
		s.Tries = 1
	}
	return enter(now, s, next)
}

// rollbackFailed tries again, then goes on with what is true.
func rollbackFailed(now time.Time, s State, e Event) (State, []Effect) {
	s.Tries++
	if s.Tries < MaxTries {
		return enter(now, s, RollingBack)
	}
	s.Inconsistent = true
	s.Outcome = failure(s.Outcome.Reason + "; rolling back failed too: " + e.Reason)
	s.Tries = 0
	return enter(now, s, RolledBack)
}

// afterClean returns where an undone update ends: in its report, if anyone
// wants it.
func afterClean(s State) Phase {
	if s.open() {
		return Reporting
	}
	return Idle
}

// unsaved handles a state that could not be written: an update that has
// touched nothing fails, one that has is undone, everything else goes on.
func unsaved(now time.Time, s State, r row, e Event) (State, []Effect) {
	if r.phase == Committing {
		// Perhaps it was written and perhaps not: both agree with a new version
		// that stays and is looked at again.
		s.Phase = r.unsaved
		return s, []Effect{{Kind: Check, After: CommitRetry}}
	}
	if r.unsaved != "" {
		s.Outcome, s.Tries = failure("cannot write the agent's state: "+e.Reason), 0
		return enter(now, s, r.unsaved)
	}
	switch {
	case r.phase == Reporting:
		return s, []Effect{reportOf(s)}
	case r.work != "":
		return s, []Effect{{Kind: r.work}}
	case r.phase == Idle:
		return s, []Effect{{Kind: Versions}, {Kind: Ask}}
	}
	return s, nil
}

// finish closes the execution and remembers how it ended.
func finish(now time.Time, s State) (State, []Effect) {
	if s.open() && s.Outcome.Status != "" {
		s.Finished = remember(s.Finished, Finished{Execution: s.Execution, Outcome: s.Outcome, At: now.Unix()})
	}
	return enter(now, s, Idle)
}

// remember adds to the finished executions, in a list of its own.
func remember(list []Finished, f Finished) []Finished {
	kept := make([]Finished, 0, FinishedKept)
	for _, old := range list {
		if old.Execution != f.Execution {
			kept = append(kept, old)
		}
	}
	if over := len(kept) + 1 - FinishedKept; over > 0 {
		kept = kept[over:]
	}
	return append(kept, f)
}
