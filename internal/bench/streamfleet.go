package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"sync"

	"github.com/muster-iot/muster/internal/bench/search"
)

// What the devices are like.
const (
	regions, models, sites = 50, 100, 2000
	builds                 = 1000
)

// registerFleet registers the devices with their place and model.
func registerFleet(ctx context.Context, a *api, devices int) error {
	return parallel(devices, func(i int) error {
		rng := rand.New(rand.NewPCG(3, uint64(i)))
		_, err := a.call(ctx, "POST", "/things/"+device(i), fmt.Sprintf(`{"attributePayload":{"attributes":{"region":"r%d","model":"m%d","site":"s%d"}}}`,
			rng.IntN(regions), rng.IntN(models), rng.IntN(sites)))
		return err
	})
}

// groupQuery is the query of a group, of the kinds that fleets have.
func groupQuery(rng *rand.Rand, devices int) string {
	on := "connectivity.connected:true"
	v := fmt.Sprintf("attributes.softwareVersion:%d", search.Version(rng))
	region := fmt.Sprintf("attributes.region:r%d", rng.IntN(regions))
	model := fmt.Sprintf("attributes.model:m%d", rng.IntN(models))
	site := fmt.Sprintf("attributes.site:s%d", rng.IntN(sites))
	switch x := rng.IntN(1000); {
	case x < 300:
		return on + " AND " + v + " AND " + region
	case x < 400:
		return on + " AND " + v + " AND " + model
	case x < 500:
		return fmt.Sprintf("attributes.softwareVersion<%d AND %s", search.Version(rng), model)
	case x < 650:
		return fmt.Sprintf("shadow.reported.build>=%d AND %s AND %s", rng.IntN(builds), site, on)
	case x < 750:
		name := device(rng.IntN(devices))
		return "thingName:" + name[:len(name)-2] + "* AND " + v
	case x < 850:
		return region + " AND " + site + " AND NOT " + v + " AND " + on
	case x < 900:
		return fmt.Sprintf("(%s AND %s) OR (%s AND attributes.softwareVersion:%d)", region, v, model, search.Version(rng))
	case x < 999:
		return fmt.Sprintf("%s AND (shadow.reported.battery<%d OR shadow.reported.temp>%d)", site, rng.IntN(50), 60+rng.IntN(60))
	default:
		return fmt.Sprintf("shadow.reported.temp>%d", 110+rng.IntN(10))
	}
}

func groupName(i int) string { return fmt.Sprintf("group-%04d", i) }

// createGroups creates the groups and waits until their members are known.
func createGroups(ctx context.Context, a *api, n, devices int) error {
	if _, err := a.call(ctx, "PATCH", "/event-configurations", `{"eventConfigurations":{"THING_GROUP_MEMBERSHIP":{"Enabled":true}}}`); err != nil {
		return err
	}
	if err := parallel(n, func(i int) error {
		body, err := json.Marshal(map[string]string{"queryString": groupQuery(rand.New(rand.NewPCG(6, uint64(i))), devices)})
		if err == nil {
			_, err = a.call(ctx, "POST", "/dynamic-thing-groups/"+groupName(i), string(body))
		}
		return err
	}); err != nil {
		return err
	}
	return parallel(n, func(i int) error { return a.until(ctx, "/thing-groups/"+groupName(i), `"status":"ACTIVE"`) })
}

// membershipOf takes the topic of a membership event apart.
func membershipOf(topic []byte) (group, thing []byte, joined, ok bool) {
	rest, ok := bytes.CutPrefix(topic, []byte("$aws/events/thingGroupMembership/thingGroup/"))
	part := bytes.Split(rest, []byte("/"))
	if !ok || len(part) != 4 || string(part[1]) != "thing" {
		return nil, nil, false, false
	}
	return part[0], part[2], string(part[3]) == "added", true
}

// members are who is in which group, as far as the events told.
type members struct {
	mu    sync.Mutex
	of    map[string]map[string]bool // things by group
	wrong []string                   // events that said what was so already
}

func (m *members) event(topic []byte) {
	group, thing, joined, ok := membershipOf(topic)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.of[string(group)]
	switch {
	case g == nil || g[string(thing)] == joined:
		m.wrong = append(m.wrong, string(topic))
	case joined:
		g[string(thing)] = true
	default:
		delete(g, string(thing))
	}
}

// list takes the members of all groups from the server; nothing may change
// meanwhile.
func (m *members) list(ctx context.Context, a *api, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of, m.wrong = make(map[string]map[string]bool, n), nil
	var mu sync.Mutex
	return parallel(n, func(i int) error {
		things, err := a.membersOf(ctx, groupName(i))
		mu.Lock()
		defer mu.Unlock()
		m.of[groupName(i)] = things
		return err
	})
}

// check compares what the events told with what the server lists, and returns
// the number of memberships.
func (m *members) check(ctx context.Context, a *api, n int) (int, error) {
	var now members
	if err := now.list(ctx, a, n); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.wrong) > 0 {
		return 0, fmt.Errorf("%d membership events changed nothing, the first is %s", len(m.wrong), m.wrong[0])
	}
	sum := 0
	for name, things := range now.of {
		if !maps.Equal(things, m.of[name]) {
			return 0, fmt.Errorf("the events of %s gave %d members, the server lists %d", name, len(m.of[name]), len(things))
		}
		sum += len(things)
	}
	return sum, nil
}

// membersOf lists the members of a group.
func (a *api) membersOf(ctx context.Context, group string) (map[string]bool, error) {
	things := map[string]bool{}
	for next := ""; ; {
		path := "/thing-groups/" + group + "/things?maxResults=250"
		if next != "" {
			path += "&nextToken=" + url.QueryEscape(next)
		}
		answer, err := a.call(ctx, "GET", path, "")
		if err != nil {
			return nil, err
		}
		var page struct {
			Things    []string
			NextToken string
		}
		if err := json.Unmarshal(answer, &page); err != nil {
			return nil, err
		}
		for _, t := range page.Things {
			things[t] = true
		}
		if next = page.NextToken; next == "" {
			return things, nil
		}
	}
}
