package server

import (
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/broker"
	"github.com/muster-iot/muster/server/dispatch"
)

// Gateway is the broker as the engine and the dispatcher see it. Broker is set
// once, before anything runs.
type Gateway struct{ Broker *broker.Broker }

// Publish implements engine.Gateway.
func (g *Gateway) Publish(topic string, payload []byte) { g.Broker.Publish(topic, payload) }

// Heard implements engine.Audience.
func (g *Gateway) Heard(topic string) bool { return g.Broker.Heard(topic) }

// Send implements engine.Gateway.
func (g *Gateway) Send(session uint64, topic string, payload []byte) {
	g.Broker.Send(session, topic, payload)
}

// PublishAnd implements engine.Gateway.
func (g *Gateway) PublishAnd(topic string, payload []byte, session uint64) {
	g.Broker.PublishAnd(topic, payload, session)
}

// Deliver implements engine.Gateway.
func (g *Gateway) Deliver(m protocol.Message) { g.Broker.Deliver(m) }

// Handler is the dispatcher as the broker sees it.
type Handler struct {
	*dispatch.Dispatcher
	// Stopping is closed when the server stops.
	Stopping <-chan struct{}
}

func client(c broker.Client) dispatch.Client {
	return dispatch.Client{ID: c.ID, Session: c.Session, Remote: c.Remote}
}

// Connect implements broker.Handler.
func (h Handler) Connect(ctx context.Context, c broker.Client) error {
	return h.Dispatcher.Connect(ctx, client(c))
}

// Disconnect passes the end of a session on, except when the server stops:
// its devices will be back, so they are not gone yet.
func (h Handler) Disconnect(ctx context.Context, c broker.Client, r broker.Reason) {
	select {
	case <-h.Stopping:
	default:
		h.Dispatcher.Disconnect(ctx, client(c), string(r))
	}
}

// Refused implements broker.Handler.
func (h Handler) Refused(ctx context.Context, c broker.Client, why broker.Reason) {
	h.Dispatcher.Refused(ctx, client(c), string(why))
}

// Publish implements broker.Handler.
func (h Handler) Publish(ctx context.Context, c broker.Client, m protocol.Message) (bool, error) {
	return h.Dispatcher.Publish(ctx, client(c), m)
}

// Subscribed implements broker.Handler.
func (h Handler) Subscribed(ctx context.Context, c broker.Client, filters []string, retained func(protocol.Message)) error {
	return h.Dispatcher.Subscribed(ctx, client(c), filters, retained)
}

// Unsubscribed implements broker.Handler.
func (h Handler) Unsubscribed(ctx context.Context, c broker.Client, filters []string) {
	h.Dispatcher.Unsubscribed(ctx, client(c), filters)
}

// Messages is MQTT as the HTTP API sees it.
type Messages struct {
	Dispatcher *dispatch.Dispatcher
	Broker     *broker.Broker
}

// Publish implements api.Messages.
func (m Messages) Publish(ctx context.Context, message protocol.Message) error {
	message, err := m.Broker.Admit(message)
	if err != nil {
		return err
	}
	return m.Dispatcher.Inject(ctx, message)
}

// Disconnect implements api.Messages.
func (m Messages) Disconnect(ctx context.Context, clientID string, cleanSession, preventWill bool) (bool, error) {
	return m.Broker.Disconnect(ctx, clientID, broker.DisconnectOptions{CleanSession: cleanSession, PreventWill: preventWill})
}
