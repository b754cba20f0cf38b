package restjson_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/awsmodel/iotjobsdata"
	"github.com/muster-iot/muster/server/api/restjson"
)

func TestDecode(t *testing.T) {
	var s seen
	base := serve(t, config(fake(&s)))
	for _, row := range []struct {
		name, service, method, path, body string
		want                              any
	}{
		{"no body", "iot", "POST", "/things/T", "", &iot.CreateThingRequest{ThingName: "T"}},
		{"blank body", "iot", "POST", "/things/T", " \n", &iot.CreateThingRequest{ThingName: "T"}},
		{"null body", "iot", "POST", "/things/T", "null", &iot.CreateThingRequest{ThingName: "T"}},
		{
			"null is absent", "iot", "POST", "/things/T", `{"thingTypeName":null,"attributePayload":{"attributes":{"a":null,"b":""}}}`,
			&iot.CreateThingRequest{ThingName: "T", AttributePayload: &iot.AttributePayload{Attributes: map[string]string{"b": ""}}},
		},
		{
			"unknown members", "iot", "POST", "/things/T", `{"later":{"a":[1]},"attributePayload":{"merge":true,"x":1}}`,
			&iot.CreateThingRequest{ThingName: "T", AttributePayload: &iot.AttributePayload{Merge: new(true)}},
		},
		{"names are case sensitive", "iot", "POST", "/things/T", `{"ThingTypeName":"x","thingtypename":"y"}`, &iot.CreateThingRequest{ThingName: "T"}},
		{"a path member in the body is ignored", "iot", "POST", "/things/T", `{"thingName":"U"}`, &iot.CreateThingRequest{ThingName: "T"}},
		{
			"query", "iot", "GET", "/things?maxResults=250&attributeName=site&usePrefixAttributeValue=true&x=y", "",
			&iot.ListThingsRequest{MaxResults: new(int64(250)), AttributeName: new("site"), UsePrefixAttributeValue: new(true)},
		},
		{"query number", "iot", "DELETE", "/things/T?expectedVersion=12", "", &iot.DeleteThingRequest{ThingName: "T", ExpectedVersion: new(int64(12))}},
		{
			"number as text", "iot-jobs-data", "POST", "/things/T/jobs/J", `{"status":"SUCCEEDED","expectedVersion":"3"}`,
			&iotjobsdata.UpdateJobExecutionRequest{ThingName: "T", JobId: "J", Status: "SUCCEEDED", ExpectedVersion: new(int64(3))},
		},
		{
			"number with a zero fraction", "iot-jobs-data", "POST", "/things/T/jobs/J", `{"status":"SUCCEEDED","expectedVersion":3.0}`,
			&iotjobsdata.UpdateJobExecutionRequest{ThingName: "T", JobId: "J", Status: "SUCCEEDED", ExpectedVersion: new(int64(3))},
		},
		{
			"deep structures", "iot", "PUT", "/jobs/J",
			`{"targets":["a","b"],"document":"{}","abortConfig":{"criteriaList":[{"failureType":"ALL","action":"CANCEL","thresholdPercentage":12.5,"minNumberOfExecutedThings":1}]}}`,
			&iot.CreateJobRequest{JobId: "J", Targets: []string{"a", "b"}, Document: new("{}"), AbortConfig: &iot.AbortConfig{
				CriteriaList: []iot.AbortCriteria{{FailureType: "ALL", Action: "CANCEL", ThresholdPercentage: 12.5, MinNumberOfExecutedThings: 1}},
			}},
		},
		{
			"unicode counts characters", "iot", "PUT", "/jobs/J", `{"targets":["a"],"description":"` + strings.Repeat("ü", 2028) + `"}`,
			&iot.CreateJobRequest{JobId: "J", Targets: []string{"a"}, Description: new(strings.Repeat("ü", 2028))},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			s = seen{}
			a := send(t, base, row.service, row.method, row.path, row.body)
			if a.StatusCode != 200 || !reflect.DeepEqual(s.in, row.want) {
				t.Errorf("got %d %s %#v\nwant %#v", a.StatusCode, a.body, s.in, row.want)
			}
		})
	}
}

