package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

func TestThingTypes(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const arn = "arn:aws:iot:eu-north-1:123456789012:thingtype/Pump"
	const named = `"thingTypeName":"Pump","thingTypeArn":"` + arn + `"`
	const whole = `{"thingTypeProperties":{"thingTypeDescription":"Pumps & more","searchableAttributes":["site","room"],` +
		`"mqtt5Configuration":{"propagatingAttributes":[{"userPropertyKey":"where","thingAttribute":"site"},{"userPropertyKey":"who","connectionAttribute":"iot:ClientId"}]}},"tags":[{"Key":"k","Value":"v"}]}`
	const properties = `"thingTypeProperties":{"thingTypeDescription":"Pumps & more","searchableAttributes":["site","room"],` +
		`"mqtt5Configuration":{"propagatingAttributes":[{"userPropertyKey":"where","thingAttribute":"site"},{"userPropertyKey":"who","connectionAttribute":"iot:ClientId"}]}}`
	const active, deprecated = `"thingTypeMetadata":{"deprecated":false,"creationDate":T}`, `"thingTypeMetadata":{"deprecated":true,"deprecationDate":T,"creationDate":T}`
	f.run([]call{
		{"iot", "GET /thing-types", "", 200, `{"thingTypes":[]}`},
		{"iot", "GET /thing-types/Pump", "", 404, `ResourceNotFoundException {"message":"thing type \"Pump\" does not exist"}`},
		{"iot", "PATCH /thing-types/Pump", "", 404, `ResourceNotFoundException`},
		{"iot", "POST /thing-types/Pump/deprecate", "", 404, `ResourceNotFoundException`},
		{"iot", "DELETE /thing-types/Pump", "", 404, `ResourceNotFoundException`},

		{"iot", "POST /thing-types/Pump%202", "", 400, `InvalidRequestException`},
		{"iot", "POST /thing-types/Pump", `{"thingTypeProperties":{"searchableAttributes":["a","b","c","d"]}}`, 400, `InvalidRequestException {"message":"thing type \"Pump\" would have 4 searchable attributes; the limit is 3"}`},
		{"iot", "POST /thing-types/Pump", `{"thingTypeProperties":{"searchableAttributes":["a b"]}}`, 400, `InvalidRequestException`},
		{"iot", "POST /thing-types/Pump", `{"thingTypeProperties":{"thingTypeDescription":"` + strings.Repeat("d", 2029) + `"}}`, 400, `InvalidRequestException`},
		{"iot", "POST /thing-types/Pump", `{"thingTypeProperties":{"mqtt5Configuration":{"propagatingAttributes":[{"userPropertyKey":"k"}]}}}`, 400, `InvalidRequestException`},
		{"iot", "POST /thing-types/Pump", whole, 200, `{` + named + `,"thingTypeId":"ID"}`},
		{"iot", "POST /thing-types/Pump", whole, 200, `{` + named + `,"thingTypeId":"ID"}`},
		{"iot", "POST /thing-types/Pump", "", 409, `ResourceAlreadyExistsException {"message":"thing type \"Pump\" exists already with other properties","resourceId":"ID","resourceArn":"` + arn + `"}`},
		{"iot", "GET /tags?resourceArn=" + arn, "", 200, `{"tags":[{"Key":"k","Value":"v"}]}`},
		{"iot", "GET /thing-types/Pump", "", 200, `{"thingTypeName":"Pump","thingTypeId":"ID","thingTypeArn":"` + arn + `",` + properties + `,` + active + `}`},
		{"iot", "POST /thing-types/Fan", "", 200, `{"thingTypeName":"Fan","thingTypeArn":"arn:aws:iot:eu-north-1:123456789012:thingtype/Fan","thingTypeId":"ID"}`},
		{"iot", "GET /thing-types?thingTypeName=Pu", "", 200, `{"thingTypes":[{` + named + `,` + properties + `,` + active + `}]}`},
		{"iot", "GET /thing-types?thingTypeName=pu", "", 200, `{"thingTypes":[]}`},
		{"iot", "GET /thing-types?maxResults=1", "", 200, `{"thingTypes":[{` + named + `,` + properties + `,` + active + `}],"nextToken":"TOKEN"}`},
		{"iot", "GET /thing-types?maxResults=251", "", 400, `InvalidRequestException`},

		{"iot", "DELETE /thing-types/Pump", "", 400, `InvalidRequestException {"message":"thing type \"Pump\" is not deprecated: deprecate it first, and delete it 5m0s later"}`},
		{"iot", "POST /thing-types/Pump/deprecate", "", 200, `{}`},
		{"iot", "GET /thing-types/Pump", "", 200, `{"thingTypeName":"Pump","thingTypeId":"ID","thingTypeArn":"` + arn + `",` + properties + `,` + deprecated + `}`},
		{"iot", "DELETE /thing-types/Pump", "", 400, `InvalidRequestException`},
		{"iot", "POST /things/T", `{"thingTypeName":"Pump"}`, 400, `InvalidRequestException {"message":"thing type \"Pump\" is deprecated: no other thing can have it"}`},
		{"iot", "POST /thing-types/Pump/deprecate", `{"undoDeprecate":true}`, 200, `{}`},
		{"iot", "POST /things/T", `{"thingTypeName":"Pump"}`, 200, `{"thingName":"T","thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/T","thingId":"ID"}`},
		{"iot", "PATCH /thing-types/Pump", `{"thingTypeProperties":{"searchableAttributes":["a","b","c","d"]}}`, 400, `InvalidRequestException`},
		{"iot", "PATCH /thing-types/Pump", `{"thingTypeProperties":{"thingTypeDescription":"","searchableAttributes":[],"mqtt5Configuration":{"propagatingAttributes":[]}}}`, 200, `{}`},
	})
	f = f.restart(rules.Safe())
	f.run([]call{
		{"iot", "GET /thing-types/Pump", "", 200, `{"thingTypeName":"Pump","thingTypeId":"ID","thingTypeArn":"` + arn + `","thingTypeProperties":{},` + active + `}`},
		{
			"iot", "GET /thing-types", "", 200,
			`{"thingTypes":[{` + named + `,"thingTypeProperties":{},` + active + `},{"thingTypeName":"Fan","thingTypeArn":"arn:aws:iot:eu-north-1:123456789012:thingtype/Fan","thingTypeProperties":{},` + active + `}]}`,
		},
		{"iot", "GET /things?thingTypeName=Pump", "", 200, `{"things":[{"thingName":"T","thingTypeName":"Pump","thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/T","attributes":{},"version":1}]}`},
		{"iot", "GET /things?thingTypeName=Fan", "", 200, `{"things":[]}`},
	})
}

