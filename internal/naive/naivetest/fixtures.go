package naivetest

import (
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/index"
)

// Fixtures are the four things of AWS IoT reference 3.4 "Query cases", by letter.
func Fixtures(t testing.TB) map[string]index.Source {
	t.Helper()
	return map[string]index.Source{
		"A": {
			ThingName: "pump-17", ThingID: "5e2b", ThingTypeName: "Pump",
			GroupNames: []string{"oslo-pumps", "floor2"},
			Attributes: map[string]string{
				"softwareVersion": "5", "site": "oslo", "model": "gw-200", "serial": "abcd", "temp": "75",
			},
			Shadows: map[string]index.ShadowState{"": shadowOf(t, `{"state":{
				"reported":{"fw":{"build":812,"name":"Blue Whale"},"tags":["red","blue"],"vals":[1,2,3],
					"ready":true,"pos":"59.91,10.75","evs":[{"a":1}],"x":null},
				"desired":{"fw":{"build":813}}}}`)},
			Connectivity: index.Connectivity{Connected: true, Timestamp: 1740830391004},
		},
		"B": {
			ThingName: "pump-18", ThingTypeName: "Pump", GroupNames: []string{"oslo-pumps"},
			Attributes: map[string]string{
				"softwareVersion": "6", "site": "Bergen", "model": "gw-2000", "serial": "abce", "temp": "60",
			},
			Connectivity: index.Connectivity{Timestamp: 1740830000000, DisconnectReason: "CONNECTION_LOST"},
		},
		"C": {
			ThingName:  "lamp-1",
			Attributes: map[string]string{"softwareVersion": "v5"},
			Shadows: map[string]index.ShadowState{"health": shadowOf(t,
				`{"state":{"reported":{"disk":{"free":12.5}},"desired":{"disk":{"free":12.50}}}}`)},
		},
		"D": {
			ThingName:  "Pump:99",
			Attributes: map[string]string{"softwareVersion": "5.0", "note": "fw_blue"},
			Shadows: map[string]index.ShadowState{"$package": shadowOf(t,
				`{"state":{"reported":{"agent":{"version":"1.10.0","attributes":{"size":"900"}}}}}`)},
			Connectivity: index.Connectivity{Connected: true, Timestamp: 1740831000000},
		},
	}
}

// Fixed is the configuration under which the cases are asked of them.
func Fixed() index.Config {
	return index.Config{
		ThingIndexingMode:             index.RegistryAndShadow,
		ThingConnectivityIndexingMode: index.Status,
		NamedShadowIndexingMode:       index.On,
		Filter:                        index.Filter{NamedShadowNames: []string{"health", "$package"}},
	}
}

// shadowOf returns the shadow after one update at 2025-03-01 12:00:00 UTC.
func shadowOf(t testing.TB, update string) shadow.Document {
	t.Helper()
	u, err := shadow.ParseUpdate([]byte(update))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := shadow.Document{}.Apply(u, time.Unix(1740830400, 0))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
