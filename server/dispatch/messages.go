package dispatch

import (
	"context"
	"slices"
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/engine"
)

// Refused reports that a client was not let in, and why.
func (d *Dispatcher) Refused(ctx context.Context, c Client, why string) {
	in := engine.ConnectFailed{ClientID: c.ID, IP: c.ip(), Reason: why}
	if _, err := engine.Do(ctx, d.Engine, in); err != nil {
		d.Logger.Warn("cannot tell that a client was refused", "client", c.ID, "error", err)
	}
}

// Subscribed reports new subscriptions. retained gets the retained message of
// each filter that has one, in the order of what the engine sends. An error
// says that one may have been missed.
func (d *Dispatcher) Subscribed(ctx context.Context, c Client, filters []string, retained func(protocol.Message)) error {
	_, err := engine.Do(ctx, d.Engine, engine.Subscribed{ClientID: c.ID, Session: c.Session, Filters: filters, Deliver: retained})
	if err != nil && !slices.ContainsFunc(filters, retainable) {
		d.Logger.Warn("cannot tell that a client subscribed", "client", c.ID, "error", err)
		return nil
	}
	return err
}

// retainable reports whether there may be a retained message for a filter.
func retainable(filter string) bool {
	return !topic.Reserved(filter) && !strings.ContainsAny(filter, "+#")
}

// Unsubscribed reports subscriptions that a client gave up.
func (d *Dispatcher) Unsubscribed(ctx context.Context, c Client, filters []string) {
	in := engine.Unsubscribed{ClientID: c.ID, Session: c.Session, Filters: filters}
	if _, err := engine.Do(ctx, d.Engine, in); err != nil {
		d.Logger.Warn("cannot tell that a client unsubscribed", "client", c.ID, "error", err)
	}
}

// Inject passes on a message that comes from no client (AWS IoT reference
// 10.5). One to the topic of a jobs or shadow request is such a request: its
// answer, also a rejection, goes to the subscribers of the answer's topic. Other
// reserved topics are refused with InvalidRequest.
func (d *Dispatcher) Inject(ctx context.Context, m protocol.Message) error {
	_, request := topic.Parse(m.Topic)
	switch reserved := topic.Reserved(m.Topic); {
	case reserved && !request:
		return protocol.Errorf(protocol.InvalidRequest, "topic %q is reserved and no request of jobs or shadows: only the server publishes to it", m.Topic)
	case reserved && m.Retain:
		return errRetained
	}
	handled, err := d.Publish(ctx, Client{Session: engine.Subscribers}, m)
	if err == nil && !handled {
		d.Gateway.Deliver(m)
	}
	return err
}
