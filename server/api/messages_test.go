package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
)

// devicesSide is an MQTT side that keeps what it is told; retained messages go
// to the engine, as in the server.
type devicesSide struct {
	engine *engine.Engine
	got    []protocol.Message
	err    error
	ended  []string
	known  map[string]bool // client ids; true is connected
}

func (d *devicesSide) Publish(ctx context.Context, m protocol.Message) error {
	d.got = append(d.got, m)
	if d.err == nil && m.Retain {
		_, err := engine.Do(ctx, d.engine, engine.Retain{Message: m})
		return err
	}
	return d.err
}

func (d *devicesSide) Disconnect(_ context.Context, id string, clean, preventWill bool) (bool, error) {
	connected, known := d.known[id]
	d.ended = append(d.ended, fmt.Sprint(id, " ", clean, " ", preventWill))
	return known && (connected || clean), d.err
}

// messageFleet is a fleet whose API reaches such an MQTT side.
func messageFleet(t *testing.T) (*fleet, *devicesSide) {
	t.Helper()
	f := newFleet(t, rules.Safe())
	side := &devicesSide{engine: f.engine, known: map[string]bool{"on": true, "off": false}}
	h, err := api.New(api.Config{Engine: f.engine, Issuer: devices(t), Messages: side, Region: "us-east-1", Account: "123456789012", Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f, side
}

// post publishes with headers and returns the status and what an error says.
func (f *fleet) post(path, body string, header map[string]string) (int, string) {
	f.t.Helper()
	r, err := http.NewRequest("POST", f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
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
	return response.StatusCode, response.Header.Get("x-amzn-ErrorType") + string(text)
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestPublish(t *testing.T) {
	f, side := messageFleet(t)
	const properties = "X-Amz-Mqtt5-User-Properties"
	pair := []protocol.UserProperty{{Key: "site", Value: "oslo"}, {Key: "site", Value: "b"}}
	twice, err := json.Marshal(`[{"site":"oslo"},{"site":"b"}]`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path, body string
		header           map[string]string
		status           int
		want             protocol.Message
	}{
		{name: "plain", path: "/topics/a%2Fb?qos=1", body: "\x00raw", status: 200, want: protocol.Message{Topic: "a/b", Payload: []byte("\x00raw"), QoS: 1}},
		{name: "no QoS, no body", path: "/topics/a", status: 200, want: protocol.Message{Topic: "a", Payload: []byte{}}},
		{name: "escaped", path: "/topics/%24aws%2Fthings%2Fx%2Fjobs%2F%24next%2Fget", status: 200, want: protocol.Message{Topic: "$aws/things/x/jobs/$next/get", Payload: []byte{}}},
		{name: "retained", path: "/topics/a?retain=true", body: "x", status: 200, want: protocol.Message{Topic: "a", Payload: []byte("x"), Retain: true}},
		{
			name: "MQTT 5", path: "/topics/a?contentType=text%2Fplain&responseTopic=r%2Fs", body: "x", status: 200,
			header: map[string]string{properties: b64(`[{"site":"oslo"},{"site":"b"}]`), "x-amz-mqtt5-payload-format-indicator": "UTF8_DATA", "x-amz-mqtt5-correlation-data": b64("\x01\x02")},
			want:   protocol.Message{Topic: "a", Payload: []byte("x"), UTF8: true, ContentType: "text/plain", ResponseTopic: "r/s", CorrelationData: []byte{1, 2}, UserProperties: pair},
		},
		{
			name: "properties encoded twice", path: "/topics/a", body: "x", status: 200, header: map[string]string{properties: b64(string(twice))},
			want: protocol.Message{Topic: "a", Payload: []byte("x"), UserProperties: pair},
		},
		{name: "QoS 2", path: "/topics/a?qos=2", status: 400},
		{name: "format", path: "/topics/a", status: 400, header: map[string]string{"x-amz-mqtt5-payload-format-indicator": "TEXT"}},
		{name: "correlation data", path: "/topics/a", status: 400, header: map[string]string{"x-amz-mqtt5-correlation-data": "?"}},
		{name: "properties", path: "/topics/a", status: 400, header: map[string]string{properties: "?"}},
		{name: "expiry", path: "/topics/a?messageExpiry=-1", status: 400},
		{name: "expiry that is no number", path: "/topics/a?messageExpiry=soon", status: 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			side.got = nil
			status, text := f.post(c.path, c.body, c.header)
			if status != c.status || status != 200 && !strings.HasPrefix(text, "InvalidRequestException") {
				t.Fatalf("answered %d %s", status, text)
			}
			if status == 200 {
				if diff := cmp.Diff([]protocol.Message{c.want}, side.got, cmpopts.EquateEmpty()); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestPublishExpiry(t *testing.T) {
	f, side := messageFleet(t)
	for _, seconds := range []int64{1, 100, 1 << 62} {
		side.got = nil
		before := time.Now()
		if status, text := f.post(fmt.Sprintf("/topics/a?messageExpiry=%d", seconds), "x", nil); status != 200 {
			t.Fatalf("answered %d %s", status, text)
		}
		ttl := side.got[0].Expires.Sub(before)
		if want := time.Duration(min(seconds, 7*24*3600)) * time.Second; ttl < want || seconds <= 100 && ttl > want+time.Minute {
			t.Errorf("%d s: expires in %v", seconds, ttl)
		}
	}
}

// TestPublishFails: the errors of the MQTT side become those of the operation.
func TestPublishFails(t *testing.T) {
	f, side := messageFleet(t)
	for _, c := range []struct {
		code   protocol.Code
		status int
		want   string
	}{
		{protocol.InvalidRequest, 400, "InvalidRequestException"},
		{protocol.LimitExceeded, 400, "InvalidRequestException"},
		{protocol.Unavailable, 503, "ServiceUnavailableException"},
	} {
		side.err = protocol.Errorf(c.code, "no")
		if status, text := f.post("/topics/a", "x", nil); status != c.status || !strings.HasPrefix(text, c.want) {
			t.Errorf("%s answered %d %s", c.code, status, text)
		}
	}
}

func TestRetainedMessages(t *testing.T) {
	f, _ := messageFleet(t)
	f.post("/topics/a%2Fb?retain=true&qos=1", "hello", map[string]string{"x-amz-mqtt5-user-properties": b64(`[{"k":"v"}]`)})
	f.post("/topics/c?retain=true", "\xff", nil)
	f.post("/topics/d?retain=true", "gone", nil)
	f.post("/topics/d?retain=true", "", nil)
	ab := `{"topic":"a/b","payloadSize":5,"qos":1,"lastModifiedTime":MS}`
	c := `{"topic":"c","payloadSize":1,"qos":0,"lastModifiedTime":MS}`
	f.run([]call{
		{"iotdata", "GET /retainedMessage/a%2Fb", "", 200, `{"topic":"a/b","payload":"` + b64("hello") + `","qos":1,"lastModifiedTime":MS,"userProperties":"` + b64(`[{"k":"v"}]`) + `"}`},
		{"iotdata", "GET /retainedMessage/c", "", 200, `{"topic":"c","payload":"` + b64("\xff") + `","qos":0,"lastModifiedTime":MS}`},
		{"iotdata", "GET /retainedMessage/d", "", 404, `ResourceNotFoundException {"message":"topic \"d\" has no retained message"}`},
		{"iotdata", "GET /retainedMessage/a", "", 404, `ResourceNotFoundException`},
		{"iotdata", "GET /retainedMessage", "", 200, `{"retainedTopics":[` + ab + `,` + c + `]}`},
		{"iotdata", "GET /retainedMessage?maxResults=1", "", 200, `{"retainedTopics":[` + ab + `],"nextToken":"TOKEN"}`},
		{"iotdata", "GET /retainedMessage?maxResults=200", "", 200, `{"retainedTopics":[` + ab + `,` + c + `]}`},
		{"iotdata", "GET /retainedMessage?maxResults=201", "", 400, `InvalidRequestException`},
		{"iotdata", "GET /retainedMessage?maxResults=0", "", 400, `InvalidRequestException`},
		{"iotdata", "GET /retainedMessage?nextToken=x", "", 400, `InvalidRequestException`},
	})
	_, body := f.do("iotdata", "GET /retainedMessage?maxResults=1", "")
	f.run([]call{{"iotdata", "GET /retainedMessage?maxResults=1&nextToken=" + f.member(body, "nextToken"), "", 200, `{"retainedTopics":[` + c + `]}`}})

	empty, _ := messageFleet(t)
	empty.run([]call{{"iotdata", "GET /retainedMessage", "", 200, `{"retainedTopics":[]}`}})
}

func TestDeleteConnection(t *testing.T) {
	f, side := messageFleet(t)
	f.run([]call{
		{"iotdata", "DELETE /connections/on", "", 200, `{}`},
		{"iotdata", "DELETE /connections/on?cleanSession=true&preventWillMessage=true", "", 200, `{}`},
		{"iotdata", "DELETE /connections/off?cleanSession=true", "", 200, `{}`},
		{"iotdata", "DELETE /connections/off", "", 404, `ResourceNotFoundException {"message":"client \"off\" is not connected: set cleanSession to end a session without connection"}`},
		{"iotdata", "DELETE /connections/dev%3A1%2Fx?cleanSession=true", "", 404, `ResourceNotFoundException {"message":"client \"dev:1/x\" is not connected and has no session"}`},
		{"iotdata", "DELETE /connections/%24x", "", 400, `InvalidRequestException`},
		{"iotdata", "DELETE /connections/" + strings.Repeat("x", 129), "", 400, `InvalidRequestException`},
		{"iotdata", "DELETE /connections/on?cleanSession=maybe", "", 400, `InvalidRequestException`},
	})
	want := []string{"on false false", "on true true", "off true false", "off false false", "dev:1/x true false"}
	if !slices.Equal(side.ended, want) {
		t.Errorf("asked to end %q, want %q", side.ended, want)
	}
	side.err = context.DeadlineExceeded
	f.run([]call{{"iotdata", "DELETE /connections/on", "", 503, `ServiceUnavailableException`}})
}

func TestParseUserProperties(t *testing.T) {
	for _, c := range []struct {
		name, text string // before base64
		want       []protocol.UserProperty
		ok         bool
	}{
		{"none", `[]`, nil, true},
		{"one", `[{"a":"b"}]`, []protocol.UserProperty{{Key: "a", Value: "b"}}, true},
		{"order and repetition", ` [ {"b":""}, {"a":"1"}, {"b":"2"} ]`, []protocol.UserProperty{{Key: "b"}, {Key: "a", Value: "1"}, {Key: "b", Value: "2"}}, true},
		{"as a JSON string", `"[{\"a\":\"b\"}]"`, []protocol.UserProperty{{Key: "a", Value: "b"}}, true},
		{"in base64 again", b64(`[{"a":"b"}]`), []protocol.UserProperty{{Key: "a", Value: "b"}}, true},
		{"in base64 in a JSON string", `"` + b64(`[{"a":"b"}]`) + `"`, []protocol.UserProperty{{Key: "a", Value: "b"}}, true},
		{"an object", `{"a":"b"}`, nil, false},
		{"two entries", `[{"a":"b","c":"d"}]`, nil, false},
		{"no entry", `[{}]`, nil, false},
		{"a number", `[{"a":1}]`, nil, false},
		{"null", `[{"a":null}]`, nil, false},
		{"null list", `null`, nil, false},
		{"text", `hello`, nil, false},
		{"more behind", `[{"a":"b"}]x`, nil, false},
	} {
		got, err := api.ParseUserProperties(b64(c.text))
		if (err == nil) != c.ok || !slices.Equal(got, c.want) || err != nil && protocol.CodeOf(err) != protocol.InvalidRequest {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	if got, err := api.ParseUserProperties(""); got != nil || err != nil {
		t.Errorf("without header: %v, %v", got, err)
	}
}

func FuzzParseUserProperties(f *testing.F) {
	for _, s := range []string{`[{"a":"b"}]`, `"[{\"a\":\"b\"}]"`, b64(`[{"a":"b"}]`), `[{"a":1}]`, `null`, ``} {
		f.Add(b64(s))
	}
	f.Add("?")
	f.Fuzz(func(t *testing.T, header string) {
		properties, err := api.ParseUserProperties(header)
		if err != nil {
			if protocol.CodeOf(err) != protocol.InvalidRequest || properties != nil {
				t.Fatalf("%v with %v", err, properties)
			}
			return
		}
		entries := []map[string]string{}
		for _, p := range properties {
			entries = append(entries, map[string]string{p.Key: p.Value})
		}
		again, err := json.Marshal(entries)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := api.ParseUserProperties(b64(string(again))); err != nil || !slices.Equal(got, properties) {
			t.Fatalf("%q gives %v, and that %v, %v", header, properties, got, err)
		}
	})
}
