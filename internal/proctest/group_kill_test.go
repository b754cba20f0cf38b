package proctest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/muster-iot/muster/internal/proctest"
)

// TestKillWhileGroupsChange kills the server while groups are BUILDING, while
// the index is REBUILDING and while groups are deleted. No thing changes, so
// whatever is cut short, a thing joins a group at most once in the group's
// life, and leaves it at most once.
func TestKillWhileGroupsChange(t *testing.T) {
	t.Parallel()
	const things = 300
	server, rng := newMusterd(t), seeded(t)
	server.start()
	a, ctx := newAPI(server.http), t.Context()
	must(t, a.call(ctx, iot, "PATCH", "/event-configurations", object{"eventConfigurations": object{"THING_GROUP_MEMBERSHIP": object{"Enabled": true}}}, nil))
	for i := range things {
		attributes := object{"n": fmt.Sprint(i), "third": fmt.Sprint(i % 3)}
		must(t, a.call(ctx, iot, "POST", fmt.Sprintf("/things/t%d", i), object{"attributePayload": object{"attributes": attributes}}, nil))
	}
	watched := newMemberships(t, server.mqtt)
	queries := []string{"attributes.third:1", "attributes.n<200", "NOT attributes.third:0", "thingName:t1* OR attributes.n>250"}
	for round := range max(3, rounds(t)) {
		watched.ready()
		group := func(i int) string { return fmt.Sprintf("/dynamic-thing-groups/g%d-%d", round, i) }
		var steps []func(ctx context.Context)
		for i, query := range queries {
			steps = append(steps, func(ctx context.Context) {
				_ = a.call(ctx, iot, "POST", group(i), object{"queryString": query}, nil)
			})
		}
		switch round % 3 {
		case 1:
			steps = append(steps, func(ctx context.Context) {
				mode := object{
					"thingIndexingMode": "REGISTRY_AND_SHADOW", "thingConnectivityIndexingMode": "STATUS", "namedShadowIndexingMode": "ON",
					"filter": object{"namedShadowNames": []string{fmt.Sprintf("s%d", round)}},
				}
				_ = a.call(ctx, iot, "POST", "/indexing/config", object{"thingIndexingConfiguration": mode}, nil)
			})
		case 2:
			for i := range queries {
				steps = append(steps, func(ctx context.Context) { _ = a.call(ctx, iot, "DELETE", group(i), nil, nil) })
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, step := range steps {
				step(ctx)
			}
		})
		<-time.After(time.Duration(rng.IntN(60_000)) * time.Microsecond)
		server.Kill()
		wg.Wait()
		a.http.CloseIdleConnections()
		server.start()
		eventually(t, 20*time.Second, func() []string {
			fleet := proctest.Fleet{Groups: map[string]proctest.Group{}}
			if err := a.readGroups(ctx, fleet); err != nil {
				return []string{err.Error()}
			}
			return mistaken(fleet)
		})
	}
	watched.ready()
	groups, err := pages[struct{ GroupName string }](ctx, a, "/thing-groups", "thingGroups")
	must(t, err)
	for _, g := range groups {
		must(t, a.call(ctx, iot, "DELETE", "/dynamic-thing-groups/"+url.PathEscape(g.GroupName), nil, nil))
	}
	t.Logf("%d membership events", watched.end())
	server.Stop()
}

// mistaken says which groups are not built, or have other members than their
// query finds.
func mistaken(f proctest.Fleet) (problems []string) {
	for name, g := range f.Groups {
		slices.Sort(g.Members)
		slices.Sort(g.Found)
		if g.Status != "ACTIVE" || !slices.Equal(g.Members, g.Found) {
			problems = append(problems, fmt.Sprintf("group %s is %s, has %d members, its query finds %d", name, g.Status, len(g.Members), len(g.Found)))
		}
	}
	return problems
}

// memberships watches the membership events of a server that is killed.
type memberships struct {
	t        *testing.T
	mu       sync.Mutex
	seen     map[string]bool // ids of events, which may be delivered twice
	told     map[string]bool // what the events said; in which order is not told
	events   int
	sessions chan struct{} // one for every session that listens
	stop     func()
}

func newMemberships(t *testing.T, address string) *memberships {
	ctx, cancel := context.WithCancel(t.Context())
	m := &memberships{t: t, seen: map[string]bool{}, told: map[string]bool{}, sessions: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			client, lost, err := dial(address, "memberships", m.receive, map[string]byte{"$aws/events/thingGroupMembership/#": 1})
			if err == nil {
				select {
				case m.sessions <- struct{}{}:
				case <-ctx.Done():
				}
				select {
				case <-lost:
				case <-ctx.Done():
				}
				client.Disconnect(0)
			}
			_ = pause(ctx, 10*time.Millisecond)
		}
	})
	m.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	t.Cleanup(m.stop)
	return m
}

// ready returns when a session listens that began after the last call.
func (m *memberships) ready() {
	m.t.Helper()
	select {
	case <-m.sessions:
	case <-time.After(20 * time.Second):
		m.t.Fatal("the events cannot be subscribed to")
	}
}

// end ends the watching and returns the number of events.
func (m *memberships) end() int {
	m.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.events
}

func (m *memberships) receive(_ paho.Client, message paho.Message) {
	var e struct{ EventID, GroupID, ThingID, Operation string }
	if err := json.Unmarshal(message.Payload(), &e); err != nil {
		m.t.Errorf("event %s: %v", message.Topic(), err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen[e.EventID] {
		return
	}
	m.seen[e.EventID] = true
	m.events++
	change := e.Operation + " " + e.GroupID + " " + e.ThingID
	if m.told[change] {
		m.t.Errorf("event %s is repeated", message.Topic())
	}
	m.told[change] = true
}