// TestTypesOfThings gives things their types and takes them.
func TestTypesOfThings(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const arn = `"thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/T"`
	is := func(typeName string, version int) string {
		if typeName != "" {
			typeName = `"thingTypeName":"` + typeName + `",`
		}
		return fmt.Sprintf(`{"defaultClientId":"T","thingName":"T","thingId":"ID",%s,%s"attributes":{"site":"oslo"},"version":%d}`, arn, typeName, version)
	}
	found := func(query, things string) call {
		return call{"iot", "POST /indices/search", `{"queryString":"` + query + `"}`, 200, `{"things":[` + things + `]}`}
	}
	const document = `{"thingName":"T","thingId":"ID","thingTypeName":"Pump","attributes":{"site":"oslo"},"connectivity":{"connected":false}}`
	f.do("iot", "POST /thing-types/Pump", "")
	f.do("iot", "POST /thing-types/Fan", "")
	f.run([]call{
		{"iot", "POST /things/T", `{"thingTypeName":"Nope"}`, 404, `ResourceNotFoundException {"message":"thing type \"Nope\" does not exist"}`},
		{"iot", "POST /things/T", `{"thingTypeName":"a b"}`, 400, `InvalidRequestException`},
		{"iot", "POST /things/T", `{"thingTypeName":"Pump","attributePayload":{"attributes":{"site":"oslo"}}}`, 200, `{"thingName":"T",` + arn + `,"thingId":"ID"}`},
		{"iot", "POST /things/T", `{"thingTypeName":"Fan","attributePayload":{"attributes":{"site":"oslo"}}}`, 409, `ResourceAlreadyExistsException`},
		{"iot", "POST /things/T", `{"attributePayload":{"attributes":{"site":"oslo"}}}`, 409, `ResourceAlreadyExistsException`},
		{"iot", "GET /things/T", "", 200, is("Pump", 1)},
		found("thingTypeName:Pump", document),
		found("registry.thingTypeName:Pump", document),
		found("thingTypeName:Fan", ""),

		{"iot", "PATCH /things/T", `{"thingTypeName":"Nope"}`, 404, `ResourceNotFoundException`},
		{"iot", "PATCH /things/T", `{"thingTypeName":"Fan","removeThingType":true}`, 400, `InvalidRequestException`},
		{"iot", "PATCH /things/T", `{"thingTypeName":"Fan","expectedVersion":7}`, 409, `VersionConflictException`},
		{"iot", "PATCH /things/T", `{"removeThingType":false}`, 200, `{}`},
		{"iot", "GET /things/T", "", 200, is("Pump", 2)},

		{"iot", "POST /thing-types/Pump/deprecate", "", 200, `{}`},
		{"iot", "PATCH /things/T", `{"thingTypeName":"Pump"}`, 200, `{}`}, // it has that type
		{"iot", "POST /things/T", `{"thingTypeName":"Pump","attributePayload":{"attributes":{"site":"oslo"}}}`, 200, `{"thingName":"T",` + arn + `,"thingId":"ID"}`},
		{"iot", "PATCH /things/T", `{"thingTypeName":"Fan"}`, 200, `{}`},
		{"iot", "GET /things/T", "", 200, is("Fan", 4)},
		{"iot", "PATCH /things/T", `{"thingTypeName":"Pump"}`, 400, `InvalidRequestException`},
		found("thingTypeName:Pump", ""),
		{"iot", "PATCH /things/T", `{"removeThingType":true}`, 200, `{}`},
		{"iot", "GET /things/T", "", 200, is("", 5)},
		{"iot", "PATCH /things/T", `{"removeThingType":true}`, 200, `{}`},
		found("thingTypeName:*", ""),
	})
}

