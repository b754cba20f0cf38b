// Package dispatch is the MQTT face of the engine: it turns what devices
// publish to the reserved topics into engine inputs, and refusals into
// rejected messages (AWS IoT reference 7, 9 and 10). What comes over HTTP for
// MQTT's side goes the same way. It holds no state. It knows neither broker nor
// store; what a device may publish is decided before it.
package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/presence"
)

// Config configures a [Dispatcher].
type Config struct {
	Engine  *engine.Engine
	Gateway engine.Gateway
	Logger  *slog.Logger
}

// Dispatcher hands device messages to the engine.
type Dispatcher struct{ Config }

// New returns a dispatcher.
func New(cfg Config) (*Dispatcher, error) {
	if cfg.Engine == nil || cfg.Gateway == nil || cfg.Logger == nil {
		return nil, errors.New("dispatcher needs an engine, a gateway and a logger")
	}
	return &Dispatcher{cfg}, nil
}

// Client is the session that a message came from.
type Client struct {
	ID      string
	Session uint64
	// Remote is the address as host:port.
	Remote string
}

// Connect reports a new session; the client may be told that it is connected
// when it returns nil.
func (d *Dispatcher) Connect(ctx context.Context, c Client) error {
	_, err := engine.Do(ctx, d.Engine, engine.Connect{ClientID: c.ID, Session: c.Session, IP: c.ip()})
	return err
}

// ip is the host part of the client's address.
func (c Client) ip() string {
	if i := strings.LastIndexByte(c.Remote, ':'); i >= 0 {
		return c.Remote[:i]
	}
	return c.Remote
}

// Disconnect reports the end of a session. It is tried again until it is
// stored or ctx ends: a device that is gone must not stay connected.
func (d *Dispatcher) Disconnect(ctx context.Context, c Client, reason string) {
	in := engine.Disconnect{ClientID: c.ID, Session: c.Session, Reason: presence.Reason(reason)}
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		_, err := engine.Do(ctx, d.Engine, in)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			d.Logger.Warn("cannot record that a client disconnected: the next start will", "client", c.ID, "error", err)
			return
		case <-time.After(wait):
		}
	}
}

// Publish handles a device's publish. handled is true for every reserved topic:
// such a message is a request, not for subscribers; and for a retained message,
// which the engine sends to them. When it returns nil the request is durable
// and answered, accepted or rejected; an error means that it could not be
// stored, so that it must not be acknowledged.
func (d *Dispatcher) Publish(ctx context.Context, c Client, m protocol.Message) (handled bool, err error) {
	if !topic.Reserved(m.Topic) {
		if m.Retain {
			_, err = engine.Do(ctx, d.Engine, engine.Retain{Message: m})
		}
		return m.Retain, err
	}
	r := request{Dispatcher: d, ctx: ctx, client: c, name: m.Topic, payload: m.Payload, retain: m.Retain}
	t, ok := topic.Parse(m.Topic)
	switch {
	case ok:
		err = r.serve(t)
	case strings.Contains(m.Topic, "/jobs/"):
		r.refuseTopic()
	}
	if protocol.CodeOf(err) == protocol.Unavailable || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true, err
	}
	return true, nil
}

// request is one message on its way to the engine.
type request struct {
	*Dispatcher
	ctx     context.Context
	client  Client
	name    string
	payload []byte
	retain  bool
}

// errRetained refuses a request that asks to be retained.
var errRetained = protocol.Errorf(protocol.InvalidRequest, "a message to a reserved topic cannot be retained: publish it without the retain flag")

func (r request) serve(t topic.Topic) error {
	if r.retain {
		return r.refuse(t, errRetained)
	}
	switch t.Kind {
	case topic.GetPendingJobExecutions:
		return r.getPending(t)
	case topic.StartNextJobExecution:
		return r.startNext(t)
	case topic.DescribeJobExecution:
		return r.describe(t)
	case topic.UpdateJobExecution:
		return r.update(t)
	default:
		return r.shadow(t)
	}
}

// refuse rejects a request before it is read.
func (r request) refuse(t topic.Topic, err error) error {
	switch t.Kind {
	case topic.GetShadow, topic.UpdateShadow, topic.DeleteShadow:
		return r.rejectShadow(t, err, tokenOf(r.payload))
	}
	return r.reject(err, tokenOf(r.payload))
}

// answer sends an answer to the session that asked, or, when none did, to the
// subscribers of its topic.
func (r request) answer(name string, payload []byte) {
	if r.client.Session == engine.Subscribers {
		r.Gateway.Publish(name, payload)
	} else {
		r.Gateway.Send(r.client.Session, name, payload)
	}
}
