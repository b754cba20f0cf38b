package api_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

// TestTargetARNs: what is no ARN of a thing or group of this account is
// refused before anything is looked up.
func TestTargetARNs(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.do("iot", "POST /things/T", "")
	for _, row := range []struct {
		name, target string
		status       int
		want         string
	}{
		{"as it should be", "arn:aws:iot:us-east-1:123456789012:thing/T", 200, `{"jobArn":"arn:aws:iot:eu-north-1:123456789012:job/as-it-should-be","jobId":"as-it-should-be"}`},
		{"another region", "arn:aws:iot:mars-1:123456789012:thing/T", 200, `{"jobArn":"arn:aws:iot:eu-north-1:123456789012:job/another-region","jobId":"another-region"}`},
		{"another account", "arn:aws:iot:us-east-1:210987654321:thing/T", 400, "InvalidRequestException"},
		{"no account", "arn:aws:iot:us-east-1::thing/T", 400, "InvalidRequestException"},
		{"another partition", "arn:aws-cn:iot:us-east-1:123456789012:thing/T", 400, "InvalidRequestException"},
		{"no partition", "arn::iot:us-east-1:123456789012:thing/T", 400, "InvalidRequestException"},
		{"another service", "arn:aws:s3:us-east-1:123456789012:thing/T", 400, "InvalidRequestException"},
		{"another resource", "arn:aws:iot:us-east-1:123456789012:job/T", 400, "InvalidRequestException"},
		{"no name", "arn:aws:iot:us-east-1:123456789012:thing/", 400, "InvalidRequestException"},
		{"name with a slash", "arn:aws:iot:us-east-1:123456789012:thing/T/2", 400, "InvalidRequestException"},
		{"name with a space", "arn:aws:iot:us-east-1:123456789012:thing/T 2", 400, "InvalidRequestException"},
		{"name with a wildcard", "arn:aws:iot:us-east-1:123456789012:thing/*", 400, "InvalidRequestException"},
		{"group name with a space", "arn:aws:iot:us-east-1:123456789012:thinggroup/a b", 400, "InvalidRequestException"},
		{"long name", "arn:aws:iot:us-east-1:123456789012:thing/" + strings.Repeat("x", 129), 400, "InvalidRequestException"},
		{"name with a colon", "arn:aws:iot:us-east-1:123456789012:thing/a:b", 404, "ResourceNotFoundException"},
		{"no such thing", "arn:aws:iot:us-east-1:123456789012:thing/T2", 404, "ResourceNotFoundException"},
		{"no such group", "arn:aws:iot:us-east-1:123456789012:thinggroup/T", 404, "ResourceNotFoundException"},
		{"a bare name", "T", 400, "InvalidRequestException"},
		{"nothing", "", 400, "InvalidRequestException"},
	} {
		f.run([]call{{"iot", "PUT /jobs/" + strings.ReplaceAll(row.name, " ", "-"), `{"targets":["` + row.target + `"],"document":"{}"}`, row.status, row.want}})
	}
	const own = "arn:aws:iot:us-east-1:123456789012:"
	f.do("iot", "POST /thing-groups/G", "")
	for _, request := range []string{"PUT /thing-groups/addThingToThingGroup", "PUT /thing-groups/removeThingFromThingGroup"} {
		for _, row := range []struct {
			thing, group string
			status       int
			want         string
		}{
			{own + "thing/T", own + "thinggroup/G", 200, `{}`},
			{strings.Replace(own, "123", "321", 1) + "thing/T", own + "thinggroup/G", 400, "InvalidRequestException"},
			{own + "thing/T", strings.Replace(own, "123", "321", 1) + "thinggroup/G", 400, "InvalidRequestException"},
			{own + "thing/a b", own + "thinggroup/G", 400, "InvalidRequestException"},
			{own + "thing/T", own + "thinggroup/a/b", 400, "InvalidRequestException"},
			{own + "thing/nope", own + "thinggroup/G", 404, "ResourceNotFoundException"},
		} {
			f.run([]call{{"iot", request, `{"thingArn":"` + row.thing + `","thingGroupArn":"` + row.group + `"}`, row.status, row.want}})
		}
	}
	f.run([]call{
		{"iot", "PUT /jobs/j", `{"Targets":["arn:aws:iot:us-east-1:123456789012:thing/T"],"document":"{}"}`, 400, `InvalidRequestException {"message":"1 validation error detected: Value null at 'targets' failed to satisfy constraint: Member must not be null"}`},
		{"iot", "PUT /jobs/j", `{"targets":["arn:aws:iot:us-east-1:123456789012:thing/T"],"Targets":[],"document":"{}"}`, 200, `{"jobArn":"arn:aws:iot:eu-north-1:123456789012:job/j","jobId":"j"}`},
	})
}

