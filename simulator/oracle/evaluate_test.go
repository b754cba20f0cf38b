package oracle_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
	"github.com/muster-iot/muster/simulator/oracle"
)

// everything is an index configuration that leaves nothing out.
var everything = index.Config{
	ThingIndexingMode: index.RegistryAndShadow, ThingConnectivityIndexingMode: index.Status, NamedShadowIndexingMode: index.On,
	Filter: index.Filter{NamedShadowNames: []string{"health", "$package"}},
}

func shadowOf(t testing.TB, text string) shadow.Document {
	t.Helper()
	u, err := shadow.ParseUpdate([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := shadow.Document{}.Apply(u, time.Unix(1740830400, 0))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// fixtures are the things of the query language's cases (see its testdata).
func fixtures(t testing.TB) map[string]index.Source {
	return map[string]index.Source{
		"A": {
			ThingName: "pump-17", ThingID: "5e2b", ThingTypeName: "Pump", GroupNames: []string{"oslo-pumps", "floor2"},
			Attributes: map[string]string{"softwareVersion": "5", "site": "oslo", "model": "gw-200", "serial": "abcd", "temp": "75"},
			Shadows: map[string]index.ShadowState{"": shadowOf(t, `{"state":{"reported":{"fw":{"build":812,"name":"Blue Whale"},
				"tags":["red","blue"],"vals":[1,2,3],"ready":true,"pos":"59.91,10.75","evs":[{"a":1}],"x":null},"desired":{"fw":{"build":813}}}}`)},
			Connectivity: index.Connectivity{Connected: true, Timestamp: 1740830391004},
		},
		"B": {
			ThingName: "pump-18", ThingTypeName: "Pump", GroupNames: []string{"oslo-pumps"},
			Attributes:   map[string]string{"softwareVersion": "6", "site": "Bergen", "model": "gw-2000", "serial": "abce", "temp": "60"},
			Connectivity: index.Connectivity{Timestamp: 1740830000000, DisconnectReason: "CONNECTION_LOST"},
		},
		"C": {
			ThingName: "lamp-1", Attributes: map[string]string{"softwareVersion": "v5"},
			Shadows: map[string]index.ShadowState{"health": shadowOf(t, `{"state":{"reported":{"disk":{"free":12.5}},"desired":{"disk":{"free":12.50}}}}`)},
		},
		"D": {
			ThingName: "Pump:99", Attributes: map[string]string{"softwareVersion": "5.0", "note": "fw_blue"},
			Shadows: map[string]index.ShadowState{"$package": shadowOf(t,
				`{"state":{"reported":{"agent":{"version":"1.10.0","attributes":{"size":"900"}}}}}`)},
			Connectivity: index.Connectivity{Connected: true, Timestamp: 1740831000000},
		},
	}
}

// thingOf is a thing as a search answers it.
func thingOf(t testing.TB, src index.Source) oracle.Thing {
	t.Helper()
	a, err := index.Flatten(src, everything).Answer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return oracle.Thing{
		Name: a.ThingName, ID: a.ThingID, Type: a.ThingTypeName, Groups: a.ThingGroupNames, Attributes: a.Attributes, Shadow: a.Shadow,
		Indexed: true, Connected: a.Connectivity.Connected, Since: a.Connectivity.Timestamp, Reason: a.Connectivity.DisconnectReason,
	}
}

// agrees asks the oracle whether a group of these members is what the query says.
func agrees(text string, things []oracle.Thing, members []protocol.ThingName) []oracle.Violation {
	o := oracle.New()
	g := oracle.GroupState{Name: "g", Query: text, Members: members}
	for _, r := range o.Judge(oracle.State{Groups: []oracle.GroupState{g}, Things: things}, "") {
		if r.Name == oracle.G1 {
			return r.Violations
		}
	}
	return nil
}

// TestEvaluatorOnTheReferenceCases: the oracle's own evaluator answers every
// case of the query language as the reference does.
func TestEvaluatorOnTheReferenceCases(t *testing.T) {
	data, err := os.ReadFile("../../server/query/testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	sources := fixtures(t)
	var things []oracle.Thing
	for _, name := range []string{"A", "B", "C", "D"} {
		things = append(things, thingOf(t, sources[name]))
	}
	asked := 0
	for l := range strings.Lines(string(data)) {
		cells := strings.Split(l, "|")
		if len(cells) < 3 || strings.HasPrefix(strings.TrimSpace(l), "#") {
			continue
		}
		text, want := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
		if strings.HasPrefix(want, "error") {
			continue
		}
		if _, err := query.Parse(text); err != nil {
			continue // a case with a | in it, or of another profile
		}
		asked++
		var members []protocol.ThingName
		for _, name := range strings.Fields(strings.TrimPrefix(want, "none")) {
			members = append(members, sources[name].ThingName)
		}
		for _, v := range agrees(text, things, members) {
			t.Errorf("%s: %s", text, v.What)
		}
	}
	if asked < 80 {
		t.Errorf("only %d cases were asked", asked)
	}
}

// TestEvaluatorsAgree: on queries and things made at random the oracle's
// evaluator and the server's say the same.
func TestEvaluatorsAgree(t *testing.T) {
	words := rapid.SampledFrom([]string{"5", "5.0", "6", "v5", "oslo", "Oslo", "gw-200", "true", "blue whale", "-3", "1e2", "0"})
	fields := rapid.SampledFrom([]string{"attributes.a", "attributes.b", "thingName", "connectivity.connected", "shadow.reported.a", "shadow.reported.n"})
	rapid.Check(t, func(t *rapid.T) {
		term := func() string {
			f, w := fields.Draw(t, "field"), words.Draw(t, "word")
			quoted := `"` + w + `"`
			switch rapid.IntRange(0, 5).Draw(t, "form") {
			case 0:
				return f + ":*"
			case 1:
				return f + ":[" + quoted + " TO " + `"` + words.Draw(t, "to") + `"` + "]"
			case 2:
				return f + ":" + strings.Fields(w)[0][:1] + "*"
			case 3:
				return f + rapid.SampledFrom([]string{"<", ">", "<=", ">="}).Draw(t, "op") + fmt.Sprint(rapid.IntRange(-3, 9).Draw(t, "n"))
			case 4:
				return quoted
			}
			return f + ":" + quoted
		}
		text := term()
		for range rapid.IntRange(0, 3).Draw(t, "more") {
			not := rapid.SampledFrom([]string{"", "NOT "}).Draw(t, "not")
			text = "(" + text + ")" + rapid.SampledFrom([]string{" AND ", " OR "}).Draw(t, "join") + not + term()
		}
		src := index.Source{
			ThingName:    "oslo",
			Attributes:   map[string]string{"a": words.Draw(t, "a"), "b": words.Draw(t, "b")},
			Connectivity: index.Connectivity{Connected: rapid.Bool().Draw(t, "connected"), Timestamp: 1},
		}
		n := rapid.IntRange(-3, 9).Draw(t, "shadow n")
		u, err := shadow.ParseUpdate(fmt.Appendf(nil, `{"state":{"reported":{"a":[%q,"x"],"n":%d}}}`, words.Draw(t, "shadow a"), n))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := shadow.Document{}.Apply(u, time.Unix(1740830400, 0))
		if err != nil {
			t.Fatal(err)
		}
		src.Shadows = map[string]index.ShadowState{"": doc}
		q, err := query.Parse(text)
		if err != nil {
			t.Skip(err)
		}
		flat := index.Flatten(src, everything)
		a, err := flat.Answer(nil)
		if err != nil {
			t.Fatal(err)
		}
		thing := oracle.Thing{
			Name: a.ThingName, Attributes: a.Attributes, Shadow: a.Shadow, Indexed: true, Connected: a.Connectivity.Connected, Since: a.Connectivity.Timestamp,
		}
		var members []protocol.ThingName
		if q.Match(flat) {
			members = append(members, "oslo")
		}
		for _, v := range agrees(text, []oracle.Thing{thing}, members) {
			t.Errorf("%s on %v: %s", text, src, v.What)
		}
	})
}
