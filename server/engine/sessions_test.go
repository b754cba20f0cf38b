package engine_test

import (
	"testing"

	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/presence"
	"github.com/muster-iot/muster/server/rules"
)

// TestEventsOfClientsWithSlashes: of all client ids only those with # or +
// have no events.
func TestEventsOfClientsWithSlashes(t *testing.T) {
	f := start(t, nil, rules.Safe())
	do(f, engine.Connect{ClientID: "site/dev1", Session: 7})
	do(f, engine.Subscribed{ClientID: "site/dev1", Session: 7, Filters: []string{"c"}})
	do(f, engine.Disconnect{ClientID: "site/dev1", Session: 7, Reason: presence.ClientInitiated})
	want(t, "topics", topics(f.wire.take(), "$aws/events/"), []string{
		"presence/connected/site/dev1", "subscriptions/subscribed/site/dev1", "presence/disconnected/site/dev1",
	})
}