// TestBodies: what a body may hold besides the members that count (AWS IoT reference 1.1).
func TestBodies(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const made = `{"thingName":"T","thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/T","thingId":"ID"}`
	f.run([]call{
		{"iot", "POST /things/T", `{"AttributePayload":{"attributes":{"a":"1"}},"attributepayload":7,"unknown":{"deep":[1,{"x":null}]},"thingTypeName":null}`, 200, made},
		{"iot", "POST /things/T", ``, 200, made},
		{"iot", "POST /things/T", `null`, 200, made},
		{"iot", "POST /things/T", `{"attributePayload":null,"billingGroupName":null}`, 200, made},
		{"iot", "POST /things/T", `{"attributePayload":{"Attributes":{"a":"1"},"MERGE":true}}`, 200, made},
		{"iot", "POST /things/T", `{"attributePayload":{"attributes":{"a":1}}}`, 400, "InvalidRequestException"},
		{"iot", "POST /things/T", `{"attributePayload":[]}`, 400, "InvalidRequestException"},
		{"iot", "POST /things/T", `{}{}`, 400, "InvalidRequestException"},
		{"iot", "POST /things/T", `{"attributePayload":`, 400, "InvalidRequestException"},
		{"iot", "POST /things/T", `{"billingGroupName":"gold"}`, 404, `ResourceNotFoundException {"message":"billing group \"gold\" does not exist"}`},
		{"iot", "POST /things/T", `{"BillingGroupName":"gold"}`, 200, made},
		{"iot", "PATCH /things/T", `{"expectedVersion":1,"ExpectedVersion":7}`, 200, `{}`},
		{"iot", "PATCH /things/T", `{"expectedVersion":"2"}`, 200, `{}`},
		{"iot", "PATCH /things/T", `{"expectedVersion":2.5}`, 400, "InvalidRequestException"},
		{"iot", "GET /things?maxResults=", "", 400, "InvalidRequestException"},
		{"iot", "GET /things?maxResults=0", "", 400, "InvalidRequestException"},
		{"iot", "GET /things?maxResults=251", "", 400, "InvalidRequestException"},
		{"iot", "GET /things?usePrefixAttributeValue=TRUE", "", 400, "InvalidRequestException"},
		{"iot", "GET /things?attributeValue=x", "", 400, "InvalidRequestException"},
		{"iot", "GET /things?thingTypeName=a%20b", "", 400, "InvalidRequestException"},
		{"iot", "GET /things?nextToken=", "", 400, "InvalidRequestException"},
		{"iot", "GET /thing-types?nextToken=", "", 400, "InvalidRequestException"},
		{"iotdata", "GET /api/things/shadow/ListNamedShadowsForThing/T?nextToken=", "", 400, "InvalidRequestException"},
	})
}

func TestGroupIndexFields(t *testing.T) {
	f := newFleet(t, rules.Safe())
	config := func(fields ...string) string {
		var all []string
		for _, name := range fields {
			all = append(all, `{"name":"`+name+`","type":"String"}`)
		}
		return `{"thingGroupIndexingConfiguration":{"thingGroupIndexingMode":"ON","customFields":[` + strings.Join(all, ",") + `]}}`
	}
	f.run([]call{
		{"iot", "POST /indexing/config", config("attributes.a", "attributes.b", "attributes.c", "attributes.d", "attributes.e"), 200, `{}`},
		{"iot", "POST /indexing/config", config("attributes.a", "attributes.b", "attributes.c", "attributes.d", "attributes.e", "attributes.f"), 400, `InvalidRequestException {"message":"customFields has 6 fields, at most 5 are allowed"}`},
		{"iot", "POST /indexing/config", config("attributes.a", "attributes.a"), 400, "InvalidRequestException"},
		{"iot", "POST /indexing/config", config("shadow.reported.a"), 400, "InvalidRequestException"},
		{"iot", "POST /indexing/config", config("a"), 400, "InvalidRequestException"},
		{"iot", "POST /indexing/config", strings.Replace(config("attributes.a"), "String", "Text", 1), 400, "InvalidRequestException"},
	})
	_, body := f.do("iot", "GET /indexing/config", "")
	if !strings.Contains(body, `"customFields":[{"name":"attributes.a","type":"String"},{"name":"attributes.b"`) {
		t.Errorf("what was refused changed something: %s", body)
	}
}

// TestAnswers: times are seconds with a fraction at most, and every answer has
// an id and says what it is (AWS IoT reference 1.1, 1.3 and 1.5).
func TestAnswers(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.do("iot", "POST /thing-types/Pump", "")
	_, body := f.do("iot", "GET /thing-types/Pump", "")
	var shown struct {
		ThingTypeMetadata struct{ CreationDate json.Number }
	}
	if err := json.Unmarshal([]byte(body), &shown); err != nil {
		t.Fatal(err)
	}
	if at := shown.ThingTypeMetadata.CreationDate.String(); !regexp.MustCompile(`^1[0-9]{9}(\.[0-9]{3})?$`).MatchString(at) {
		t.Errorf("creationDate %s is not in seconds", at)
	}
	ids := map[string]bool{}
	for _, row := range []struct{ method, path string }{
		{"GET", "/thing-types/Pump"}, {"DELETE", "/things/T"}, {"GET", "/things/T"}, {"GET", "/nothing"},
	} {
		r, err := http.NewRequest(row.method, f.url+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		id := response.Header.Get("x-amzn-RequestId")
		if !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(id) || ids[id] {
			t.Errorf("%s %s: request id %q", row.method, row.path, id)
		}
		ids[id] = true
		if kind := response.Header.Get("Content-Type"); kind != "application/json" {
			t.Errorf("%s %s: content type %q", row.method, row.path, kind)
		}
		if failed := response.Header.Get("x-amzn-ErrorType") != ""; failed != (response.StatusCode == 404) {
			t.Errorf("%s %s: %d with error type %q", row.method, row.path, response.StatusCode, response.Header.Get("x-amzn-ErrorType"))
		}
	}
}
