package restjson_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/restjson"
)

// everything has a member of every kind and location.
type everything struct {
	Head   *string
	Words  []string
	Ratio  *float64
	At     *awsmodel.Time
	Data   []byte
	Counts map[string]int64
	Flag   *bool
}

func kindsService() awsmodel.Service {
	return awsmodel.Service{
		Name: "kinds", SigningName: "kinds",
		Operations: []awsmodel.Operation{{Name: "Put", Method: "PUT", Path: "/put", InputTarget: "In"}},
		Shapes: map[string]*awsmodel.Shape{
			"Text": {Kind: awsmodel.String}, "Ratio": {Kind: awsmodel.Double, Min: new(0.5)}, "At": {Kind: awsmodel.Timestamp},
			"Data": {Kind: awsmodel.Blob}, "Count": {Kind: awsmodel.Long}, "Flag": {Kind: awsmodel.Boolean},
			"Words":  {Kind: awsmodel.List, ElemTarget: "Text", Max: new(2.0)},
			"Counts": {Kind: awsmodel.Map, KeyTarget: "Text", ElemTarget: "Count", Min: new(1.0)},
			"In": {Kind: awsmodel.Structure, Members: []awsmodel.Member{
				{Name: "head", WireName: "x-head", In: awsmodel.Header, Target: "Text"},
				{Name: "words", WireName: "word", In: awsmodel.Query, Target: "Words"},
				{Name: "ratio", WireName: "ratio", Target: "Ratio"},
				{Name: "at", WireName: "at", Target: "At"},
				{Name: "data", WireName: "data", Target: "Data"},
				{Name: "counts", WireName: "counts", Target: "Counts"},
				{Name: "flag", WireName: "flag", Target: "Flag"},
			}},
		},
	}
}

// served calls a handler without a network.
func served(h http.Handler, r *http.Request) answer {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Result(), w.Body.String()}
}

