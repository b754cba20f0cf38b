package operate_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/rules"
)

// TestPreviewChange: a change that is only thought of says which groups it
// would touch and what jobs would make of it, and nothing changes.
func TestPreviewChange(t *testing.T) {
	e, h := start(t, rules.Safe())
	do(t, e, engine.CreateThing{Name: "dev1", Attributes: map[string]string{"region": "eu"}})
	do(t, e, engine.UpdateShadow{Thing: "dev1", Update: shadow.ReportedUpdate(map[string]any{"softwareVersion": "6"})})
	dynamic(t, e, "Europe", "attributes.region:eu")
	dynamic(t, e, "V5", "attributes.softwareVersion:5")
	dynamic(t, e, "Online", "connectivity.connected:true AND attributes.region:eu")
	do(t, e, engine.SetDebounce{Group: "Online", Debounce: "30s"})
	do(t, e, engine.CreateStaticGroup{Name: "Bonn"})
	do(t, e, engine.MoveThing{Thing: "dev1", Add: []protocol.ThingGroupName{"Bonn"}})
	for id, g := range map[protocol.JobID]string{"eu": "Europe", "five": "V5"} {
		do(t, e, engine.CreateJob{ID: id, Selection: job.Continuous, Document: "{}", Targets: []string{"arn:aws:iot:us-east-1:123456789012:thinggroup/" + g}})
	}
	for _, row := range []struct{ name, body, want string }{
		{"a report that is mirrored", `{"thing":"dev1","reported":{"softwareVersion":"5"}}`, "[V5] [V5] [] [five queue joined]"},
		{"a number keeps its text", `{"thing":"dev1","reported":{"softwareVersion":5.0}}`, "[V5] [V5] [] [five queue joined]"},
		{"an attribute", `{"thing":"dev1","attributes":{"region":""}}`, "[Europe] [] [Europe] [eu remove left]"},
		{"a connection", `{"thing":"dev1","connected":true}`, "[Online] [Online after 30s] [] []"},
		{"a connection and more", `{"thing":"dev1","connected":true,"attributes":{"region":"eu","x":"1"}}`, "[Online] [Online] [] []"},
		{"the same connection", `{"thing":"dev1","connected":false}`, "[] [] [] []"},
		{"what nobody asks for", `{"thing":"dev1","reported":{"battery":3}}`, "[] [] [] []"},
		{"a deletion", `{"thing":"dev1","delete":true}`, "[] [] [Bonn Europe] [eu remove left]"},
	} {
		status, body := send(t, h, "POST", "/muster/v1/preview/change", row.body)
		jobs := []string{}
		for i := range body["jobs"].([]any) {
			jobs = append(jobs, fmt.Sprint(at(body, "jobs", i, "jobId"), " ", at(body, "jobs", i, "action"), " ", at(body, "jobs", i, "reason")))
		}
		if got := fmt.Sprint(body["touched"], " ", movesIn(body, "joined"), " ", movesIn(body, "left"), " ", jobs); status != http.StatusOK || got != row.want {
			t.Errorf("%s: %d %s, want %s", row.name, status, got, row.want)
		}
	}
	_, body := get(t, h, "/muster/v1/groups/Europe/things/dev1")
	if body["member"] != true {
		t.Errorf("a preview changed something: %v", body)
	}
}

func movesIn(body map[string]any, side string) []string {
	words := []string{}
	for i := range body[side].([]any) {
		word := fmt.Sprint(at(body, side, i, "thingGroupName"))
		if after := at(body, side, i, "after"); after != nil {
			word += fmt.Sprint(" after ", after)
		}
		words = append(words, word)
	}
	return words
}

func TestPreviewChangeRefusals(t *testing.T) {
	e, h := start(t, rules.Safe())
	do(t, e, engine.CreateThing{Name: "dev1"})
	for _, row := range []struct{ name, body, want string }{
		{"no thing", `{"connected":true}`, `404 ResourceNotFound thing ""`},
		{"unknown thing", `{"thing":"nope","connected":true}`, `404 ResourceNotFound thing "nope"`},
		{"nothing", `{"thing":"dev1"}`, "400 InvalidRequest say what would change"},
		{"deleted and more", `{"thing":"dev1","delete":true,"connected":true}`, "400 InvalidRequest delete stands alone"},
		{"an attribute that cannot be", `{"thing":"dev1","attributes":{"a b":"c"}}`, `400 InvalidRequest thing "dev1" cannot have attribute "a b"`},
		{"a report that cannot be", `{"thing":"dev1","reported":` + strings.Repeat(`{"a":`, 12) + "1" + strings.Repeat("}", 13), "400 InvalidRequest"},
		{"a report that is too large", `{"thing":"dev1","reported":{"a":"` + strings.Repeat("x", 9000) + `"}}`, "413 RequestEntityTooLarge"},
		{"no boolean", `{"thing":"dev1","connected":"yes"}`, "400 InvalidRequest the body is not what is wanted"},
	} {
		status, body := send(t, h, "POST", "/muster/v1/preview/change", row.body)
		if got := fmt.Sprint(status, " ", body["code"], " ", body["message"]); !strings.HasPrefix(got, row.want) {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

func TestSetGroup(t *testing.T) {
	e, h := start(t, rules.Safe())
	do(t, e, engine.CreateThing{Name: "dev1"})
	dynamic(t, e, "G", "connectivity.connected:true")
	do(t, e, engine.CreateStaticGroup{Name: "S"})
	status, body := send(t, h, "PUT", "/muster/v1/groups/G", `{"connectivityDebounce":"30s"}`)
	if status != http.StatusOK || body["connectivityDebounce"] != "30s" || body["pendingDebounces"] != 0.0 {
		t.Errorf("%d %v", status, body)
	}
	do(t, e, engine.Connect{ClientID: "dev1", Session: 1})
	if _, body = get(t, h, "/muster/v1/groups/G"); body["pendingDebounces"] != 1.0 || body["members"] != 0.0 {
		t.Errorf("with one that waits: %v", body)
	}
	if _, body = get(t, h, "/muster/v1/groups/G/things/dev1"); body["reason"] != "debounce" || body["until"] == nil || body["member"] != false || body["matched"] != true {
		t.Errorf("explained %v", body)
	}
	for _, row := range []struct{ group, body, want string }{
		{"G", `{"connectivityDebounce":"2h"}`, `400 InvalidRequest connectivityDebounce "2h" is not a duration from 0s to 1h`},
		{"G", `{"connectivityDebounce":"-1s"}`, "400 InvalidRequest connectivityDebounce"},
		{"G", `{"connectivityDebounce":30}`, "400 InvalidRequest the body is not what is wanted"},
		{"G", `{}`, "400 InvalidRequest connectivityDebounce is missing"},
		{"S", `{"connectivityDebounce":"1s"}`, "400 InvalidRequest"},
		{"nope", `{"connectivityDebounce":"1s"}`, `404 ResourceNotFound thing group "nope"`},
	} {
		status, body := send(t, h, "PUT", "/muster/v1/groups/"+row.group, row.body)
		if got := fmt.Sprint(status, " ", body["code"], " ", body["message"]); !strings.HasPrefix(got, row.want) {
			t.Errorf("%s %s: %s, want %s", row.group, row.body, got, row.want)
		}
	}
}
