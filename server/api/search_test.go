package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

// measured is a fleet of ten things with the values of AWS IoT reference 3.6
// and one without.
func measured(t *testing.T) *fleet {
	f := newFleet(t, rules.Safe())
	f.run([]call{{"iot", "POST /indexing/config", `{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY_AND_SHADOW","thingConnectivityIndexingMode":"STATUS",` +
		`"customFields":[{"name":"attributes.temp","type":"Number"},{"name":"attributes.site","type":"String"},{"name":"shadow.reported.ready","type":"Boolean"}]}}`, 200, `{}`}})
	f.eventually("iot", "GET /indices/AWS_Things", `{"indexName":"AWS_Things","indexStatus":"ACTIVE","schema":"REGISTRY_AND_SHADOW_AND_CONNECTIVITY_STATUS"}`)
	for i, temp := range []int{47, 70, 71, 72, 73, 74, 75, 97, 98, 99} {
		site := []string{"oslo", "Oslo", "bergen"}[i%3]
		f.do("iot", fmt.Sprintf("POST /things/T%d", i), fmt.Sprintf(`{"attributePayload":{"attributes":{"temp":"%d","site":"%s"}}}`, temp, site))
	}
	f.do("iot", "POST /things/bare", "")
	f.do("iotdata", "POST /things/T0/shadow", `{"state":{"reported":{"ready":true}}}`)
	f.do("iotdata", "POST /things/T1/shadow", `{"state":{"reported":{"ready":false}}}`)
	f.do("iotdata", "POST /things/T2/shadow", `{"state":{"reported":{"ready":"true"}}}`)
	f.do("iot", "PATCH /things/T0", `{"attributePayload":{"attributes":{"site":"oslo2"},"merge":true}}`) // version 2
	return f
}

// TestStatistics: the members of an answer depend on the type of the field, and
// values of another type are not counted (AWS IoT reference 3.6).
func TestStatistics(t *testing.T) {
	f := measured(t)
	const path = "POST /indices/statistics"
	f.run([]call{
		{
			"iot", path, `{"queryString":"attributes.temp:[70 TO 72]","aggregationField":"attributes.temp"}`, 200,
			`{"statistics":{"count":3,"average":71,"sum":213,"minimum":70,"maximum":72,"sumOfSquares":15125,"variance":0.6666666666666666,"stdDeviation":0.816496580927726}}`,
		},
		{"iot", path, `{"queryString":"*","aggregationField":"attributes.site"}`, 200, `{"statistics":{"count":10}}`},
		{"iot", path, `{"queryString":"*","aggregationField":"shadow.reported.ready"}`, 200, `{"statistics":{"count":2,"average":0.5,"sum":1,"minimum":0,"maximum":1}}`},
		{"iot", path, `{"queryString":"thingName:(T0 OR T1)"}`, 200, `{"statistics":{"count":2,"average":1.5,"sum":3,"minimum":1,"maximum":2,"sumOfSquares":5,"variance":0.25,"stdDeviation":0.5}}`},
		{"iot", path, `{"queryString":"thingName:nope","aggregationField":"attributes.temp"}`, 200, `{"statistics":{"count":0}}`},
		{"iot", path, `{"queryString":"*","aggregationField":"connectivity.connected"}`, 200, `{"statistics":{"count":11,"average":0,"sum":0,"minimum":0,"maximum":0}}`},
	})
}

func TestCardinality(t *testing.T) {
	f := measured(t)
	f.run([]call{
		{"iot", "POST /indices/cardinality", `{"queryString":"*"}`, 200, `{"cardinality":2}`},
		{"iot", "POST /indices/cardinality", `{"queryString":"*","aggregationField":"attributes.site"}`, 200, `{"cardinality":3}`},
		{"iot", "POST /indices/cardinality", `{"queryString":"*","aggregationField":"thingName","indexName":"AWS_Things","queryVersion":"2017-09-30"}`, 200, `{"cardinality":11}`},
		{"iot", "POST /indices/cardinality", `{"queryString":"thingName:bare","aggregationField":"attributes.site"}`, 200, `{"cardinality":0}`},
	})
}

