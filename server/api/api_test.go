package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/mem"
)

// silent is a gateway without clients.
type silent struct{}

func (silent) Publish(string, []byte)            {}
func (silent) Send(uint64, string, []byte)       {}
func (silent) Deliver(protocol.Message)          {}
func (silent) PublishAnd(string, []byte, uint64) {}

// fleet is a running engine behind the API.
type fleet struct {
	t      *testing.T
	engine *engine.Engine
	url    string
	store  store.Store
	stop   func()
}

func newFleet(t *testing.T, r rules.Rules) *fleet {
	t.Helper()
	return newFleetOver(t, r, mem.New())
}

// restart ends the fleet's server and starts another one over its store.
func (f *fleet) restart(r rules.Rules) *fleet {
	f.t.Helper()
	f.stop()
	return newFleetOver(f.t, r, f.store)
}

func newFleetOver(t *testing.T, r rules.Rules, s store.Store) *fleet {
	t.Helper()
	e, err := engine.New(engine.Config{
		Store: s, Gateway: silent{}, Rules: r, Logger: slog.New(slog.DiscardHandler), Account: "123456789012", Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	h, err := api.New(api.Config{
		Engine: e, Issuer: devices(t), Region: "us-east-1", Account: "123456789012", Endpoint: "127.0.0.1:8883", JobsEndpoint: "127.0.0.1:8443", Dev: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	stop := sync.OnceFunc(func() {
		server.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	<-e.Ready()
	return &fleet{t, e, server.URL, s, stop}
}

// connect makes a device's session known to the engine.
func (f *fleet) connect(thing string, session uint64) {
	f.t.Helper()
	if _, err := engine.Do(f.t.Context(), f.engine, engine.Connect{ClientID: thing, Session: session}); err != nil {
		f.t.Fatal(err)
	}
}

// call is one request and what it must be answered.
type call struct {
	service, request, body string
	status                 int
	// want is the whole body, normalized; of an error that is worded by
	// another package, the exception alone.
	want string
}

// run makes the calls in order.
func (f *fleet) run(calls []call) {
	f.t.Helper()
	for _, c := range calls {
		status, body := f.do(c.service, c.request, c.body)
		got := normal(body)
		if exception, _, _ := strings.Cut(got, " "); exception == c.want {
			got = exception
		}
		if status != c.status || got != c.want {
			f.t.Errorf("%s %s\n got %d %s\nwant %d %s", c.request, c.body, status, got, c.status, c.want)
		}
	}
}

func (f *fleet) do(service, request, body string) (int, string) {
	f.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if service != "" {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x/20250301/eu-north-1/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if exception := response.Header.Get("x-amzn-ErrorType"); exception != "" {
		return response.StatusCode, exception + " " + string(text)
	}
	return response.StatusCode, string(text)
}

// eventually repeats a call until its normalized answer is the wanted one.
func (f *fleet) eventually(service, request, want string) {
	f.t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		_, body := f.do(service, request, "")
		got := normal(body)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%s\n got %s\nwant %s", request, got, want)
		}
	}
}

// normal replaces what differs between runs: ids, times and tokens.
func normal(body string) string {
	for _, row := range []struct{ form, by string }{
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "ID"},
		{`\b1[0-9]{12}\b`, "MS"},
		{`\b1[0-9]{9}(\.[0-9]{3})?\b`, "T"},
		{`"nextToken":"[^"]+"`, `"nextToken":"TOKEN"`},
	} {
		body = regexp.MustCompile(row.form).ReplaceAllString(body, row.by)
	}
	return body
}

// member reads one member of a JSON answer.
func (f *fleet) member(body, name string) string {
	f.t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(body), &object); err != nil {
		f.t.Fatalf("%v: %s", err, body)
	}
	if object[name] == nil {
		return ""
	}
	return fmt.Sprint(object[name])
}

func TestNewRefuses(t *testing.T) {
	if _, err := api.New(api.Config{Dev: true, Issuer: devices(t)}); err == nil {
		t.Error("an api without an engine")
	}
	e, err := engine.New(engine.Config{Store: mem.New(), Gateway: silent{}, Rules: rules.Safe(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.New(api.Config{Engine: e, Dev: true}); err == nil {
		t.Error("an api without an issuer")
	}
	if _, err := api.New(api.Config{Engine: e, Issuer: devices(t)}); err == nil {
		t.Error("an api without credentials")
	}
}

func TestThings(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const arn = `"thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/pump-17"`
	f.run([]call{
		{"iot", "GET /things", "", 200, `{"things":[]}`},
		{"iot", "GET /things/pump-17", "", 404, `ResourceNotFoundException`},
		{"iot", "POST /things/pump-17", `{"attributePayload":{"attributes":{"site":"oslo"}}}`, 200, `{"thingName":"pump-17",` + arn + `,"thingId":"ID"}`},
		{"iot", "POST /things/pump-17", `{"attributePayload":{"attributes":{"site":"oslo"}}}`, 200, `{"thingName":"pump-17",` + arn + `,"thingId":"ID"}`},
		{
			"iot", "POST /things/pump-17", "", 409,
			`ResourceAlreadyExistsException {"message":"thing \"pump-17\" exists already with another configuration","resourceId":"ID","resourceArn":"arn:aws:iot:eu-north-1:123456789012:thing/pump-17"}`,
		},
		{
			"iot", "GET /things/pump-17", "", 200,
			`{"defaultClientId":"pump-17","thingName":"pump-17","thingId":"ID",` + arn + `,"attributes":{"site":"oslo"},"version":1}`,
		},
		{"iot", "PATCH /things/pump-17", `{"attributePayload":{"attributes":{"room":"3"},"merge":true}}`, 200, `{}`},
		{"iot", "PATCH /things/pump-17", `{"expectedVersion":1}`, 409, `VersionConflictException`},
		{"iot", "GET /things?attributeName=room", "", 200, `{"things":[{"thingName":"pump-17",` + arn + `,"attributes":{"room":"3","site":"oslo"},"version":2}]}`},
		{"iot", "GET /things?attributeName=site&attributeValue=os", "", 200, `{"things":[]}`},
		{"iot", "GET /things?attributeName=site&attributeValue=os&usePrefixAttributeValue=true&maxResults=1", "", 200, `{"things":[{"thingName":"pump-17",` + arn + `,"attributes":{"room":"3","site":"oslo"},"version":2}]}`},
		{"iot", "GET /things?thingTypeName=Pump", "", 200, `{"things":[]}`},
		{"iot", "GET /things?attributeValue=os", "", 400, `InvalidRequestException {"message":"attributeValue needs attributeName: say which attribute is to have the value \"os\""}`},
		{"iot", "PATCH /things/pump-17", `{"attributePayload":{"attributes":{"room":"4"}}}`, 200, `{}`},
		{"iot", "PATCH /things/pump-17", `{"thingTypeName":"Pump"}`, 404, `ResourceNotFoundException {"message":"thing type \"Pump\" does not exist"}`},
		{"iot", "PATCH /things/pump-17", `{"thingTypeName":"Pump","removeThingType":true}`, 400, `InvalidRequestException {"message":"thing \"pump-17\": removeThingType and thingTypeName exclude each other"}`},
		{"iot", "POST /things/pump-18", `{"billingGroupName":"b"}`, 404, `ResourceNotFoundException {"message":"billing group \"b\" does not exist"}`},
		{
			"iot", "GET /things/pump-17", "", 200,
			`{"defaultClientId":"pump-17","thingName":"pump-17","thingId":"ID",` + arn + `,"attributes":{"room":"4"},"version":3}`,
		},
		{"iot", "DELETE /things/pump-17?expectedVersion=1", "", 409, `VersionConflictException`},
		{"iot", "DELETE /things/pump-17", "", 200, `{}`},
		{"iot", "DELETE /things/pump-17", "", 200, `{}`},
	})
}

func TestListsPage(t *testing.T) {
	f := newFleet(t, rules.Safe())
	for i := range 7 {
		f.do("iot", fmt.Sprintf("POST /things/t%d", i), `{"attributePayload":{"attributes":{"odd":"`+fmt.Sprint(i%2)+`"}}}`)
	}
	var got []string
	path := "GET /things?maxResults=2&attributeName=odd&attributeValue=0"
	for token := ""; ; {
		_, body := f.do("iot", path+token, "")
		var page struct {
			NextToken *string
			Things    []struct{ ThingName string }
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		for _, th := range page.Things {
			got = append(got, th.ThingName)
		}
		if page.NextToken == nil {
			break
		}
		token = "&nextToken=" + *page.NextToken
	}
	if fmt.Sprint(got) != "[t0 t2 t4 t6]" {
		t.Errorf("got %v", got)
	}
}
