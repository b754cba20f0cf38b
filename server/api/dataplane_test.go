package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/presence"
	"github.com/muster-iot/muster/server/rules"
)

func TestListNamedShadows(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const path = "GET /api/things/shadow/ListNamedShadowsForThing/T"
	f.run([]call{
		{"iotdata", path, "", 200, `{"results":[],"timestamp":T}`},
		{"iotdata", "POST /things/T/shadow", `{"state":{"reported":{"a":1}}}`, 200, `{"state":{"reported":{"a":1}},"metadata":{"reported":{"a":{"timestamp":T}}},"version":1,"timestamp":T}`},
		{"iotdata", path, "", 200, `{"results":[],"timestamp":T}`},
	})
	for _, name := range []string{"health", "%24package", "config", "gone"} {
		f.do("iotdata", "POST /things/T/shadow?name="+name, `{"state":{"reported":{"a":1}}}`)
	}
	f.do("iotdata", "POST /things/T2/shadow?name=other", `{"state":{"reported":{"a":1}}}`)
	f.do("iotdata", "DELETE /things/T/shadow?name=gone", "")
	f.run([]call{
		{"iotdata", path, "", 200, `{"results":["$package","config","health"],"timestamp":T}`},
		{"iotdata", path + "?pageSize=0", "", 400, "InvalidRequestException"},
		{"iotdata", path + "?pageSize=101", "", 400, "InvalidRequestException"},
		{"iotdata", path + "?pageSize=100", "", 200, `{"results":["$package","config","health"],"timestamp":T}`},
		{"iotdata", path + "?nextToken=nonsense", "", 400, "InvalidRequestException"},
		{"iotdata", strings.Replace(path, "/T", "/a%20b", 1), "", 400, "InvalidRequestException"},
	})
	f = f.restart(rules.Safe())
	var pages []string
	for token := ""; ; {
		_, body := f.do("iotdata", path+"?pageSize=2"+token, "")
		pages = append(pages, f.member(body, "results"))
		if token = f.member(body, "nextToken"); token == "" {
			break
		}
		token = "&nextToken=" + token
	}
	if got := fmt.Sprint(pages); got != "[[$package config] [health]]" {
		t.Errorf("pages %s", got)
	}
	f.do("iotdata", "POST /things/T/shadow?name=gone", `{"state":{"reported":{"a":1}}}`)
	f.run([]call{{"iotdata", path, "", 200, `{"results":["$package","config","gone","health"],"timestamp":T}`}})
}

func TestGetThingConnectivityData(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const path = "POST /things/T/connectivity-data"
	f.run([]call{{"iot", path, "", 404, "ResourceNotFoundException"}})
	f.do("iot", "POST /things/T", "")
	f.run([]call{
		{"iot", path, "", 200, `{"thingName":"T","connected":false,"disconnectReason":"UNKNOWN"}`},
		{"iot", path, `{"includeSocketInformation":true}`, 200, `{"thingName":"T","connected":false,"disconnectReason":"UNKNOWN"}`},
		{"iot", path, `{"includeSocketInformation":"yes"}`, 400, "InvalidRequestException"},
	})
	f.connect("T", 1)
	f.run([]call{{"iot", path, "", 200, `{"thingName":"T","connected":true,"timestamp":T,"disconnectReason":"NONE"}`}})
	disconnect := engine.Disconnect{ClientID: "T", Session: 1, Reason: presence.ClientInitiated}
	if _, err := engine.Do(t.Context(), f.engine, disconnect); err != nil {
		t.Fatal(err)
	}
	f = f.restart(rules.Safe())
	f.run([]call{
		{"iot", path, "", 200, `{"thingName":"T","connected":false,"timestamp":T,"disconnectReason":"CLIENT_INITIATED_DISCONNECT"}`},
		{"iot", "POST /indexing/config", `{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY"}}`, 200, `{}`},
		{"iot", path, "", 400, `IndexNotReadyException {"message":"connectivity indexing is off: switch it on with UpdateIndexingConfiguration"}`},
		{"iot", "POST /things/nope/connectivity-data", "", 404, "ResourceNotFoundException"},
		{"iot", "POST /indexing/config", `{"thingIndexingConfiguration":{"thingIndexingMode":"OFF"}}`, 200, `{}`},
		{"iot", path, "", 400, "IndexNotReadyException"},
	})
}

func TestListIndicesPages(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.run([]call{
		{"iot", "POST /indexing/config", `{"thingGroupIndexingConfiguration":{"thingGroupIndexingMode":"ON"}}`, 200, `{}`},
		{"iot", "GET /indices", "", 200, `{"indexNames":["AWS_ThingGroups","AWS_Things"]}`},
		{"iot", "GET /indices?maxResults=500", "", 200, `{"indexNames":["AWS_ThingGroups","AWS_Things"]}`},
		{"iot", "GET /indices?maxResults=501", "", 400, "InvalidRequestException"},
		{"iot", "GET /indices?maxResults=0", "", 400, "InvalidRequestException"},
		{"iot", "GET /indices?maxResults=1", "", 200, `{"indexNames":["AWS_ThingGroups"],"nextToken":"TOKEN"}`},
		{"iot", "GET /indices?nextToken=nonsense", "", 400, "InvalidRequestException"},
	})
	_, body := f.do("iot", "GET /indices?maxResults=1", "")
	token := f.member(body, "nextToken")
	f.run([]call{
		{"iot", "GET /indices?maxResults=1&nextToken=" + token, "", 200, `{"indexNames":["AWS_Things"]}`},
		{"iot", "GET /things?maxResults=1&nextToken=" + token, "", 400, "InvalidRequestException"}, // another list's
	})
}