func TestKindsAndLocations(t *testing.T) {
	var got everything
	h, err := restjson.New(restjson.Config{
		Services: []awsmodel.Service{kindsService()}, AcceptAny: true, Unsigned: []string{"kinds"},
		Operations: map[string]restjson.Operation{
			"kinds.Put": restjson.Serve(func(_ context.Context, _ restjson.Call, in *everything) (*restjson.Nothing, error) {
				got = *in
				return nil, nil
			}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	at := awsmodel.Time(time.UnixMilli(1740830400500))
	for _, row := range []struct {
		name, query, head, body string
		want                    everything
		refused                 string
	}{
		{name: "header", head: "a b", want: everything{Head: new("a b")}},
		{name: "repeated query parameter", query: "word=a&word=b", want: everything{Words: []string{"a", "b"}}},
		{name: "too many", query: "word=a&word=b&word=c", refused: "length less than or equal to 2"},
		{name: "double", body: `{"ratio":0.5}`, want: everything{Ratio: new(0.5)}},
		{name: "double below its minimum", body: `{"ratio":0.25}`, refused: "Value '0.25' at 'ratio' failed to satisfy constraint: Member must have value greater than or equal to 0.5"},
		{name: "not a double", body: `{"ratio":[]}`, refused: "Member must be a number"},
		{name: "not a number at all", body: `{"ratio":"NaN"}`, refused: "Member must be a number"},
		{name: "seconds", body: `{"at":1740830400.5}`, want: everything{At: &at}},
		{name: "not a time", body: `{"at":"soon"}`, refused: "Member must be a timestamp"},
		{name: "no number as time", body: `{"at":"NaN"}`, refused: "Member must be a timestamp"},
		{name: "far future", body: `{"at":1e12}`, refused: "Member must be a timestamp"},
		{name: "base64", body: `{"data":"aGk="}`, want: everything{Data: []byte("hi")}},
		{name: "not base64", body: `{"data":"*"}`, refused: "Member must be base64"},
		{name: "number as blob", body: `{"data":1}`, refused: "Member must be base64"},
		{name: "map", body: `{"counts":{"a":1,"b":null}}`, want: everything{Counts: map[string]int64{"a": 1}}},
		{name: "empty map", body: `{"counts":{}}`, refused: "length greater than or equal to 1"},
		{name: "list as map", body: `{"counts":[]}`, refused: "Member must be an object"},
		{name: "boolean", body: `{"flag":false}`, want: everything{Flag: new(false)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got = everything{}
			r, _ := http.NewRequest("PUT", "http://h/put?"+row.query, strings.NewReader(row.body))
			if row.head != "" {
				r.Header.Set("X-Head", row.head)
			}
			a := served(h, r)
			if row.refused != "" {
				wantError(t, a, 400, "InvalidRequestException", row.refused)
				return
			}
			if a.StatusCode != 200 || !reflect.DeepEqual(got, row.want) {
				t.Errorf("got %d %s %+v", a.StatusCode, a.body, got)
			}
		})
	}
}

// TestStatusWithoutModel asks for errors that the operation's service does not have.
func TestStatusWithoutModel(t *testing.T) {
	for code, want := range map[protocol.Code]int{
		protocol.InvalidRequest: 400, protocol.Unauthorized: 401, protocol.Forbidden: 403, protocol.NotFound: 404,
		protocol.AlreadyExists: 409, protocol.VersionConflict: 409, protocol.Conflict: 409, protocol.InvalidStateTransition: 409,
		protocol.LimitExceeded: 410, protocol.TerminalState: 410, protocol.TooLarge: 413, protocol.UnsupportedEncoding: 415,
		protocol.Throttling: 400, protocol.Internal: 500, protocol.Unavailable: 503,
	} {
		h, err := restjson.New(restjson.Config{
			Services: []awsmodel.Service{kindsService()}, AcceptAny: true, Unsigned: []string{"kinds"},
			Operations: map[string]restjson.Operation{
				"kinds.Put": restjson.Serve(func(context.Context, restjson.Call, *everything) (*restjson.Nothing, error) {
					return nil, protocol.Errorf(code, "why")
				}),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		r, _ := http.NewRequest("PUT", "http://h/put", nil)
		if a := served(h, r); a.StatusCode != want || !strings.HasPrefix(a.Header.Get("x-amzn-ErrorType"), string(code)) {
			t.Errorf("%s: got %d %s, want %d", code, a.StatusCode, a.Header.Get("x-amzn-ErrorType"), want)
		}
	}
}

func TestOutputHeadersAreNotSupported(t *testing.T) {
	svc := kindsService()
	svc.Operations[0].OutputTarget = "In"
	_, err := restjson.New(restjson.Config{
		Services: []awsmodel.Service{svc}, AcceptAny: true,
		Operations: map[string]restjson.Operation{
			"kinds.Put": restjson.Serve(func(context.Context, restjson.Call, *everything) (*everything, error) { return nil, nil }),
		},
	})
	if err == nil || !strings.Contains(err.Error(), "member head travels in the header") {
		t.Errorf("got %v", err)
	}
}

// TestAbortCutsTheConnection: http.ErrAbortHandler means what it means elsewhere.
func TestAbortCutsTheConnection(t *testing.T) {
	base := serve(t, restjson.Config{
		Services: []awsmodel.Service{kindsService()}, AcceptAny: true, Unsigned: []string{"kinds"},
		Operations: map[string]restjson.Operation{
			"kinds.Put": restjson.Serve(func(context.Context, restjson.Call, *everything) (*restjson.Nothing, error) {
				panic(http.ErrAbortHandler)
			}),
		},
	})
	r, _ := http.NewRequest("PUT", base+"/put", nil)
	response, err := http.DefaultClient.Do(r)
	if err == nil {
		_, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	if err == nil {
		t.Error("the connection was not cut")
	}
}