// TestAttributesByType: in the aws profile a thing may have 3 attributes, and
// 50 with a type; in the safe one 100 either way.
func TestAttributesByType(t *testing.T) {
	attributes := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`"a%d":"1"`, i))
		}
		return `"attributePayload":{"attributes":{` + strings.Join(all, ",") + `}}`
	}
	for _, row := range []struct {
		rules          rules.Rules
		untyped, typed int
	}{{rules.AWS(), 3, 50}, {rules.Safe(), 100, 100}} {
		f := newFleet(t, row.rules)
		f.do("iot", "POST /thing-types/Pump", "")
		create := func(thing, extra string, n, status int) {
			t.Helper()
			if got, body := f.do("iot", "POST /things/"+thing, `{`+extra+attributes(n)+`}`); got != status {
				t.Errorf("%s profile, %s with %d attributes: %d %s", row.rules.Profile, thing, n, got, body)
			}
		}
		create("plain", "", row.untyped, 200)
		create("plain2", "", row.untyped+1, 400)
		create("pump", `"thingTypeName":"Pump",`, row.typed, 200)
		create("pump2", `"thingTypeName":"Pump",`, row.typed+1, 400)
		want := 200
		if row.typed > row.untyped {
			want = 400
		}
		if got, body := f.do("iot", "PATCH /things/pump", `{"removeThingType":true}`); got != want {
			t.Errorf("%s profile: type removed from a thing with %d attributes: %d %s", row.rules.Profile, row.typed, got, body)
		}
	}
}
