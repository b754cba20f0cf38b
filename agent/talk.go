package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
	document "github.com/muster-iot/muster/protocol/update"
)

// talk is the conversation with the fleet side: one request at a time, in the
// order in which the machine asked for them. A lost session ends it; what
// still matters is asked for again when the next one begins.
type talk struct {
	link  *link
	queue []saying
	busy  bool
	// mismatches counts version mismatches since the last accepted report.
	mismatches int
	running    sync.WaitGroup
}

// saying is one request to make.
type saying struct {
	effect update.Effect
	// about is the execution that a Describe or Report is about.
	about update.Identity
	// failed counts attempts.
	failed int
}

// answer is how a request ended.
type answer struct {
	link   *link
	saying saying
	// event is what the machine hears; an empty kind is nothing.
	event update.Event
	// err is why there is no answer yet: the request is made again.
	err error
}

// reset begins the conversation in a new session, or ends it with nil.
func (t *talk) reset(l *link) { t.link, t.queue, t.busy, t.mismatches = l, nil, false, 0 }

func (t *talk) wait() { t.running.Wait() }

// say queues a request. A newer one replaces one of its kind that was not made yet.
func (a *Agent) say(ctx context.Context, e update.Effect) {
	t := &a.talk
	if t.link == nil {
		return
	}
	s := saying{effect: e, about: a.state.Execution}
	for i, old := range t.queue {
		if old.effect.Kind == e.Kind {
			t.queue = append(t.queue[:i], t.queue[i+1:]...)
			break
		}
	}
	t.queue = append(t.queue, s)
	a.sayNext(ctx)
}

// sayNext makes the next request that still has a meaning.
func (a *Agent) sayNext(ctx context.Context) {
	t := &a.talk
	for !t.busy && len(t.queue) > 0 {
		s := t.queue[0]
		t.queue = t.queue[1:]
		request, ok := a.request(s)
		if !ok {
			continue
		}
		t.busy = true
		pause := time.Duration(0)
		if n := max(s.failed, t.mismatches-1); n > 0 {
			pause = a.cfg.Retry.pause(a.rand, n-1)
		}
		link := t.link
		t.running.Go(func() { a.ask(ctx, link, s, request, pause) })
	}
}

// ask makes a request, on a goroutine of its own.
func (a *Agent) ask(ctx context.Context, l *link, s saying, r request, pause time.Duration) {
	ans := answer{link: l, saying: s}
	if !l.sleep(ctx, pause) {
		return
	}
	reply, err := l.request(ctx, r.topic, r.body, a.cfg.AnswerTimeout)
	if err == nil {
		ans.event, err = r.read(reply)
	}
	ans.err = err
	select {
	case a.answers <- ans:
	case <-l.session.Done():
	case <-ctx.Done():
	}
}

// sleep waits unless the session ends first.
func (l *link) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-l.session.Done():
		return false
	case <-ctx.Done():
		return context.Cause(ctx) == context.DeadlineExceeded
	}
}

// answered goes on with the conversation after a request.
func (a *Agent) answered(ctx context.Context, ans answer) {
	t := &a.talk
	if ans.link != t.link {
		return
	}
	t.busy = false
	switch {
	case ans.err != nil:
		ans.event = update.Event{}
		a.log.Info("the server did not answer", "request", ans.saying.effect.Kind, "err", ans.err)
		a.again(ans.saying)
	case ans.event.Kind == update.Mismatch:
		t.mismatches++
	case ans.event.Kind == update.Accepted:
		t.mismatches = 0
	}
	if ans.event.Kind == update.Offered {
		ans.event.Committed = a.snapshot()
	}
	if ans.event.Kind != "" {
		a.step(ctx, ans.event)
	}
	a.sayNext(ctx)
}

// again queues a request that has no answer. Progress is not worth it, and
// what runs here can wait for what is decided.
func (a *Agent) again(s saying) {
	t := &a.talk
	s.failed++
	for _, newer := range t.queue {
		if newer.effect.Kind == s.effect.Kind {
			return
		}
	}
	switch {
	case s.effect.Kind == update.Report && s.effect.Status == jobs.InProgress:
	case s.effect.Kind == update.Versions:
		t.queue = append(t.queue, s)
	default:
		t.queue = append([]saying{s}, t.queue...)
	}
}

// request is a message to the service and how its answer reads.
type request struct {
	topic string
	body  func(token string) any
	// read turns the answer into an event; an error is that the service
	// cannot answer now.
	read func(reply) (update.Event, error)
}

// request makes the message of a saying; false when it has lost its meaning.
func (a *Agent) request(s saying) (request, bool) {
	thing := a.cfg.Thing
	switch s.effect.Kind {
	case update.Ask:
		return request{
			topic: topic.Job(thing, topic.NextJob, "get"),
			body:  func(token string) any { return jobs.DescribeRequest{ClientToken: token} },
			read:  a.readOffer,
		}, true
	case update.Start:
		return request{
			topic: topic.Jobs(thing, "start-next"),
			body:  func(token string) any { return jobs.StartNextRequest{ClientToken: token} },
			read:  a.readOffer,
		}, true
	case update.Versions:
		reported := a.reported()
		return request{
			topic: topic.Shadow(thing, "", "update"),
			body: func(token string) any {
				return shadowUpdate{State: shadowState{Reported: reported}, ClientToken: token}
			},
			read: a.readShadow,
		}, update.ReportsVersions(a.state)
	}
	if s.about != a.state.Execution || s.about == (update.Identity{}) {
		return request{}, false
	}
	number, version := s.about.ExecutionNumber, jobs.Version(a.state.VersionNumber)
	if s.effect.Kind == update.Describe {
		return request{
			topic: topic.Job(thing, s.about.JobID, "get"),
			body: func(token string) any {
				return jobs.DescribeRequest{ExecutionNumber: &number, IncludeJobDocument: new(false), ClientToken: token}
			},
			read: readDescription(s.about),
		}, true
	}
	return request{
		topic: topic.Job(thing, s.about.JobID, "update"),
		body: func(token string) any {
			return jobs.UpdateRequest{
				Status: s.effect.Status, StatusDetails: s.effect.Details, ExpectedVersion: &version,
				ExecutionNumber: &number, IncludeJobExecutionState: true, ClientToken: token,
			}
		},
		read: a.readReport(s),
	}, true
}

