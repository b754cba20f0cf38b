package api_test

import (
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

const groupARN = "arn:aws:iot:eu-north-1:123456789012:thinggroup/ConnectedSWV5"

// TestSeedFlow is the acceptance scenario of AWS IoT reference 13 over HTTP,
// as far as the control plane and the device's HTTP plane go. It reads the same
// under both profiles.
func TestSeedFlow(t *testing.T) {
	for _, r := range []rules.Rules{rules.Safe(), rules.AWS()} {
		t.Run(string(r.Profile), func(t *testing.T) { seedFlow(t, newFleet(t, r)) })
	}
}

func seedFlow(t *testing.T, f *fleet) {
	t.Helper()
	const query = "connectivity.connected:true AND attributes.softwareVersion:5"
	f.run([]call{
		{"iot", "POST /indexing/config", `{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY_AND_SHADOW","thingConnectivityIndexingMode":"STATUS"}}`, 200, `{}`},
	})
	f.eventually("iot", "GET /indices/AWS_Things", `{"indexName":"AWS_Things","indexStatus":"ACTIVE","schema":"REGISTRY_AND_SHADOW_AND_CONNECTIVITY_STATUS"}`)
	f.run([]call{
		{"iot", "PATCH /event-configurations", `{"eventConfigurations":{"THING_GROUP_MEMBERSHIP":{"Enabled":true},"JOB_EXECUTION":{"Enabled":true}}}`, 200, `{}`},
		{
			"iot", "POST /things/pump-17", `{"attributePayload":{"attributes":{"softwareVersion":"5"}}}`, 200,
			`{"thingName":"pump-17","thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/pump-17","thingId":"ID"}`,
		},
		{
			"iot", "POST /indices/search", `{"queryString":"thingName:pump-17"}`, 200,
			`{"things":[{"thingName":"pump-17","thingId":"ID","attributes":{"softwareVersion":"5"},"connectivity":{"connected":false}}]}`,
		},
		{
			"iot", "POST /dynamic-thing-groups/ConnectedSWV5", `{"queryString":"` + query + `","thingGroupProperties":{"thingGroupDescription":"connected"}}`, 200,
			`{"thingGroupName":"ConnectedSWV5","thingGroupArn":"` + groupARN + `","thingGroupId":"ID","indexName":"AWS_Things","queryString":"` + query + `","queryVersion":"2017-09-30"}`,
		},
	})
	f.eventually("iot", "GET /thing-groups/ConnectedSWV5",
		`{"thingGroupName":"ConnectedSWV5","thingGroupId":"ID","thingGroupArn":"`+groupARN+`","version":1,"thingGroupProperties":{"thingGroupDescription":"connected"},`+
			`"thingGroupMetadata":{"creationDate":T},"indexName":"AWS_Things","queryString":"`+query+`","queryVersion":"2017-09-30","status":"ACTIVE"}`)
	f.run([]call{{"iot", "GET /thing-groups/ConnectedSWV5/things", "", 200, `{"things":[]}`}})
	f.connect("pump-17", 1)
	const document = `"{\"operation\":\"install\",\"version\":\"6\"}"`
	f.run([]call{
		{"iot", "GET /thing-groups/ConnectedSWV5/things", "", 200, `{"things":["pump-17"]}`},
		{"iot", "GET /things/pump-17/thing-groups", "", 200, `{"thingGroups":[{"groupName":"ConnectedSWV5","groupArn":"` + groupARN + `"}]}`},
		{
			"iot", "PUT /jobs/fw-6", `{"targets":["` + groupARN + `"],"targetSelection":"CONTINUOUS","document":` + document + `}`, 200,
			`{"jobArn":"arn:aws:iot:eu-north-1:123456789012:job/fw-6","jobId":"fw-6"}`,
		},
		{
			"iot-jobs-data", "GET /things/pump-17/jobs", "", 200,
			`{"inProgressJobs":[],"queuedJobs":[{"jobId":"fw-6","queuedAt":T,"lastUpdatedAt":T,"versionNumber":1,"executionNumber":1}]}`,
		},
		{
			"iot-jobs-data", "GET /things/pump-17/jobs/%24next", "", 200,
			`{"execution":{"jobId":"fw-6","thingName":"pump-17","status":"QUEUED","queuedAt":T,"lastUpdatedAt":T,"versionNumber":1,"executionNumber":1,"jobDocument":` + document + `}}`,
		},
		{
			"iot-jobs-data", "PUT /things/pump-17/jobs/$next", `{"statusDetails":{"step":"download"}}`, 200,
			`{"execution":{"jobId":"fw-6","thingName":"pump-17","status":"IN_PROGRESS","statusDetails":{"step":"download"},"queuedAt":T,"startedAt":T,"lastUpdatedAt":T,"versionNumber":2,"executionNumber":1,"jobDocument":` + document + `}}`,
		},
		{
			"iot", "GET /things/pump-17/jobs/fw-6", "", 200,
			`{"execution":{"jobId":"fw-6","status":"IN_PROGRESS","statusDetails":{"detailsMap":{"step":"download"}},"thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/pump-17","queuedAt":T,"startedAt":T,"lastUpdatedAt":T,"executionNumber":1,"versionNumber":2}}`,
		},
		{
			"iotdata", "POST /things/pump-17/shadow", `{"state":{"reported":{"softwareVersion":"6"}}}`, 200,
			`{"state":{"reported":{"softwareVersion":"6"}},"metadata":{"reported":{"softwareVersion":{"timestamp":T}}},"version":1,"timestamp":T}`,
		},
		{"iot", "GET /thing-groups/ConnectedSWV5/things", "", 200, `{"things":[]}`},
		{
			"iot-jobs-data", "POST /things/pump-17/jobs/fw-6", `{"status":"SUCCEEDED","expectedVersion":2,"includeJobExecutionState":true}`, 200,
			`{"executionState":{"status":"SUCCEEDED","statusDetails":{"step":"download"},"versionNumber":3}}`,
		},
		{
			"iot", "GET /jobs/fw-6", "", 200,
			`{"job":{"jobArn":"arn:aws:iot:eu-north-1:123456789012:job/fw-6","jobId":"fw-6","targetSelection":"CONTINUOUS","status":"IN_PROGRESS","targets":["` + groupARN + `"],` +
				`"presignedUrlConfig":{},"jobExecutionsRolloutConfig":{},"createdAt":T,"lastUpdatedAt":T,"jobProcessDetails":{"numberOfCanceledThings":0,"numberOfSucceededThings":1,` +
				`"numberOfFailedThings":0,"numberOfRejectedThings":0,"numberOfQueuedThings":0,"numberOfInProgressThings":0,"numberOfRemovedThings":0,"numberOfTimedOutThings":0},` +
				`"timeoutConfig":{},"isConcurrent":false}}`,
		},
		{
			"iot", "GET /jobs/fw-6/things", "", 200,
			`{"executionSummaries":[{"thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/pump-17","jobExecutionSummary":{"status":"SUCCEEDED","queuedAt":T,"startedAt":T,"lastUpdatedAt":T,"executionNumber":1}}]}`,
		},
		{"iot", "GET /things/pump-17/jobs?status=FAILED", "", 200, `{"executionSummaries":[]}`},
		{
			"iot", "GET /things/pump-17/jobs?jobId=fw-6", "", 200,
			`{"executionSummaries":[{"jobId":"fw-6","jobExecutionSummary":{"status":"SUCCEEDED","queuedAt":T,"startedAt":T,"lastUpdatedAt":T,"executionNumber":1}}]}`,
		},
		{"iot", "PUT /jobs/fw-6/cancel", `{"reasonCode":"DONE","comment":"all updated"}`, 200, `{"jobArn":"arn:aws:iot:eu-north-1:123456789012:job/fw-6","jobId":"fw-6"}`},
		{"iot", "DELETE /jobs/fw-6", "", 200, `{}`},
		{"iot", "GET /jobs/fw-6", "", 404, `ResourceNotFoundException`},
	})
}

func TestGroups(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const made = `{"thingGroupName":"ConnectedSWV5","thingGroupArn":"` + groupARN + `","thingGroupId":"ID","indexName":"AWS_Things","queryString":"attributes.a:1","queryVersion":"2017-09-30"}`
	f.run([]call{
		{"iot", "POST /dynamic-thing-groups/ConnectedSWV5", `{}`, 400, `InvalidRequestException {"message":"1 validation error detected: Value null at 'queryString' failed to satisfy constraint: Member must not be null"}`},
		{"iot", "POST /dynamic-thing-groups/ConnectedSWV5", `{"queryString":"attributes.a:1"}`, 200, made},
		{"iot", "POST /dynamic-thing-groups/ConnectedSWV5", `{"queryString":"attributes.a:1"}`, 200, made},
		{
			"iot", "POST /dynamic-thing-groups/ConnectedSWV5", `{"queryString":"attributes.a:2"}`, 409,
			`ResourceAlreadyExistsException {"message":"thing group \"ConnectedSWV5\" exists already with another definition","resourceId":"ID","resourceArn":"` + groupARN + `"}`,
		},
		{"iot", "PATCH /dynamic-thing-groups/ConnectedSWV5", `{"thingGroupProperties":{"thingGroupDescription":"x","attributePayload":{"attributes":{"k":"v"}}},"expectedVersion":1}`, 200, `{"version":2}`},
		{"iot", "PATCH /dynamic-thing-groups/ConnectedSWV5", `{"thingGroupProperties":{},"expectedVersion":1}`, 409, `VersionConflictException`},
		{"iot", "PATCH /dynamic-thing-groups/nope", `{"thingGroupProperties":{}}`, 404, `ResourceNotFoundException`},
		{"iot", "GET /thing-groups", "", 200, `{"thingGroups":[{"groupName":"ConnectedSWV5","groupArn":"` + groupARN + `"}]}`},
		{"iot", "GET /thing-groups?namePrefixFilter=X", "", 200, `{"thingGroups":[]}`},
		{"iot", "GET /thing-groups?parentGroup=ConnectedSWV5", "", 200, `{"thingGroups":[]}`},
		{"iot", "GET /thing-groups?parentGroup=nope", "", 404, `ResourceNotFoundException`},
		{"iot", "GET /things/T/thing-groups", "", 404, `ResourceNotFoundException`},
		{"iot", "DELETE /dynamic-thing-groups/ConnectedSWV5?expectedVersion=7", "", 409, `VersionConflictException`},
		{"iot", "DELETE /dynamic-thing-groups/ConnectedSWV5", "", 200, `{}`},
		{"iot", "DELETE /dynamic-thing-groups/ConnectedSWV5", "", 200, `{}`},
	})
	if status, body := f.do("iot", "POST /dynamic-thing-groups/bad", `{"queryString":"attributes.a:("}`); status != 400 || body[:21] != "InvalidQueryException" {
		t.Errorf("bad query: %d %s", status, body)
	}
}

func TestJobs(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const thing = "arn:aws:iot:us-east-1:123456789012:thing/T"
	f.do("iot", "POST /things/T", "")
	f.do("iot", "POST /dynamic-thing-groups/g", `{"queryString":"attributes.a:1"}`)
	_, group := f.do("iot", "GET /thing-groups/g", "")
	create := func(extra string) string { return `{"targets":["` + thing + `"],"document":"{}"` + extra + `}` }
	const made = `{"jobArn":"arn:aws:iot:eu-north-1:123456789012:job/j1","jobId":"j1","description":"d"}`
	f.run([]call{
		{"iot", "PUT /jobs/j1", create(`,"description":"d","timeoutConfig":{"inProgressTimeoutInMinutes":30},"jobExecutionsRolloutConfig":{"maximumPerMinute":50},"abortConfig":null,"presignedUrlConfig":{},"tags":[]`), 200, made},
		{"iot", "PUT /jobs/j1", create(`,"description":"d","timeoutConfig":{"inProgressTimeoutInMinutes":30},"jobExecutionsRolloutConfig":{"maximumPerMinute":50}`), 200, made},
		{
			"iot", "PUT /jobs/j1", create(""), 409,
			`ResourceAlreadyExistsException {"message":"job \"j1\" exists already with another configuration","resourceId":"j1","resourceArn":"arn:aws:iot:eu-north-1:123456789012:job/j1"}`,
		},
		{"iot", "PUT /jobs/j2", `{"targets":["` + thing + `"]}`, 400, `InvalidRequestException {"message":"job \"j2\" needs a document"}`},
		{"iot", "PUT /jobs/j2", create(`,"timeoutConfig":{"inProgressTimeoutInMinutes":0}`), 400, `InvalidRequestException {"message":"inProgressTimeoutInMinutes 0 of job \"j2\" is not 1 to 10080"}`},
		{"iot", "PUT /jobs/j2", `{"targets":["arn:aws:iot:us-east-1:123456789012:thing/nope"],"document":"{}"}`, 404, `ResourceNotFoundException`},
		{"iot", "GET /jobs/j1/job-document", "", 200, `{"document":"{}"}`},
		{"iot", "GET /jobs?status=COMPLETED", "", 200, `{"jobs":[]}`},
		{
			"iot", "GET /jobs?targetSelection=SNAPSHOT", "", 200,
			`{"jobs":[{"jobArn":"arn:aws:iot:eu-north-1:123456789012:job/j1","jobId":"j1","targetSelection":"SNAPSHOT","status":"IN_PROGRESS","createdAt":T,"lastUpdatedAt":T,"isConcurrent":false}]}`,
		},
		{"iot", "GET /jobs?thingGroupName=g", "", 200, `{"jobs":[]}`},
		{"iot", "GET /jobs?thingGroupName=nope", "", 404, `ResourceNotFoundException`},
		{"iot", "GET /jobs?thingGroupId=" + f.member(group, "thingGroupId"), "", 200, `{"jobs":[]}`},
		{"iot", "GET /jobs?thingGroupId=nope", "", 404, `ResourceNotFoundException {"message":"no thing group has the id \"nope\""}`},
		{"iot", "GET /jobs?namespaceId=n", "", 200, `{"jobs":[]}`},
		{"iot", "DELETE /jobs/j1", "", 409, `InvalidStateTransitionException`},
		{"iot", "DELETE /jobs/j1?namespaceId=n", "", 400, `InvalidRequestException {"message":"DeleteJob: member namespaceId is not supported by this server: leave it out"}`},
		{"iot", "PUT /things/T/jobs/j1/cancel", `{"expectedVersion":5}`, 409, `VersionConflictException`},
		{"iot", "PUT /things/T/jobs/j1/cancel", `{"statusDetails":{"why":"test"}}`, 200, `{}`},
		{"iot-jobs-data", "GET /things/T/jobs/j1", "", 410, `TerminalStateException`},
		{"iot-jobs-data", "GET /things/T/jobs/%24next", "", 200, `{}`},
		{"iot-jobs-data", "PUT /things/T/jobs/$next", "", 200, `{}`},
		{"iot", "PUT /jobs/j1/cancel", "", 400, `InvalidRequestException`},
		{"iot", "DELETE /jobs/j1", "", 200, `{}`},
	})
	for _, member := range []struct{ name, value string }{
		{"documentSource", `"https://x/y"`},
		{"jobTemplateArn", `"arn:aws:iot:us-east-1:123456789012:jobtemplate/x"`},
		{"documentParameters", `{"a":"b"}`},
		{"presignedUrlConfig", `{"expiresInSec":60}`},
		{"jobExecutionsRolloutConfig.exponentialRate", `{"exponentialRate":{"baseRatePerMinute":1,"incrementFactor":2,"rateIncreaseCriteria":{"numberOfNotifiedThings":1}}}`},
		{"abortConfig", `{"criteriaList":[{"failureType":"ALL","action":"CANCEL","thresholdPercentage":20,"minNumberOfExecutedThings":1}]}`},
		{"jobExecutionsRetryConfig", `{"criteriaList":[{"failureType":"ALL","numberOfRetries":1}]}`},
		{"schedulingConfig", `{"startTime":"2030-01-01 10:00"}`},
		{"namespaceId", `"n"`},
		{"destinationPackageVersions", `["arn:aws:iot:us-east-1:123456789012:package/P/version/V"]`},
	} {
		top, _, _ := strings.Cut(member.name, ".")
		f.run([]call{{
			"iot", "PUT /jobs/j3", create(`,"` + top + `":` + member.value), 400,
			`InvalidRequestException {"message":"CreateJob: member ` + member.name + ` is not supported by this server: leave it out"}`,
		}})
	}
}

func TestIndexing(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.eventually("iot", "GET /indices/AWS_Things", `{"indexName":"AWS_Things","indexStatus":"ACTIVE","schema":"REGISTRY_AND_SHADOW_AND_CONNECTIVITY_STATUS"}`)
	f.run([]call{
		{"iot", "GET /indices", "", 200, `{"indexNames":["AWS_Things"]}`},
		{"iot", "GET /indices/AWS_ThingGroups", "", 404, `ResourceNotFoundException {"message":"index \"AWS_ThingGroups\" does not exist or is off: switch it on with UpdateIndexingConfiguration"}`},
		{"iot", "POST /indexing/config", `{"thingGroupIndexingConfiguration":{"thingGroupIndexingMode":"ON"}}`, 200, `{}`},
	})
	f.eventually("iot", "GET /indices/AWS_ThingGroups", `{"indexName":"AWS_ThingGroups","indexStatus":"ACTIVE","schema":"THING_GROUPS"}`)
	f.run([]call{
		{"iot", "GET /indices?maxResults=1", "", 200, `{"indexNames":["AWS_ThingGroups"],"nextToken":"TOKEN"}`},
		{
			"iot", "POST /indexing/config", `{"thingIndexingConfiguration":{}}`, 400,
			`InvalidRequestException {"message":"1 validation error detected: Value null at 'thingIndexingConfiguration.thingIndexingMode' failed to satisfy constraint: Member must not be null"}`,
		},
		{"iot", "POST /indices/search", `{"queryString":"*","queryVersion":"2020-01-01"}`, 400, `InvalidRequestException {"message":"query version \"2020-01-01\" is not 2017-09-30"}`},
		{"iot", "POST /indices/search", `{"queryString":"*","indexName":"Nope"}`, 404, `ResourceNotFoundException {"message":"index \"Nope\" does not exist: there are AWS_Things and AWS_ThingGroups"}`},
		{"iot", "POST /indices/search", `{"queryString":"*","maxResults":101}`, 400, `InvalidRequestException {"message":"maxResults 101 is more than the 100 that a search answers at once"}`},
		{"iot", "POST /indices/search", `{"queryString":"*","maxResults":100}`, 200, `{"things":[]}`},
		{"iot", "POST /indexing/config", `{"thingIndexingConfiguration":{"thingIndexingMode":"OFF"}}`, 200, `{}`},
		{"iot", "POST /indices/search", `{"queryString":"*"}`, 404, `ResourceNotFoundException`},
	})
	_, body := f.do("iot", "GET /indices?maxResults=1", "")
	if f.member(body, "nextToken") != "" {
		t.Errorf("one index left: %s", body)
	}
}

func TestGetIndexingConfiguration(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.run([]call{
		{"iot", "POST /indexing/config", `{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY_AND_SHADOW","namedShadowIndexingMode":"ON","filter":{"namedShadowNames":["health"],` +
			`"geoLocations":[{"name":"shadow.reported.position","order":"LonLat"}]},"customFields":[{"name":"attributes.build","type":"Number"}]}}`, 200, `{}`},
		{
			"iot", "GET /indexing/config", "", 200,
			`{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY_AND_SHADOW","thingConnectivityIndexingMode":"OFF","deviceDefenderIndexingMode":"OFF","namedShadowIndexingMode":"ON",` +
				`"managedFields":[{"name":"thingName","type":"String"},{"name":"thingId","type":"String"},{"name":"registry.thingTypeName","type":"String"},{"name":"registry.thingGroupNames","type":"String"},` +
				`{"name":"registry.version","type":"Number"},{"name":"shadow.version","type":"Number"},{"name":"shadow.name.*.version","type":"Number"},` +
				`{"name":"shadow.hasDelta","type":"Boolean"},{"name":"shadow.name.*.hasDelta","type":"Boolean"},{"name":"connectivity.version","type":"Number"},{"name":"connectivity.timestamp","type":"Number"},{"name":"connectivity.connected","type":"Boolean"},` +
				`{"name":"connectivity.disconnectReason","type":"String"}],"customFields":[{"name":"attributes.build","type":"Number"}],` +
				`"filter":{"namedShadowNames":["health"],"geoLocations":[{"name":"shadow.reported.position","order":"LonLat"}]}},` +
				`"thingGroupIndexingConfiguration":{"thingGroupIndexingMode":"OFF","managedFields":[{"name":"thingGroupName","type":"String"},{"name":"thingGroupId","type":"String"},` +
				`{"name":"description","type":"String"},{"name":"parentGroupNames","type":"String"},{"name":"version","type":"Number"}],"customFields":[]}}`,
		},
	})
}

func TestEventsEndpointAndShadows(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.run([]call{
		{"iot", "GET /event-configurations", "", 200, `{"eventConfigurations":{"CA_CERTIFICATE":{"Enabled":false},"CERTIFICATE":{"Enabled":false},"JOB":{"Enabled":false},"JOB_EXECUTION":{"Enabled":false},` +
			`"POLICY":{"Enabled":false},"THING":{"Enabled":false},"THING_GROUP":{"Enabled":false},"THING_GROUP_HIERARCHY":{"Enabled":false},"THING_GROUP_MEMBERSHIP":{"Enabled":false},` +
			`"THING_TYPE":{"Enabled":false},"THING_TYPE_ASSOCIATION":{"Enabled":false}}}`},
		{"iot", "PATCH /event-configurations", `{"eventConfigurations":{"JOB":{"Enabled":true},"THING":{}}}`, 200, `{}`},
		{"iot", "GET /event-configurations", "", 200, `{"eventConfigurations":{"CA_CERTIFICATE":{"Enabled":false},"CERTIFICATE":{"Enabled":false},"JOB":{"Enabled":true},"JOB_EXECUTION":{"Enabled":false},` +
			`"POLICY":{"Enabled":false},"THING":{"Enabled":false},"THING_GROUP":{"Enabled":false},"THING_GROUP_HIERARCHY":{"Enabled":false},"THING_GROUP_MEMBERSHIP":{"Enabled":false},` +
			`"THING_TYPE":{"Enabled":false},"THING_TYPE_ASSOCIATION":{"Enabled":false}},"creationDate":T,"lastModifiedDate":T}`},
		{"iot", "PATCH /event-configurations", `{"eventConfigurations":{"NOPE":{"Enabled":true}}}`, 400, `InvalidRequestException {"message":"1 validation error detected: Value 'NOPE' at 'eventConfigurations' failed to satisfy constraint: ` +
			`Map keys must satisfy constraint: [Member must satisfy enum value set: [THING, THING_GROUP, THING_TYPE, THING_GROUP_MEMBERSHIP, THING_GROUP_HIERARCHY, THING_TYPE_ASSOCIATION, JOB, JOB_EXECUTION, POLICY, CERTIFICATE, CA_CERTIFICATE]]"}`},
		{"iot", "GET /endpoint", "", 200, `{"endpointAddress":"127.0.0.1:8883"}`},
		{"iot", "GET /endpoint?endpointType=iot:Data-ATS", "", 200, `{"endpointAddress":"127.0.0.1:8883"}`},
		{"iot", "GET /endpoint?endpointType=iot:Jobs", "", 200, `{"endpointAddress":"127.0.0.1:8443"}`},
		{"iot", "GET /endpoint?endpointType=iot%3ACredentialProvider", "", 200, `{"endpointAddress":"127.0.0.1:8443"}`},
		{"iot", "GET /endpoint?endpointType=iot:Nope", "", 400, `InvalidRequestException {"message":"endpoint type \"iot:Nope\" is none of iot:Data, iot:Data-ATS, iot:CredentialProvider and iot:Jobs"}`},

		{"iotdata", "GET /things/T/shadow", "", 404, `ResourceNotFoundException {"message":"No shadow exists with name: 'T'"}`},
		{"iotdata", "POST /things/T/shadow?name=health", `{"state":{"desired":{"a":1}}}`, 200, `{"state":{"desired":{"a":1}},"metadata":{"desired":{"a":{"timestamp":T}}},"version":1,"timestamp":T}`},
		{"iotdata", "POST /things/T/shadow?name=health", `{"state":{"desired":{"a":1}},"version":9}`, 409, `ConflictException`},
		{"iotdata", "POST /things/T/shadow", `{`, 400, `InvalidRequestException {"message":"Invalid JSON"}`},
		{"iotdata", "GET /things/T/shadow?name=health", "", 200, `{"state":{"desired":{"a":1},"delta":{"a":1}},"metadata":{"desired":{"a":{"timestamp":T}}},"version":1,"timestamp":T}`},
		{"", "GET /things/T/shadow?name=a%20b", "", 400, `InvalidRequestException {"message":"1 validation error detected: Value 'a b' at 'shadowName' failed to satisfy constraint: Member must satisfy regular expression pattern: [$a-zA-Z0-9:_-]+"}`},
		{"iotdata", "DELETE /things/T/shadow?name=health", "", 200, `{"version":1,"timestamp":T}`},
		{"iot", "GET /billing-groups", "", 404, `UnknownOperationException {"message":"cannot serve GET /billing-groups: no operation has this method and path"}`},
	})
}