func TestPercentiles(t *testing.T) {
	f := measured(t)
	const path = "POST /indices/percentiles"
	many := strings.Repeat("1,", 100)
	f.run([]call{
		{
			"iot", path, `{"queryString":"*","aggregationField":"attributes.temp","percents":[10,25,50,75,90]}`, 200,
			`{"percentiles":[{"percent":10,"value":67.7},{"percent":25,"value":71.25},{"percent":50,"value":73.5},{"percent":75,"value":91.5},{"percent":90,"value":98.1}]}`,
		},
		{"iot", path, `{"queryString":"*","aggregationField":"attributes.temp","percents":[0,100]}`, 200, `{"percentiles":[{"percent":0,"value":47},{"percent":100,"value":99}]}`},
		{
			"iot", path, `{"queryString":"thingName:T4","aggregationField":"attributes.temp"}`, 200,
			`{"percentiles":[{"percent":1,"value":73},{"percent":5,"value":73},{"percent":25,"value":73},{"percent":50,"value":73},{"percent":75,"value":73},{"percent":95,"value":73},{"percent":99,"value":73}]}`,
		},
		{"iot", path, `{"queryString":"thingName:bare","aggregationField":"attributes.temp"}`, 200, `{"percentiles":[]}`},
		{"iot", path, `{"queryString":"*","aggregationField":"attributes.site"}`, 400, `InvalidAggregationException {"message":"field \"attributes.site\" is of type String: percentiles are of Number fields only"}`},
		{"iot", path, `{"queryString":"*","aggregationField":"attributes.temp","percents":[100.1]}`, 400, `InvalidRequestException`},
		{"iot", path, `{"queryString":"*","aggregationField":"attributes.temp","percents":[-1]}`, 400, `InvalidRequestException`},
		{"iot", path, `{"queryString":"*","aggregationField":"attributes.temp","percents":[` + many + `1]}`, 400, `InvalidRequestException {"message":"percents has 101 numbers, at most 100 are allowed"}`},
	})
}

func TestBuckets(t *testing.T) {
	f := measured(t)
	const path = "POST /indices/buckets"
	f.run([]call{
		{
			"iot", path, `{"queryString":"*","aggregationField":"attributes.site","bucketsAggregationType":{"termsAggregation":{}}}`, 200,
			`{"totalCount":11,"buckets":[{"keyValue":"Oslo","count":6},{"keyValue":"bergen","count":3},{"keyValue":"oslo2","count":1}]}`,
		},
		{
			"iot", path, `{"queryString":"NOT thingName:bare","aggregationField":"attributes.site","bucketsAggregationType":{"termsAggregation":{"maxBuckets":1}}}`, 200,
			`{"totalCount":10,"buckets":[{"keyValue":"Oslo","count":6}]}`,
		},
		{"iot", path, `{"queryString":"thingName:nope","aggregationField":"attributes.site","bucketsAggregationType":{"termsAggregation":{"maxBuckets":10000}}}`, 200, `{"totalCount":0,"buckets":[]}`},
		{"iot", path, `{"queryString":"*","aggregationField":"attributes.site","bucketsAggregationType":{"termsAggregation":{"maxBuckets":0}}}`, 400, `InvalidRequestException`},
		{"iot", path, `{"queryString":"*","aggregationField":"attributes.site","bucketsAggregationType":{"termsAggregation":{"maxBuckets":10001}}}`, 400, `InvalidRequestException`},
		{
			"iot", path, `{"queryString":"*","aggregationField":"attributes.site","bucketsAggregationType":{}}`, 400,
			`InvalidRequestException {"message":"bucketsAggregationType names no aggregation: give termsAggregation"}`,
		},
		{"iot", path, `{"queryString":"*","bucketsAggregationType":{"termsAggregation":{}}}`, 400, `InvalidRequestException`},
		{"iot", path, `{"queryString":"*","aggregationField":"attributes.site"}`, 400, `InvalidRequestException`},
	})
}