// shadowUpdate is a report to the classic shadow (AWS IoT reference 9.2).
type shadowUpdate struct {
	State       shadowState `json:"state"`
	ClientToken string      `json:"clientToken"`
}

type shadowState struct {
	Reported map[string]any `json:"reported"`
}

// reported is what the device says of itself: its inventory, and the version
// that its primary product runs.
func (a *Agent) reported() map[string]any {
	reported := map[string]any{}
	if a.cfg.Inventory != nil {
		for k, v := range a.cfg.Inventory.Report() {
			reported[k] = v
		}
	}
	if r := a.committed[a.cfg.Primary]; r.Version != "" && !a.state.Inconsistent {
		reported[document.KeySoftwareVersion] = r.Version
		if r.Seq > 0 {
			reported[document.KeySoftwareSeq] = r.Seq
		}
	}
	if a.cfg.Register {
		reported["muster"] = map[string]any{"register": true}
	}
	return reported
}

// rejection reads the answer to a job request that was not accepted.
func rejection(r reply) (jobs.RejectedMessage, error) {
	var m jobs.RejectedMessage
	if err := json.Unmarshal(r.payload, &m); err != nil {
		return m, fmt.Errorf("cannot read a rejection: %w", err)
	}
	return m, nil
}

// readOffer reads the answer to start-next and to $next/get.
func (a *Agent) readOffer(r reply) (update.Event, error) {
	offer := update.Event{Kind: update.Offered}
	if !r.accepted {
		m, err := rejection(r)
		if err == nil && m.Code != jobs.CodeResourceNotFound {
			err = fmt.Errorf("rejected: %s: %s", m.Code, m.Message)
		}
		return offer, err
	}
	var m jobs.ExecutionAccepted
	if err := json.Unmarshal(r.payload, &m); err != nil {
		return offer, fmt.Errorf("cannot read an offer: %w", err)
	}
	offer.Execution = m.Execution
	return offer, nil
}

// readDescription reads what the service says about one execution.
func readDescription(about update.Identity) func(reply) (update.Event, error) {
	return func(r reply) (update.Event, error) {
		if r.accepted {
			var m jobs.ExecutionAccepted
			err := json.Unmarshal(r.payload, &m)
			return update.Event{Kind: update.Described, Execution: m.Execution}, err
		}
		return readRejection(r, about)
	}
}

// readReport reads the answer to a report.
func (a *Agent) readReport(s saying) func(reply) (update.Event, error) {
	return func(r reply) (update.Event, error) {
		if r.accepted {
			event := update.Event{Kind: update.Accepted, For: s.about, Status: s.effect.Status}
			var m jobs.UpdateAccepted
			err := json.Unmarshal(r.payload, &m)
			if m.ExecutionState != nil {
				event.VersionNumber = m.ExecutionState.VersionNumber
			}
			return event, err
		}
		event, err := readRejection(r, s.about)
		if event.Kind == invalid {
			a.log.Warn("the server finds the report invalid", "status", s.effect.Status, "job", s.about.JobID)
			event.Kind = update.Gone
			if s.effect.Status == jobs.InProgress {
				event = update.Event{} // the update itself may still be wanted
			}
		}
		return event, err
	}
}

// invalid is the kind of an answer that says that the request was wrong.
const invalid update.EventKind = "invalid"

// readRejection tells what the service has decided from what it cannot do now.
func readRejection(r reply, about update.Identity) (update.Event, error) {
	m, err := rejection(r)
	if err != nil {
		return update.Event{}, err
	}
	event := update.Event{For: about}
	if m.ExecutionState != nil {
		event.Status = m.ExecutionState.Status
	}
	switch m.Code {
	case jobs.CodeVersionMismatch:
		event.Kind = update.Mismatch
	case jobs.CodeTerminalStateReached, jobs.CodeResourceNotFound, jobs.CodeInvalidStateTransition:
		event.Kind = update.Gone
	case jobs.CodeInvalidRequest, jobs.CodeInvalidJSON, jobs.CodeInvalidTopic:
		event.Kind = invalid
	default:
		return update.Event{}, fmt.Errorf("rejected: %s: %s", m.Code, m.Message)
	}
	return event, nil
}

// readShadow reads the answer to a shadow update: nothing follows from it.
func (a *Agent) readShadow(r reply) (update.Event, error) {
	if r.accepted {
		return update.Event{}, nil
	}
	var m struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(r.payload, &m); err != nil {
		return update.Event{}, fmt.Errorf("cannot read a rejection: %w", err)
	}
	if m.Code == 429 || m.Code >= 500 || m.Code == 409 {
		return update.Event{}, fmt.Errorf("shadow report rejected: %d %s", m.Code, m.Message)
	}
	a.log.Warn("the server refuses the shadow report", "code", m.Code, "message", m.Message)
	return update.Event{}, nil
}
