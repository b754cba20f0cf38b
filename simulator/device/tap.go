package device

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/muster-iot/muster/agent"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
	document "github.com/muster-iot/muster/protocol/update"
)

// tap is a transport that lets everything through to the real one and tells
// what it saw.
type tap struct {
	device    *Device
	transport agent.Transport
}

// Connect opens a session through the real transport.
func (t *tap) Connect(ctx context.Context, filters []string, deliver func(string, []byte)) (agent.Session, error) {
	begun := time.Now()
	c := &conversation{
		device: t.device, notifyNext: topic.Jobs(t.device.cfg.Thing, "notify-next"),
		asked: map[string]asked{}, queuedAt: map[execution]int64{},
	}
	reachable := t.device.network.reachable()
	if reachable {
		t.device.tell(Event{Kind: Dialing})
	}
	session, err := t.transport.Connect(ctx, filters, func(name string, payload []byte) {
		c.heard(name, payload)
		deliver(name, payload)
	})
	if err != nil {
		if reachable {
			t.device.tell(Event{Kind: Unreachable})
		}
		return nil, err
	}
	t.device.online(session)
	t.device.tell(Event{Kind: Connected, Took: time.Since(begun)})
	return &tapped{Session: session, talk: c}, nil
}

// online follows a session to its end. An end that is noticed late does not
// count against the next session.
func (d *Device) online(s agent.Session) {
	d.mu.Lock()
	d.sessions++
	n := d.sessions
	d.status.Connected = true
	d.mu.Unlock()
	go func() {
		<-s.Done()
		d.offline(n)
	}()
}

// tapped is a session whose requests are seen.
type tapped struct {
	agent.Session
	talk *conversation
}

// Publish passes a message on, after it was noted.
func (s *tapped) Publish(ctx context.Context, name string, payload []byte) error {
	s.talk.said(name, payload)
	return s.Session.Publish(ctx, name, payload)
}

// execution names an execution as requests do.
type execution struct {
	job    protocol.JobID
	number int64
}

// asked is a request without an answer yet.
type asked struct {
	topic topic.Topic
	event Event
}

// conversation is what a session's messages say.
type conversation struct {
	device     *Device
	notifyNext string

	mu       sync.Mutex
	asked    map[string]asked // by client token
	queuedAt map[execution]int64
}

// said notes a request before it leaves.
func (c *conversation) said(name string, payload []byte) {
	t, ok := topic.Parse(name)
	if !ok {
		return
	}
	a := asked{topic: t}
	var token string
	switch t.Kind {
	case topic.UpdateJobExecution:
		token, a.event = c.report(t, payload)
	case topic.UpdateShadow:
		token, a.event = c.shadow(payload)
	default:
		var m struct {
			ClientToken string `json:"clientToken"`
		}
		_ = json.Unmarshal(payload, &m)
		token = m.ClientToken
	}
	c.mu.Lock()
	c.asked[token] = a
	c.mu.Unlock()
	if a.event.Kind != "" {
		c.device.tell(a.event)
	}
}

// report reads what is said about an execution, beside what runs right now.
func (c *conversation) report(t topic.Topic, payload []byte) (token string, e Event) {
	var m jobs.UpdateRequest
	if json.Unmarshal(payload, &m) != nil {
		return "", e
	}
	x := execution{job: t.JobID}
	if m.ExecutionNumber != nil {
		x.number = *m.ExecutionNumber
	}
	return m.ClientToken, Event{
		Kind: Reporting, Execution: c.identity(x), Status: m.Status,
		Claimed: m.StatusDetails[document.KeySoftwareVersion], ClaimedSeq: m.StatusDetails[document.KeySoftwareSeq],
		Running: c.device.Status().Running,
	}
}

// identity completes an execution's name with the time it was queued at.
func (c *conversation) identity(x execution) update.Identity {
	id := update.Identity{JobID: x.job, ExecutionNumber: x.number}
	if at := c.device.Status().Execution; at.JobID == x.job && at.ExecutionNumber == x.number {
		return at
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id.QueuedAt = c.queuedAt[x]
	return id
}

// shadow reads what is said to the shadow.
func (c *conversation) shadow(payload []byte) (token string, e Event) {
	var m struct {
		State struct {
			Reported struct {
				Version string      `json:"softwareVersion"`
				Seq     json.Number `json:"softwareSeq"`
			} `json:"reported"`
		} `json:"state"`
		ClientToken string `json:"clientToken"`
	}
	if json.Unmarshal(payload, &m) != nil {
		return "", e
	}
	now := c.device.Status()
	return m.ClientToken, Event{
		Kind: Told, Claimed: m.State.Reported.Version, ClaimedSeq: m.State.Reported.Seq.String(),
		Running: now.Running, Phase: now.Phase,
	}
}

// heard notes a message that arrived.
func (c *conversation) heard(name string, payload []byte) {
	if name == c.notifyNext {
		var m jobs.NotifyNext
		if json.Unmarshal(payload, &m) == nil && m.Execution != nil {
			c.device.tell(c.about(Notified, m.Execution))
			if m.Execution.Status == jobs.Queued {
				c.device.notified()
			}
		}
		return
	}
	accepted := strings.HasSuffix(name, topic.Accepted)
	if !accepted && !strings.HasSuffix(name, topic.Rejected) {
		return
	}
	var m struct {
		ClientToken string `json:"clientToken"`
	}
	if json.Unmarshal(payload, &m) != nil {
		return
	}
	c.mu.Lock()
	a, known := c.asked[m.ClientToken]
	delete(c.asked, m.ClientToken)
	c.mu.Unlock()
	if known {
		c.answered(a, accepted, payload)
	}
}

// about makes the event of an execution as the server says it is.
func (c *conversation) about(kind EventKind, x *jobs.Execution) Event {
	c.mu.Lock()
	c.queuedAt[execution{x.JobID, x.ExecutionNumber}] = x.QueuedAt
	c.mu.Unlock()
	return Event{Kind: kind, Execution: update.IdentityOf(x), Status: x.Status, VersionNumber: x.VersionNumber, Running: c.device.Status().Running}
}

// answered tells how a request was answered.
func (c *conversation) answered(a asked, accepted bool, payload []byte) {
	e := a.event
	switch a.topic.Kind {
	case topic.UpdateJobExecution:
		e.Kind = Acknowledged
		if !accepted {
			e.Kind = Refused
		}
		var m jobs.UpdateAccepted
		if json.Unmarshal(payload, &m) == nil && m.ExecutionState != nil {
			e.Status, e.VersionNumber = m.ExecutionState.Status, m.ExecutionState.VersionNumber
		}
		c.device.tell(e)
	case topic.UpdateShadow:
		var m struct {
			Version int64 `json:"version"`
		}
		if accepted && json.Unmarshal(payload, &m) == nil {
			e.Kind, e.VersionNumber = ToldAcknowledged, m.Version
			c.device.tell(e)
		}
	case topic.StartNextJobExecution, topic.DescribeJobExecution:
		var m jobs.ExecutionAccepted
		if !accepted || json.Unmarshal(payload, &m) != nil || m.Execution == nil {
			return
		}
		kind := Offered
		if a.topic.Kind == topic.DescribeJobExecution && a.topic.JobID != topic.NextJob {
			kind = Described
		}
		c.device.tell(c.about(kind, m.Execution))
	}
}
