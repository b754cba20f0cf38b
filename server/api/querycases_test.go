package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/presence"
	"github.com/muster-iot/muster/server/rules"
)

// fixtureNames are the things of AWS IoT reference 3.4 "Query cases".
var fixtureNames = map[string]string{"pump-17": "A", "pump-18": "B", "lamp-1": "C", "Pump:99": "D"}

// TestQueryCases asks every query of the reference, and those that package
// query added, of the API, in both profiles; in the safe one each is a dynamic
// group's too, whose members must be what the search finds.
func TestQueryCases(t *testing.T) {
	profiles(t, func(t *testing.T, r rules.Rules) {
		f := newFleet(t, r)
		times := f.fixtures()
		file, err := os.ReadFile("../query/testdata/cases.txt")
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		for line := range strings.Lines(string(file)) {
			column := strings.Split(line, "|")
			if len(column) < 3 || strings.HasPrefix(line, "#") {
				continue
			}
			for i := range column {
				column[i] = strings.TrimSpace(column[i])
			}
			if len(column) > 3 && column[3] != string(r.Profile) {
				continue
			}
			asked++
			text, want := times.Replace(column[1]), column[2]
			if strings.HasPrefix(want, "error") {
				want = "InvalidQueryException"
				if text == "" { // the model has a shortest length
					want = "InvalidRequestException"
				}
			}
			if got := f.finds(text); got != want {
				t.Errorf("case %s, %q: found %s, want %s", column[0], text, got, want)
			}
			if r.Profile == rules.ProfileSafe {
				f.asGroup("case"+column[0], text, want)
			}
		}
		if asked < 86 {
			t.Errorf("%d cases", asked)
		}
	})
}

