// Package dispatch is the MQTT face of the engine: it turns what devices
// publish to the reserved topics into engine inputs, and refusals into
// rejected messages (AWS IoT reference 7 and 9). It holds no state. It knows
// neither broker nor store; what a device may publish is decided before it.
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
	ip := c.Remote
	if i := strings.LastIndexByte(ip, ':'); i >= 0 {
		ip = ip[:i]
	}
	_, err := engine.Do(ctx, d.Engine, engine.Connect{ClientID: c.ID, Session: c.Session, IP: ip})
	return err
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
// such a message is a request, not for subscribers. When it returns nil the request is
// durable and answered, accepted or rejected; an error means that it could not be
// stored, so that it must not be acknowledged.
func (d *Dispatcher) Publish(ctx context.Context, c Client, name string, payload []byte) (handled bool, err error) {
	if !topic.Reserved(name) {
		return false, nil
	}
	r := request{Dispatcher: d, ctx: ctx, client: c, name: name, payload: payload}
	t, ok := topic.Parse(name)
	switch {
	case ok:
		err = r.serve(t)
	case strings.Contains(name, "/jobs/"):
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
}

func (r request) serve(t topic.Topic) error {
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
