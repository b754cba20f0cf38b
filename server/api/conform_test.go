package api_test

import (
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

// TestAttributeValues: values may hold what AWS allows today, more than the
// published model says.
func TestAttributeValues(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.run([]call{
		{"iot", "POST /things/T", `{"attributePayload":{"attributes":{"k":"a=[b]"}}}`, 200, `{"thingName":"T","thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/T","thingId":"ID"}`},
		{"iot", "GET /things?attributeName=k&attributeValue=a%3D%5Bb%5D", "", 200, `{"things":[{"thingName":"T","thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/T","attributes":{"k":"a=[b]"},"version":1}]}`},
		{"iot", "POST /things/U", `{"attributePayload":{"attributes":{"k":"a b"}}}`, 400, "InvalidRequestException"},
		{"iot", "POST /things/U", `{"attributePayload":{"attributes":{"k=":"a"}}}`, 400, "InvalidRequestException"},
	})
}

// TestJobsOfOtherRegions: targets are shown in the caller's region, whatever
// region their ARNs named (rule 27).
func TestJobsOfOtherRegions(t *testing.T) {
	f := newFleet(t, rules.Safe())
	const job = `{"jobArn":"arn:aws:iot:eu-north-1:123456789012:job/J","jobId":"J"}`
	f.do("iot", "POST /things/T", "")
	f.run([]call{
		{"iot", "PUT /jobs/J", `{"targets":["arn:aws:iot:ap-south-1:123456789012:thing/T"],"document":"{}"}`, 200, job},
		{"iot", "PUT /jobs/J", `{"targets":["arn:aws:iot:us-east-1:123456789012:thing/T"],"document":"{}"}`, 200, job},
		{"iot", "GET /jobs/J", "", 200, `{"job":{"jobArn":"arn:aws:iot:eu-north-1:123456789012:job/J","jobId":"J","targetSelection":"SNAPSHOT","status":"IN_PROGRESS",` +
			`"targets":["arn:aws:iot:eu-north-1:123456789012:thing/T"],"presignedUrlConfig":{},"jobExecutionsRolloutConfig":{},"createdAt":T,"lastUpdatedAt":T,` +
			`"jobProcessDetails":{"numberOfCanceledThings":0,"numberOfSucceededThings":0,"numberOfFailedThings":0,"numberOfRejectedThings":0,"numberOfQueuedThings":1,"numberOfInProgressThings":0,"numberOfRemovedThings":0,"numberOfTimedOutThings":0},` +
			`"timeoutConfig":{},"isConcurrent":false}}`},
	})
}
