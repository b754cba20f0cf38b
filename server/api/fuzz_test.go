package api_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/muster-iot/muster/server/api"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// FuzzOperations sends requests that are close to valid to a real engine: no
// request may be answered with a server error.
func FuzzOperations(f *testing.F) {
	e, err := engine.New(engine.Config{
		Store: mem.New(), Gateway: silent{}, Rules: rules.Safe(), Account: "123456789012", Region: "us-east-1",
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	f.Cleanup(func() { cancel(); <-ended })
	h, err := api.New(api.Config{Engine: e, Issuer: devices(f), Region: "us-east-1", Account: "123456789012", Dev: true})
	if err != nil {
		f.Fatal(err)
	}
	<-e.Ready()
	for _, seed := range []struct{ service, method, path, query, body string }{
		{"iot", "POST", "/things/T", "", `{"attributePayload":{"attributes":{"a":"1"}}}`},
		{"iot", "PATCH", "/things/T", "", `{"attributePayload":{"attributes":{"a":""},"merge":true},"expectedVersion":1}`},
		{"iot", "GET", "/things", "attributeName=a&maxResults=1&nextToken=PMRGMIR2EIRCYITBEI5CE6BCPU", ""},
		{"iot", "POST", "/dynamic-thing-groups/G", "", `{"queryString":"attributes.a:1 OR NOT connectivity.connected:true"}`},
		{"iot", "PATCH", "/dynamic-thing-groups/G", "", `{"thingGroupProperties":{},"queryString":"thingName:T*"}`},
		{"iot", "POST", "/indices/search", "", `{"queryString":"shadow.reported.a:[1 TO 5}","maxResults":1}`},
		{"iot", "POST", "/indexing/config", "", `{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY","customFields":[{"name":"attributes.a","type":"Number"}]}}`},
		{"iot", "PUT", "/jobs/J", "", `{"targets":["arn:aws:iot:us-east-1:123456789012:thing/T"],"document":"{}","targetSelection":"CONTINUOUS"}`},
		{"iot", "PUT", "/jobs/J/cancel", "force=true", `{"reasonCode":"A"}`},
		{"iot", "DELETE", "/jobs/J", "force=true", ""},
		{"iot-jobs-data", "PUT", "/things/T/jobs/$next", "", `{"statusDetails":{"a":"b"},"stepTimeoutInMinutes":-1}`},
		{"iot-jobs-data", "POST", "/things/T/jobs/J", "", `{"status":"SUCCEEDED","statusDetails":{"softwareVersion":"6","softwareSeq":"1e9"},"executionNumber":1}`},
		{"iotdata", "POST", "/things/T/shadow", "", `{"state":{"reported":{"a":[1,{"b":null}],"softwareVersion":6.10}}}`},
		{"iotdata", "DELETE", "/things/T/shadow", "name=x", ""},
	} {
		f.Add(seed.service, seed.method, seed.path, seed.query, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, service, method, path, query string, body []byte) {
		r := httptest.NewRequest("GET", "/", bytes.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawPath, r.URL.RawQuery = method, path, path, query
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x/20250301/r/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s %s?%s %s\ngot %d %s", method, path, query, body, w.Code, w.Body)
		}
	})
}
