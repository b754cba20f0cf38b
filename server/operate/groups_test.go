package operate_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/rules"
)

// send sends a body and returns the status and the answer.
func send(t *testing.T, h http.Handler, method, path, body string) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%s: %q: %v", path, w.Body, err)
	}
	return w.Code, got
}

// dynamic creates a dynamic group and waits until it is ACTIVE.
func dynamic(t *testing.T, e *engine.Engine, name protocol.ThingGroupName, query string) {
	t.Helper()
	do(t, e, engine.CreateDynamicGroup{Name: name, Query: query})
	for building := true; building; {
		err := engine.Read(t.Context(), e, func(v *engine.View) error {
			g, err := v.Group(name)
			building = g.Status.NeedsScan()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// at picks a value out of an answer: at(a, "query", "children", 0, "seen").
func at(a any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := a.(map[string]any)
			a = m[step]
		case int:
			l, _ := a.([]any)
			if step >= len(l) {
				return nil
			}
			a = l[step]
		}
	}
	return a
}

func TestDescribeGroup(t *testing.T) {
	e, h := start(t, rules.Safe())
	do(t, e, engine.CreateThing{Name: "dev1", Attributes: map[string]string{"softwareVersion": "5"}})
	dynamic(t, e, "V5", "attributes.softwareVersion:5   AND thingName:dev*")
	do(t, e, engine.CreateStaticGroup{Name: "Above"})
	do(t, e, engine.CreateStaticGroup{Name: "Below", Parent: "Above"})
	do(t, e, engine.MoveThing{Thing: "dev1", Add: []protocol.ThingGroupName{"Below"}})
	do(t, e, engine.CreateJob{ID: "j", Selection: job.Continuous, Document: "{}", Targets: []string{"arn:aws:iot:us-east-1:123456789012:thinggroup/V5"}})

	status, body := get(t, h, "/muster/v1/groups/V5")
	want := "true ACTIVE 1 attributes.softwareVersion:5 AND thingName:dev* 2 0 [j]"
	if got := fmt.Sprint(body["dynamic"], " ", body["status"], " ", body["members"], " ", body["query"], " ", body["terms"], " ", body["heldJoins"], " ", body["jobs"]); status != http.StatusOK || got != want {
		t.Errorf("%d %s, want %s", status, got, want)
	}
	if status, body := get(t, h, "/muster/v1/groups/Above"); status != http.StatusOK || body["dynamic"] != false || body["members"] != 1.0 || body["query"] != nil {
		t.Errorf("%d %v", status, body)
	}
	if status, body := get(t, h, "/muster/v1/groups/nope"); status != http.StatusNotFound || !strings.Contains(fmt.Sprint(body["message"]), `"nope"`) {
		t.Errorf("%d %v", status, body)
	}
}

// TestExplainMember: why a thing is in a group or not, with what was seen.
func TestExplainMember(t *testing.T) {
	r := rules.AWS()
	r.IndexingOn = true
	r.GroupsPerThing = 2
	e, h := start(t, r)
	do(t, e, engine.CreateThing{Name: "dev1", Attributes: map[string]string{"region": "eu"}})
	do(t, e, engine.CreateThing{Name: "dev2"})
	do(t, e, engine.UpdateShadow{Thing: "dev1", Update: shadow.ReportedUpdate(map[string]any{"softwareVersion": "5 beta", "softwareSeq": json.Number("7")})})
	do(t, e, engine.CreateStaticGroup{Name: "Above"})
	do(t, e, engine.CreateStaticGroup{Name: "Mid", Parent: "Above"})
	do(t, e, engine.CreateStaticGroup{Name: "Below", Parent: "Mid"})
	do(t, e, engine.MoveThing{Thing: "dev1", Add: []protocol.ThingGroupName{"Below"}})
	dynamic(t, e, "G1", "attributes.region:eu AND attributes.softwareSeq<9")
	dynamic(t, e, "G2", "attributes.region:eu")

	for _, row := range []struct{ group, thing, want string }{
		{"G1", "dev1", "true matches"},
		{"G1", "dev2", "false no-match"},
		{"G2", "dev1", "false groups-per-thing"},
		{"Below", "dev1", "true direct"},
		{"Above", "dev1", "true through-child"},
		{"Above", "dev2", "false not-a-member"},
	} {
		status, body := get(t, h, "/muster/v1/groups/"+row.group+"/things/"+row.thing)
		if got := fmt.Sprint(body["member"], " ", body["reason"]); status != http.StatusOK || got != row.want {
			t.Errorf("%s in %s: %d %s, want %s", row.thing, row.group, status, got, row.want)
		}
	}
	_, body := get(t, h, "/muster/v1/groups/G1/things/dev1")
	if got := fmt.Sprint(at(body, "query", "operator"), at(body, "query", "children", 1, "text"), at(body, "query", "children", 1, "seen")); got != "ANDattributes.softwareSeq<9[7]" {
		t.Errorf("query %s", got)
	}
	if got := fmt.Sprint(at(body, "notMirrored", 0, "field"), at(body, "notMirrored", 0, "reason")); !strings.Contains(got, `softwareVersion"5 beta" cannot be an attribute`) {
		t.Errorf("not mirrored: %s", got)
	}
	_, body = get(t, h, "/muster/v1/groups/G2/things/dev1")
	if got := fmt.Sprint(body["places"]); got != "[Below G1]" {
		t.Errorf("places %s", got)
	}
	_, body = get(t, h, "/muster/v1/groups/Above/things/dev1")
	if got := fmt.Sprint(body["through"]); got != "[Mid Below]" {
		t.Errorf("through %s", got)
	}
	for _, path := range []string{"nope/things/dev1", "G1/things/nope"} {
		if status, body := get(t, h, "/muster/v1/groups/"+path); status != http.StatusNotFound || !strings.Contains(fmt.Sprint(body["message"]), `"nope"`) {
			t.Errorf("%s: %d %v", path, status, body)
		}
	}
}

// TestPreviewQuery: what a query would match, and what may not be meant.
func TestPreviewQuery(t *testing.T) {
	e, h := start(t, rules.Safe())
	for i := range 12 {
		attributes := map[string]string{"model": "pump"}
		if i < 4 {
			attributes["softwareVersion"] = "6"
		}
		do(t, e, engine.CreateThing{Name: protocol.ThingName(fmt.Sprintf("dev%02d", i)), Attributes: attributes})
	}
	dynamic(t, e, "G", "thingName:dev0*")
	for _, row := range []struct{ name, body, want string }{
		{"count and first", `{"query":"attributes.softwareVersion:6","first":2}`, "200 4 [dev00 dev01] <nil> <nil>"},
		{"ten are named unless asked", `{"query":"*"}`, "200 12 [dev00 dev01 dev02 dev03 dev04 dev05 dev06 dev07 dev08 dev09] <nil> <nil>"},
		{"no names of dynamic groups are seen", `{"query":"G","first":0}`, "200 0 [] <nil> <nil>"},
		{"nor missed", `{"query":"NOT G AND pump","first":1}`, "200 12 [dev00] <nil> <nil>"},
		{"none are named", `{"query":"*","first":0}`, "200 12 [] <nil> <nil>"},
		{"of a group", `{"query":"thingName:dev1* OR attributes.softwareVersion:6","group":"G","first":0}`, "200 6 [] 2 6"},
	} {
		status, body := send(t, h, "POST", "/muster/v1/preview/query", row.body)
		if got := fmt.Sprint(status, body["count"], body["first"], body["joining"], body["leaving"]); got != row.want {
			t.Errorf("%s: %s %v, want %s", row.name, got, body["message"], row.want)
		}
	}
	_, body := send(t, h, "POST", "/muster/v1/preview/query", `{"query":"thingName:dev00","thing":"dev01"}`)
	if got := fmt.Sprint(at(body, "explanation", "matched"), at(body, "explanation", "seen")); got != "false [dev01]" {
		t.Errorf("explanation %s", got)
	}
	if got := fmt.Sprint(body["terms"], body["maxTerms"], body["maxLength"]); got != "1 100 10000" {
		t.Errorf("limits %s", got)
	}
}

func TestPreviewLints(t *testing.T) {
	e, h := start(t, rules.Safe())
	do(t, e, engine.CreateThing{Name: "dev1", Attributes: map[string]string{"softwareVersion": "6"}})
	do(t, e, engine.CreateThing{Name: "dev2", Attributes: map[string]string{"softwareVersion": "5"}})
	do(t, e, engine.CreateThing{Name: "dev3"})
	for _, row := range []struct{ query, want string }{
		{"attributes.softwareVersion:6", "[]"},
		{"connectivity.connected:true", "[connectivity]"},
		{"NOT attributes.softwareVersion:6", "[never-reported]"},
		{"attributes.softwareVersion:* AND NOT attributes.softwareVersion:6", "[]"},
		{"attributes.sofwareVersion:6", "[never-seen]"},
		{"shadow.name.config.reported.a:1", "[not-indexed]"},
		{"deviceDefender.x:1", "[not-indexed]"},
	} {
		status, body := send(t, h, "POST", "/muster/v1/preview/query", `{"query":"`+row.query+`"}`)
		codes := []any{}
		for i := range body["lints"].([]any) {
			codes = append(codes, at(body, "lints", i, "code"))
		}
		if got := fmt.Sprint(codes); status != http.StatusOK || got != row.want {
			t.Errorf("%s: %d %s, want %s", row.query, status, got, row.want)
		}
	}
	_, body := send(t, h, "POST", "/muster/v1/preview/query", `{"query":"NOT attributes.softwareVersion:6"}`)
	if at(body, "lints", 0, "things") != 1.0 || !strings.Contains(fmt.Sprint(at(body, "lints", 0, "text")), "NOT attributes.softwareVersion:6 also matches things that never reported it: 1 of") {
		t.Errorf("lint %v", at(body, "lints", 0))
	}
}

// TestPreviewRefusals: what creating the group would refuse, with its text.
func TestPreviewRefusals(t *testing.T) {
	e, h := start(t, rules.Safe())
	dynamic(t, e, "G", "thingName:dev*")
	do(t, e, engine.CreateStaticGroup{Name: "S"})
	for _, row := range []struct{ name, body, want string }{
		{"no query", `{}`, "400 InvalidQuery"},
		{"syntax", `{"query":"a AND ("}`, "400 InvalidQuery cannot parse query: column"},
		{"field", `{"query":"atributes.a:1"}`, "400 InvalidQuery Unable to parse query"},
		{"a dynamic group", `{"query":"thingGroupNames:G"}`, `400 InvalidQuery the query names the dynamic thing group "G"`},
		{"a pattern of groups", `{"query":"thingGroupNames:S*"}`, "400 InvalidQuery"},
		{"unknown group", `{"query":"*","group":"nope"}`, `404 ResourceNotFound thing group "nope"`},
		{"static group", `{"query":"*","group":"S"}`, "400 InvalidRequest"},
		{"unknown thing", `{"query":"*","thing":"nope"}`, `404 ResourceNotFound thing "nope"`},
		{"too many", `{"query":"*","first":101}`, "400 InvalidRequest first is 101"},
		{"negative", `{"query":"*","first":-1}`, "400 InvalidRequest first is -1"},
		{"unknown member", `{"qery":"*"}`, `400 InvalidRequest the body is not what is wanted: unknown field "qery"`},
		{"no object", `[]`, "400 InvalidRequest"},
		{"nothing", ``, "400 InvalidRequest"},
		{"two objects", `{"query":"*"}{}`, "400 InvalidRequest the body is not what is wanted: there is something behind"},
		{"too large", `{"query":"` + strings.Repeat("x", 300<<10) + `"}`, "413 RequestEntityTooLarge"},
	} {
		status, body := send(t, h, "POST", "/muster/v1/preview/query", row.body)
		if got := fmt.Sprint(status, " ", body["code"], " ", body["message"]); !strings.HasPrefix(got, row.want) {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}