// finds returns the fixtures that a search finds, "none", or its exception.
func (f *fleet) finds(text string) string {
	f.t.Helper()
	body, _ := json.Marshal(map[string]any{"queryString": text})
	status, answer := f.do("iot", "POST /indices/search", string(body))
	if status != 200 {
		exception, _, _ := strings.Cut(answer, " ")
		return exception
	}
	var page struct {
		Things []struct{ ThingName string }
	}
	if err := json.Unmarshal([]byte(answer), &page); err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, thing := range page.Things {
		names = append(names, fixtureNames[thing.ThingName])
	}
	return listed(names)
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// asGroup holds the members of a dynamic group against what a search found.
func (f *fleet) asGroup(name, text, want string) {
	f.t.Helper()
	body, _ := json.Marshal(map[string]any{"queryString": text})
	status, answer := f.do("iot", "POST /dynamic-thing-groups/"+name, string(body))
	if status != 200 {
		exception, _, _ := strings.Cut(answer, " ")
		pattern := exception == "InvalidQueryException" && strings.Contains(answer, "static thing groups only") // 4.3
		if exception != want && !pattern {
			f.t.Errorf("group of %q: %s", text, answer)
		}
		return
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, answer = f.do("iot", "GET /thing-groups/"+name, ""); f.member(answer, "status") == "ACTIVE" {
			break
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("group of %q: %s", text, answer)
		}
	}
	_, answer = f.do("iot", "GET /thing-groups/"+name+"/things", "")
	var page struct{ Things []string }
	if err := json.Unmarshal([]byte(answer), &page); err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, thing := range page.Things {
		names = append(names, fixtureNames[thing])
	}
	if got := listed(names); got != want {
		f.t.Errorf("group of %q: members %s, want %s", text, got, want)
	}
}

// fixtures loads the things of the query cases through the API, and returns
// what turns the times of the cases into those of this run.
func (f *fleet) fixtures() *strings.Replacer {
	f.t.Helper()
	for _, row := range []struct{ service, request, body string }{
		{"iot", "POST /indexing/config", `{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY_AND_SHADOW","thingConnectivityIndexingMode":"STATUS",
			"namedShadowIndexingMode":"ON","filter":{"namedShadowNames":["health","$package"],"geoLocations":[{"name":"shadow.reported.pos"}]}}}`},
		{"iot", "POST /thing-types/Pump", ""},
		{"iot", "POST /thing-groups/oslo-pumps", ""},
		{"iot", "POST /thing-groups/floor2", ""},
		{"iot", "POST /things/pump-17", `{"thingTypeName":"Pump","attributePayload":{"attributes":{"softwareVersion":"5","site":"oslo","model":"gw-200","serial":"abcd","temp":"75"}}}`},
		{"iot", "POST /things/pump-18", `{"thingTypeName":"Pump","attributePayload":{"attributes":{"softwareVersion":"6","site":"Bergen","model":"gw-2000","serial":"abce","temp":"60"}}}`},
		{"iot", "POST /things/lamp-1", `{"attributePayload":{"attributes":{"softwareVersion":"v5"}}}`},
		{"iot", "POST /things/Pump:99", `{"attributePayload":{"attributes":{"softwareVersion":"5.0","note":"fw_blue"}}}`},
		{"iot", "PUT /thing-groups/addThingToThingGroup", `{"thingGroupName":"oslo-pumps","thingName":"pump-17"}`},
		{"iot", "PUT /thing-groups/addThingToThingGroup", `{"thingGroupName":"floor2","thingName":"pump-17"}`},
		{"iot", "PUT /thing-groups/addThingToThingGroup", `{"thingGroupName":"oslo-pumps","thingName":"pump-18"}`},
		{"iotdata", "POST /things/pump-17/shadow", `{"state":{"reported":{"fw":{"build":812,"name":"Blue Whale"},"tags":["red","blue"],"vals":[1,2,3],
			"ready":true,"pos":"59.91,10.75","evs":[{"a":1}],"x":null},"desired":{"fw":{"build":813}}}}`},
		{"iotdata", "POST /things/lamp-1/shadow?name=health", `{"state":{"reported":{"disk":{"free":12.5}},"desired":{"disk":{"free":12.50}}}}`},
		{"iotdata", "POST /things/Pump:99/shadow?name=$package", `{"state":{"reported":{"agent":{"version":"1.10.0","attributes":{"size":"900"}}}}}`},
	} {
		if status, answer := f.do(row.service, row.request, row.body); status != 200 {
			f.t.Fatalf("%s: %d %s", row.request, status, answer)
		}
	}
	f.eventually("iot", "GET /indices/AWS_Things", `{"indexName":"AWS_Things","indexStatus":"ACTIVE","schema":"MULTI_INDEXING_MODE"}`)
	f.connect("pump-18", 1)
	lost := engine.Disconnect{ClientID: "pump-18", Session: 1, Reason: presence.Reason("CONNECTION_LOST")}
	if _, err := engine.Do(f.t.Context(), f.engine, lost); err != nil {
		f.t.Fatal(err)
	}
	f.connect("pump-17", 2)
	for a := f.connectedAt("pump-17"); time.Now().UnixMilli() <= a; { // the next one connects at another time
	}
	f.connect("Pump:99", 3)
	_, answer := f.do("iotdata", "GET /things/pump-17/shadow", "")
	var reported struct {
		Metadata struct {
			Reported struct {
				Ready struct{ Timestamp int64 }
			}
		}
	}
	if err := json.Unmarshal([]byte(answer), &reported); err != nil {
		f.t.Fatal(err)
	}
	return strings.NewReplacer(
		"1740830000000", fmt.Sprint(f.connectedAt("pump-18")), "1740830999999", fmt.Sprint(f.connectedAt("Pump:99")-1),
		"1740830400", fmt.Sprint(reported.Metadata.Reported.Ready.Timestamp),
	)
}

// connectedAt is the time of a fixture's last connect or disconnect in milliseconds.
func (f *fleet) connectedAt(name string) int64 {
	f.t.Helper()
	body, _ := json.Marshal(map[string]any{"queryString": fmt.Sprintf("thingName:%q", name)})
	_, answer := f.do("iot", "POST /indices/search", string(body))
	var page struct {
		Things []struct{ Connectivity struct{ Timestamp int64 } }
	}
	if err := json.Unmarshal([]byte(answer), &page); err != nil || len(page.Things) != 1 {
		f.t.Fatalf("%v: %s", err, answer)
	}
	return page.Things[0].Connectivity.Timestamp
}
