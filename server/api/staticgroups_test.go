package api_test

import (
	"fmt"
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

// TestStaticGroups goes through AWS IoT reference 2.4 over HTTP.
func TestStaticGroups(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const arn = "arn:aws:iot:eu-north-1:123456789012:thinggroup/"
	listed := func(names ...string) string {
		list := ""
		for i, n := range names {
			list += map[bool]string{true: ",", false: ""}[i > 0] + fmt.Sprintf(`{"groupName":%q,"groupArn":%q}`, n, arn+n)
		}
		return `[` + list + `]`
	}
	made := func(n string) string {
		return fmt.Sprintf(`{"thingGroupName":%q,"thingGroupArn":%q,"thingGroupId":"ID"}`, n, arn+n)
	}
	const properties = `"thingGroupProperties":{"thingGroupDescription":"Pumps in Oslo","attributePayload":{"attributes":{"floor":"2","none":""}}}`
	f.run([]call{
		{"iot", "POST /things/pump-17", "", 200, `{"thingName":"pump-17","thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/pump-17","thingId":"ID"}`},
		{"iot", "POST /thing-groups/sites", "", 200, made("sites")},
		{"iot", "POST /thing-groups/sites", `{"thingGroupProperties":{}}`, 200, made("sites")},
		{"iot", "POST /thing-groups/pumps", `{"parentGroupName":"sites"}`, 200, made("pumps")},
		{"iot", "POST /thing-groups/oslo-pumps", `{"parentGroupName":"pumps",` + properties + `}`, 200, made("oslo-pumps")},
		{"iot", "POST /thing-groups/oslo-pumps", `{"parentGroupName":"pumps",` + properties + `}`, 200, made("oslo-pumps")},
		{
			"iot", "POST /thing-groups/oslo-pumps", `{"parentGroupName":"sites",` + properties + `}`, 409,
			`ResourceAlreadyExistsException {"message":"thing group \"oslo-pumps\" exists already with another definition","resourceId":"ID","resourceArn":"` + arn + `oslo-pumps"}`,
		},
		{"iot", "POST /thing-groups/orphan", `{"parentGroupName":"nobody"}`, 404, `ResourceNotFoundException {"message":"thing group \"nobody\" does not exist"}`},
		{"iot", "POST /dynamic-thing-groups/sites", `{"queryString":"thingName:x"}`, 409, `ResourceAlreadyExistsException`},
		{"iot", "POST /dynamic-thing-groups/dynamic", `{"queryString":"thingGroupNames:sites"}`, 200, `{"thingGroupName":"dynamic","thingGroupArn":"` + arn + `dynamic","thingGroupId":"ID","indexName":"AWS_Things","queryString":"thingGroupNames:sites","queryVersion":"2017-09-30"}`},
		{"iot", "POST /thing-groups/dynamic", "", 409, `ResourceAlreadyExistsException`},

		{"iot", "PATCH /thing-groups/oslo-pumps", `{}`, 400, `InvalidRequestException`},
		{"iot", "PATCH /thing-groups/oslo-pumps", `{"thingGroupProperties":{"attributePayload":{"attributes":{"hall":"b"},"merge":true}},"expectedVersion":1}`, 200, `{"version":2}`},
		{"iot", "PATCH /thing-groups/oslo-pumps", `{"thingGroupProperties":{},"expectedVersion":1}`, 409, `VersionConflictException`},
		{"iot", "PATCH /thing-groups/nobody", `{"thingGroupProperties":{}}`, 404, `ResourceNotFoundException`},
		{
			"iot", "GET /thing-groups/oslo-pumps", "", 200,
			`{"thingGroupName":"oslo-pumps","thingGroupId":"ID","thingGroupArn":"` + arn + `oslo-pumps","version":2,` +
				`"thingGroupProperties":{"thingGroupDescription":"Pumps in Oslo","attributePayload":{"attributes":{"floor":"2","hall":"b"}}},` +
				`"thingGroupMetadata":{"parentGroupName":"pumps","rootToParentThingGroups":` + listed("sites", "pumps") + `,"creationDate":T}}`,
		},
		{"iot", "GET /thing-groups", "", 200, `{"thingGroups":` + listed("sites", "pumps", "oslo-pumps", "dynamic") + `}`},
		{"iot", "GET /thing-groups?parentGroup=sites", "", 200, `{"thingGroups":` + listed("pumps", "oslo-pumps") + `}`},
		{"iot", "GET /thing-groups?parentGroup=sites&recursive=false", "", 200, `{"thingGroups":` + listed("pumps") + `}`},
		{"iot", "GET /thing-groups?parentGroup=sites&namePrefixFilter=oslo", "", 200, `{"thingGroups":` + listed("oslo-pumps") + `}`},
		{"iot", "GET /thing-groups?parentGroup=sites&maxResults=1", "", 200, `{"thingGroups":` + listed("pumps") + `,"nextToken":"TOKEN"}`},
		{"iot", "GET /thing-groups?parentGroup=nobody", "", 404, `ResourceNotFoundException`},

		{"iot", "PUT /thing-groups/addThingToThingGroup", `{"thingName":"pump-17","thingGroupName":"oslo-pumps"}`, 200, `{}`},
		{"iot", "PUT /thing-groups/addThingToThingGroup", `{"thingArn":"arn:aws:iot:us-east-1:123456789012:thing/pump-17","thingGroupArn":"` + arn + `oslo-pumps"}`, 200, `{}`},
		{"iot", "GET /things/pump-17/thing-groups", "", 200, `{"thingGroups":` + listed("oslo-pumps", "dynamic") + `}`},
		{"iot", "GET /thing-groups/sites/things", "", 200, `{"things":[]}`},
		{"iot", "GET /thing-groups/sites/things?recursive=true", "", 200, `{"things":["pump-17"]}`},
		{"iot", "GET /thing-groups/oslo-pumps/things", "", 200, `{"things":["pump-17"]}`},
		{
			"iot", "POST /indices/search", `{"queryString":"thingGroupNames:sites"}`, 200,
			`{"things":[{"thingName":"pump-17","thingId":"ID","thingGroupNames":["dynamic","oslo-pumps","pumps","sites"],"connectivity":{"connected":false}}]}`,
		},
	})
	const pump = `"thingName":"pump-17"`
	for _, c := range []struct {
		operation, body string
		status          int
		want            string
	}{
		{"add", `{` + pump + `}`, 400, `InvalidRequestException {"message":"the request names no thinggroup: give thingGroupName or thingGroupArn"}`},
		{"add", `{"thingGroupName":"sites"}`, 400, `InvalidRequestException {"message":"the request names no thing: give thingName or thingArn"}`},
		{"add", `{` + pump + `,"thingGroupArn":"arn:aws:iot:us-east-1:123456789012:thing/sites"}`, 400, `InvalidRequestException`},
		{"add", `{` + pump + `,"thingGroupArn":"sites"}`, 400, `InvalidRequestException`},
		{"add", `{` + pump + `,"thingGroupName":"pumps","thingGroupArn":"` + arn + `sites"}`, 400, `InvalidRequestException`},
		{"add", `{` + pump + `,"thingGroupName":"nobody"}`, 404, `ResourceNotFoundException`},
		{"add", `{"thingName":"nobody","thingGroupName":"sites"}`, 404, `ResourceNotFoundException`},
		{"add", `{` + pump + `,"thingGroupName":"pumps"}`, 400, `InvalidRequestException {"message":"thing \"pump-17\" cannot be in thing group \"pumps\": it is in \"oslo-pumps\" of the same hierarchy, whose root is \"sites\""}`},
		{"add", `{` + pump + `,"thingGroupName":"dynamic"}`, 400, `InvalidRequestException {"message":"This operation does not support dynamic thing groups. Thing group arn: arn:aws:iot:us-east-1:123456789012:thinggroup/dynamic"}`},
		{"remove", `{` + pump + `,"thingGroupName":"dynamic"}`, 400, `InvalidRequestException`},
		{"remove", `{` + pump + `,"thingGroupName":"sites"}`, 200, `{}`},
	} {
		path := map[string]string{"add": "PUT /thing-groups/addThingToThingGroup", "remove": "PUT /thing-groups/removeThingFromThingGroup"}[c.operation]
		f.run([]call{{"iot", path, c.body, c.status, c.want}})
	}
	f.run([]call{
		{"iot", "PUT /thing-groups/updateThingGroupsForThing", `{` + pump + `,"thingGroupsToRemove":["oslo-pumps"],"thingGroupsToAdd":["pumps"]}`, 200, `{}`},
		{"iot", "PUT /thing-groups/updateThingGroupsForThing", `{"thingGroupsToAdd":["pumps"]}`, 400, `InvalidRequestException {"message":"the request names no thing: give thingName"}`},
		{"iot", "GET /things/pump-17/thing-groups", "", 200, `{"thingGroups":` + listed("pumps", "dynamic") + `}`},
		{"iot", "DELETE /thing-groups/pumps", "", 400, `InvalidRequestException {"message":"thing group \"pumps\" has child groups, as \"oslo-pumps\": delete them first"}`},
		{"iot", "DELETE /thing-groups/oslo-pumps?expectedVersion=1", "", 409, `VersionConflictException`},
		{"iot", "DELETE /thing-groups/oslo-pumps?expectedVersion=2", "", 200, `{}`},
		{"iot", "DELETE /thing-groups/oslo-pumps", "", 200, `{}`},
		{"iot", "DELETE /thing-groups/dynamic", "", 400, `InvalidRequestException`},
		{"iot", "DELETE /dynamic-thing-groups/pumps", "", 400, `InvalidRequestException`},
		{"iot", "PATCH /dynamic-thing-groups/pumps", `{"thingGroupProperties":{}}`, 400, `InvalidRequestException`},
		{"iot", "PATCH /thing-groups/dynamic", `{"thingGroupProperties":{}}`, 400, `InvalidRequestException`},
		{"iot", "PUT /thing-groups/removeThingFromThingGroup", `{` + pump + `,"thingGroupName":"pumps"}`, 200, `{}`},
		{"iot", "GET /things/pump-17/thing-groups", "", 200, `{"thingGroups":[]}`},
	})
}

// TestHierarchyLimits: seven levels and no eighth, over HTTP.
func TestHierarchyLimits(t *testing.T) {
	f := newFleet(t, rules.Safe())
	parent := ""
	for level := 1; level <= 8; level++ {
		want, body := 200, "{}"
		if level == 8 {
			want = 400
		}
		if parent != "" {
			body = `{"parentGroupName":"` + parent + `"}`
		}
		parent = fmt.Sprintf("level%d", level)
		if status, answer := f.do("iot", "POST /thing-groups/"+parent, body); status != want {
			t.Errorf("level %d: %d %s", level, status, answer)
		}
	}
}

// TestTenGroups: the profile of AWS lets a thing be in ten groups.
func TestTenGroups(t *testing.T) {
	f := newFleet(t, rules.AWS())
	f.do("iot", "POST /things/T", "")
	for i := range 11 {
		want := 200
		if i == 10 {
			want = 400
		}
		f.do("iot", fmt.Sprintf("POST /thing-groups/g%d", i), "")
		if status, answer := f.do("iot", "PUT /thing-groups/addThingToThingGroup", fmt.Sprintf(`{"thingName":"T","thingGroupName":"g%d"}`, i)); status != want {
			t.Errorf("group %d: %d %s", i, status, answer)
		}
	}
}