// TestAggregationErrors are those that all four have in common.
func TestAggregationErrors(t *testing.T) {
	f := measured(t)
	for _, path := range []string{"statistics", "cardinality", "percentiles", "buckets"} {
		ask := func(members string) string {
			return `{"bucketsAggregationType":{"termsAggregation":{}},` + members + `}`
		}
		f.run([]call{
			{
				"iot", "POST /indices/" + path, ask(`"queryString":"*","aggregationField":"attributes.other"`), 400,
				`InvalidAggregationException {"message":"field \"attributes.other\" of index AWS_Things is neither managed nor a custom field: declare it with UpdateIndexingConfiguration"}`,
			},
			{"iot", "POST /indices/" + path, ask(`"queryString":"*","aggregationField":""`), 400, `InvalidRequestException`},
			{"iot", "POST /indices/" + path, ask(`"aggregationField":"registry.version"`), 400, `InvalidRequestException`},
			{"iot", "POST /indices/" + path, ask(`"queryString":"","aggregationField":"registry.version"`), 400, `InvalidRequestException`},
			{"iot", "POST /indices/" + path, ask(`"queryString":"a:(","aggregationField":"registry.version"`), 400, `InvalidQueryException`},
			{"iot", "POST /indices/" + path, ask(`"queryString":"*","queryVersion":"1","aggregationField":"registry.version"`), 400, `InvalidRequestException {"message":"query version \"1\" is not 2017-09-30"}`},
			{"iot", "POST /indices/" + path, ask(`"queryString":"*","indexName":"AWS_ThingGroups","aggregationField":"version"`), 404, `ResourceNotFoundException {"message":"index AWS_ThingGroups is off: switch it on with UpdateIndexingConfiguration"}`},
			{"iot", "POST /indices/" + path, ask(`"queryString":"*","indexName":"Nope","aggregationField":"version"`), 404, `ResourceNotFoundException`},
		})
	}
}

