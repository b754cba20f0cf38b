package naive_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// everything is an index configuration that leaves nothing out.
func everything() index.Config {
	return index.Config{
		ThingIndexingMode: index.RegistryAndShadow, ThingConnectivityIndexingMode: index.Status, NamedShadowIndexingMode: index.On,
		Filter: index.Filter{NamedShadowNames: []string{"health", "$package"}},
	}
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

// fixtures are the things of AWS IoT reference 3.4 "Query cases", A to D.
func fixtures(t testing.TB) []index.Source {
	return []index.Source{
		{
			ThingName: "pump-17", ThingID: "5e2b", ThingTypeName: "Pump", GroupNames: []string{"oslo-pumps", "floor2"},
			Attributes: map[string]string{"softwareVersion": "5", "site": "oslo", "model": "gw-200", "serial": "abcd", "temp": "75"},
			Shadows: map[string]index.ShadowState{"": shadowOf(t, `{"state":{"reported":{"fw":{"build":812,"name":"Blue Whale"},
				"tags":["red","blue"],"vals":[1,2,3],"ready":true,"pos":"59.91,10.75","evs":[{"a":1}],"x":null},"desired":{"fw":{"build":813}}}}`)},
			Connectivity: index.Connectivity{Connected: true, Timestamp: 1740830391004},
		},
		{
			ThingName: "pump-18", ThingTypeName: "Pump", GroupNames: []string{"oslo-pumps"},
			Attributes:   map[string]string{"softwareVersion": "6", "site": "Bergen", "model": "gw-2000", "serial": "abce", "temp": "60"},
			Connectivity: index.Connectivity{Timestamp: 1740830000000, DisconnectReason: "CONNECTION_LOST"},
		},
		{
			ThingName: "lamp-1", Attributes: map[string]string{"softwareVersion": "v5"},
			Shadows: map[string]index.ShadowState{"health": shadowOf(t, `{"state":{"reported":{"disk":{"free":12.5}},"desired":{"disk":{"free":12.50}}}}`)},
		},
		{
			ThingName: "Pump:99", Attributes: map[string]string{"softwareVersion": "5.0", "note": "fw_blue"},
			Shadows: map[string]index.ShadowState{"$package": shadowOf(t,
				`{"state":{"reported":{"agent":{"version":"1.10.0","attributes":{"size":"900"}}}}}`)},
			Connectivity: index.Connectivity{Connected: true, Timestamp: 1740831000000},
		},
	}
}

// answered is a thing as a search answers it: the JSON of its answer, read.
func answered(t testing.TB, doc *index.Document, dynamic ...protocol.ThingGroupName) naive.Thing {
	t.Helper()
	a, err := doc.Answer(dynamic)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	thing, err := naive.ReadThing(text)
	if err != nil {
		t.Fatal(err)
	}
	return thing
}

// TestReferenceCases: the naive evaluator answers every case of the query
// language as the reference does.
func TestReferenceCases(t *testing.T) {
	data, err := os.ReadFile("../../server/query/testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	var things []naive.Thing
	for _, src := range fixtures(t) {
		things = append(things, answered(t, index.Flatten(src, everything())))
	}
	asked := map[string]bool{}
	for l := range strings.Lines(string(data)) {
		cells := strings.Split(l, "|")
		if len(cells) < 3 || strings.HasPrefix(strings.TrimSpace(l), "#") {
			continue
		}
		number, text, want := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
		if strings.HasPrefix(want, "error") {
			continue // the parser's, which is the same
		}
		q, err := query.Parse(text)
		if err != nil {
			t.Errorf("case %s: %v", number, err)
			continue
		}
		asked[number] = true
		var got []string
		for i, name := range []string{"A", "B", "C", "D"} {
			if naive.Matches(q, things[i]) {
				got = append(got, name)
			}
		}
		if !slices.Equal(got, strings.Fields(strings.TrimPrefix(want, "none"))) {
			t.Errorf("case %s: query %s matches %v, want %s", number, text, got, want)
		}
	}
	const matching = 68 // of the 86 cases of the reference; the others are errors
	if len(asked) < matching {
		t.Errorf("only %d cases were asked", len(asked))
	}
}