func TestValidation(t *testing.T) {
	var s seen
	base := serve(t, config(fake(&s)))
	const one = "1 validation error detected: "
	for _, row := range []struct{ name, method, path, body, want string }{
		{
			"pattern", "GET", "/things/a%20b", "",
			one + "Value 'a b' at 'thingName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9:_-]+",
		},
		{"max length", "GET", "/things/" + strings.Repeat("a", 129), "", "at 'thingName' failed to satisfy constraint: Member must have length less than or equal to 128"},
		{"min length", "POST", "/things/T", `{"thingTypeName":""}`, "Value '' at 'thingTypeName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"required", "POST", "/indices/search", `{}`, one + "Value null at 'queryString' failed to satisfy constraint: Member must not be null"},
		{"required, null", "POST", "/indices/search", `{"queryString":null}`, "Value null at 'queryString'"},
		{"max value", "GET", "/things?maxResults=251", "", one + "Value '251' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 250"},
		{"min value", "GET", "/things?maxResults=0", "", "Member must have value greater than or equal to 1"},
		{"not a number", "GET", "/things?maxResults=many", "", "Value 'many' at 'maxResults' failed to satisfy constraint: Member must be a whole number"},
		{"fraction", "POST", "/indices/search", `{"queryString":"*","maxResults":1.5}`, "Value '1.5' at 'maxResults'"},
		{"huge number", "POST", "/indices/search", `{"queryString":"*","maxResults":1e400}`, "Member must be a whole number"},
		{"over 32 bits", "POST", "/indices/search", `{"queryString":"*","maxResults":4294967297}`, "Member must be a whole number"},
		{"enum", "PUT", "/jobs/J", `{"targets":["a"],"targetSelection":"ONCE"}`, "Value 'ONCE' at 'targetSelection' failed to satisfy constraint: Member must satisfy enum value set: [CONTINUOUS, SNAPSHOT]"},
		{"empty list", "PUT", "/jobs/J", `{"targets":[]}`, "Value '[]' at 'targets' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"list of the wrong kind", "PUT", "/jobs/J", `{"targets":[1]}`, "Value '1' at 'targets.1.member' failed to satisfy constraint: Member must be a string"},
		{"null in a list", "PUT", "/jobs/J", `{"targets":["a",null]}`, "Value null at 'targets.2.member'"},
		{"not a list", "PUT", "/jobs/J", `{"targets":"a"}`, "Member must be a list"},
		{"not an object", "POST", "/things/T", `{"attributePayload":[]}`, "Value '[]' at 'attributePayload' failed to satisfy constraint: Member must be an object"},
		{"not a boolean", "POST", "/things/T", `{"attributePayload":{"merge":"true"}}`, "Value 'true' at 'attributePayload.merge' failed to satisfy constraint: Member must be true or false"},
		{"boolean in query", "PUT", "/jobs/J/cancel?force=yes", "", "Value 'yes' at 'force'"},
		{"map key", "POST", "/things/T", `{"attributePayload":{"attributes":{"a b":"c"}}}`, "Value 'a b' at 'attributePayload.attributes' failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy"},
		{"map value", "POST", "/things/T", `{"attributePayload":{"attributes":{"a":"b c"}}}`, "Value 'b c' at 'attributePayload.attributes.a.member'"},
		{"map value of the wrong kind", "POST", "/things/T", `{"attributePayload":{"attributes":{"a":5}}}`, "Member must be a string"},
		{
			"double", "PUT", "/jobs/J", `{"targets":["a"],"abortConfig":{"criteriaList":[{"failureType":"ALL","action":"CANCEL","thresholdPercentage":100.5,"minNumberOfExecutedThings":1}]}}`,
			"Value '100.5' at 'abortConfig.criteriaList.1.member.thresholdPercentage' failed to satisfy constraint: Member must have value less than or equal to 100",
		},
		{"required inside", "PUT", "/jobs/J", `{"targets":["a"],"abortConfig":{}}`, "Value null at 'abortConfig.criteriaList'"},
		{"several", "PUT", "/jobs/J%20", `{"targetSelection":"ONCE"}`, "3 validation errors detected: Value 'J ' at 'jobId'"},
		{"long values are cut", "GET", "/things/" + strings.Repeat("b", 1000), "", strings.Repeat("b", 100) + "...'"},
		{"array as body", "POST", "/things/T", `[]`, "it must be a JSON object"},
		{"text as body", "POST", "/things/T", `"x"`, "it must be a JSON object"},
		{"broken JSON", "POST", "/things/T", `{"a":`, "cannot read the body of the request: unexpected EOF"},
		{"trailing text", "POST", "/things/T", `{} {}`, "more text after"},
		{"invalid UTF-8", "POST", "/things/T", "{\"a\":\"\xff\"}", "not valid UTF-8"},
		{"too deep", "POST", "/things/T", `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, "nests deeper than 32 levels"},
		{"bad query escape is ignored", "GET", "/things?maxResults=0&%zz", "", "greater than or equal to 1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s = seen{}
			wantError(t, send(t, base, "iot", row.method, row.path, row.body), 400, "InvalidRequestException", row.want)
			if s.in != nil {
				t.Error("the operation was called")
			}
		})
	}
}

func TestDeepestBodyAndBrackets(t *testing.T) {
	var s seen
	base := serve(t, config(fake(&s)))
	for _, body := range []string{
		`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`,
		`{"a":"` + strings.Repeat("[", 100) + `\"[[["}`,
	} {
		if a := send(t, base, "iot", "POST", "/things/T", body); a.StatusCode != 200 {
			t.Errorf("%s: got %d %s", body, a.StatusCode, a.body)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	var s seen
	base := serve(t, config(fake(&s)))
	atLimit := `{"x":"` + strings.Repeat("a", 1<<20-8) + `"}`
	if a := send(t, base, "iot", "POST", "/things/T", atLimit); a.StatusCode != 200 {
		t.Errorf("1 MiB: got %d %s", a.StatusCode, a.body)
	}
	wantError(t, send(t, base, "iot", "POST", "/things/T", atLimit+" "), 413, "RequestEntityTooLargeException", "1048576 bytes")

	chunked, _ := http.NewRequest("POST", base+"/things/T", struct{ *bytes.Reader }{bytes.NewReader(bytes.Repeat([]byte(" "), 2<<20))})
	chunked.ContentLength = -1
	response, err := http.DefaultClient.Do(chunked)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 413 {
		t.Errorf("chunked: got %d", response.StatusCode)
	}
}

// FuzzRequest sends arbitrary requests: each gets a JSON answer that is not a
// server error, and a request id.
func FuzzRequest(f *testing.F) {
	var s seen
	h, err := restjson.New(config(fake(&s)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("POST", "/things/T", "a=b", "iot", []byte(`{"attributePayload":{"attributes":{"a":"b"}}}`))
	f.Add("PUT", "/jobs/J", "", "iot", []byte(`{"targets":["a"],"timeoutConfig":{"inProgressTimeoutInMinutes":5}}`))
	f.Add("PUT", "/things/T/jobs/$next", "", "iot-jobs-data", []byte(`{"statusDetails":{"a":"b"}}`))
	f.Add("GET", "/things", "maxResults=1&usePrefixAttributeValue=x", "", []byte{})
	f.Add("POST", "/things/%2f/shadow", "name=$package", "iotdata", []byte{0xff})
	f.Fuzz(func(t *testing.T, method, path, query, service string, body []byte) {
		r := httptest.NewRequest("GET", "/", bytes.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawPath, r.URL.RawQuery = method, path, path, query
		if service != "" {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x/20250301/r/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 || w.Header().Get("x-amzn-RequestId") == "" || w.Body.Len() == 0 || w.Body.Bytes()[0] != '{' {
			t.Fatalf("got %d %v %s", w.Code, w.Header(), w.Body)
		}
	})
}