// TestGroupIndex: thing groups of both kinds are searched and counted under
// AWS_ThingGroups (AWS IoT reference 3.5).
func TestGroupIndex(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.do("iot", "POST /thing-groups/norway", `{"thingGroupProperties":{"thingGroupDescription":"all of it"}}`)
	f.do("iot", "POST /thing-groups/oslo", `{"parentGroupName":"norway","thingGroupProperties":{"attributePayload":{"attributes":{"tier":"2"}}}}`)
	f.run([]call{
		{"iot", "POST /indices/search", `{"indexName":"AWS_ThingGroups","queryString":"*"}`, 404, `ResourceNotFoundException {"message":"index AWS_ThingGroups is off: switch it on with UpdateIndexingConfiguration"}`},
		{
			"iot", "POST /indexing/config", `{"thingGroupIndexingConfiguration":{"thingGroupIndexingMode":"ON","customFields":[{"name":"attributes.tier","type":"Number"}]}}`, 200, `{}`,
		},
	})
	f.eventually("iot", "GET /indices/AWS_ThingGroups", `{"indexName":"AWS_ThingGroups","indexStatus":"ACTIVE","schema":"THING_GROUPS"}`)
	f.do("iot", "POST /thing-groups/harbour", `{"parentGroupName":"oslo","thingGroupProperties":{"attributePayload":{"attributes":{"tier":"3"}}}}`)
	f.do("iot", "POST /dynamic-thing-groups/live", `{"queryString":"connectivity.connected:true","thingGroupProperties":{"thingGroupDescription":"those that answer"}}`)
	id := func(name string) string {
		_, body := f.do("iot", "GET /thing-groups/"+name, "")
		return f.member(body, "thingGroupId")
	}
	find := func(members string) string { return `{"indexName":"AWS_ThingGroups",` + members + `}` }
	norway := `{"thingGroupName":"norway","thingGroupId":"` + id("norway") + `","thingGroupDescription":"all of it"}`
	oslo := `{"thingGroupName":"oslo","thingGroupId":"` + id("oslo") + `","attributes":{"tier":"2"},"parentGroupNames":["norway"]}`
	harbour := `{"thingGroupName":"harbour","thingGroupId":"` + id("harbour") + `","attributes":{"tier":"3"},"parentGroupNames":["norway","oslo"]}`
	live := `{"thingGroupName":"live","thingGroupId":"` + id("live") + `","thingGroupDescription":"those that answer"}`
	f.run([]call{
		{"iot", "POST /indices/search", find(`"queryString":"*"`), 200, normal(`{"thingGroups":[` + harbour + "," + live + "," + norway + "," + oslo + `]}`)},
		{"iot", "POST /indices/search", find(`"queryString":"parentGroupNames:NORWAY AND attributes.tier>2"`), 200, normal(`{"thingGroups":[` + harbour + `]}`)},
		{"iot", "POST /indices/search", find(`"queryString":"description:answer"`), 200, normal(`{"thingGroups":[` + live + `]}`)},
		{"iot", "POST /indices/search", find(`"queryString":"thingName:x"`), 400, `InvalidQueryException`},
		{"iot", "POST /indices/search", find(`"queryString":"*","maxResults":3`), 200, normal(`{"nextToken":"TOKEN","thingGroups":[` + harbour + "," + live + "," + norway + `]}`)},
		{"iot", "POST /indices/buckets", find(`"queryString":"*","aggregationField":"parentGroupNames","bucketsAggregationType":{"termsAggregation":{}}`), 200, `{"totalCount":4,"buckets":[{"keyValue":"norway","count":2},{"keyValue":"oslo","count":1}]}`},
		{"iot", "POST /indices/percentiles", find(`"queryString":"*","aggregationField":"attributes.tier","percents":[50]`), 200, `{"percentiles":[{"percent":50,"value":2.5}]}`},
		{"iot", "POST /indices/statistics", find(`"queryString":"*","aggregationField":"version"`), 200, `{"statistics":{"count":4,"average":1,"sum":4,"minimum":1,"maximum":1,"sumOfSquares":4,"variance":0,"stdDeviation":0}}`},
		{"iot", "POST /indices/cardinality", find(`"queryString":"*"`), 400, `InvalidAggregationException`},
	})
	_, body := f.do("iot", "POST /indices/search", find(`"queryString":"*","maxResults":3`))
	f.run([]call{
		{"iot", "POST /indices/search", find(`"queryString":"*","maxResults":3,"nextToken":"` + f.member(body, "nextToken") + `"`), 200, normal(`{"thingGroups":[` + oslo + `]}`)},
		{"iot", "DELETE /thing-groups/harbour", "", 200, `{}`},
		{"iot", "PATCH /thing-groups/oslo", `{"thingGroupProperties":{"thingGroupDescription":"the city"}}`, 200, `{"version":2}`},
		{"iot", "POST /indices/buckets", find(`"queryString":"description:city OR thingGroupName:harbour","aggregationField":"thingGroupName","bucketsAggregationType":{"termsAggregation":{}}`), 200, `{"totalCount":1,"buckets":[{"keyValue":"oslo","count":1}]}`},
	})
	f = f.restart(rules.Safe())
	f.run([]call{
		{"iot", "GET /indices/AWS_ThingGroups", "", 200, `{"indexName":"AWS_ThingGroups","indexStatus":"ACTIVE","schema":"THING_GROUPS"}`},
		{"iot", "POST /indices/search", find(`"queryString":"thingGroupName:(norway OR live)"`), 200, normal(`{"thingGroups":[` + live + "," + norway + `]}`)},
		{"iot", "POST /indexing/config", `{"thingGroupIndexingConfiguration":{"thingGroupIndexingMode":"OFF"}}`, 200, `{}`},
		{"iot", "POST /indices/search", find(`"queryString":"*"`), 404, `ResourceNotFoundException`},
		{"iot", "GET /indices/AWS_ThingGroups", "", 404, `ResourceNotFoundException`},
		{"iot", "GET /indices", "", 200, `{"indexNames":["AWS_Things"]}`},
	})
}
