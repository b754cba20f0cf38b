package testbed

import (
	"context"

	"github.com/muster-iot/muster/server/broker"
	"github.com/muster-iot/muster/server/dispatch"
)

// gateway is the broker as engine and dispatcher see it; it is set before
// anything runs.
type gateway struct{ broker *broker.Broker }

func (g *gateway) Publish(topic string, payload []byte) { g.broker.Publish(topic, payload) }

func (g *gateway) Send(session uint64, topic string, payload []byte) {
	g.broker.Send(session, topic, payload)
}

func (g *gateway) PublishAnd(topic string, payload []byte, session uint64) {
	g.broker.PublishAnd(topic, payload, session)
}

// handler is the dispatcher as the broker sees it.
type handler struct {
	*dispatch.Dispatcher
	stopping <-chan struct{}
}

func client(c broker.Client) dispatch.Client {
	return dispatch.Client{ID: c.ID, Session: c.Session, Remote: c.Remote}
}

func (h handler) Connect(ctx context.Context, c broker.Client) error {
	return h.Dispatcher.Connect(ctx, client(c))
}

// Disconnect passes the end of a session on, except when the server stops.
func (h handler) Disconnect(ctx context.Context, c broker.Client, r broker.Reason) {
	select {
	case <-h.stopping:
	default:
		h.Dispatcher.Disconnect(ctx, client(c), string(r))
	}
}

func (h handler) Publish(ctx context.Context, c broker.Client, topic string, payload []byte) (bool, error) {
	return h.Dispatcher.Publish(ctx, client(c), topic, payload)
}
