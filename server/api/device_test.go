package api_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

// own is a call of the jobs data plane.
func own(request, body string, status int, want string) call {
	return call{"iot-jobs-data", request, body, status, want}
}

// target makes things pump and idle and a job fw, aimed at the group of
// things with a=1, of which pump is one.
func (f *fleet) target() {
	f.t.Helper()
	f.do("iot", "POST /things/pump", `{"attributePayload":{"attributes":{"a":"1"}}}`)
	f.do("iot", "POST /things/idle", "")
	f.do("iot", "POST /dynamic-thing-groups/ones", `{"queryString":"attributes.a:1"}`)
	f.eventually("iot", "GET /thing-groups/ones/things", `{"things":["pump"]}`)
	const group = "arn:aws:iot:us-east-1:123456789012:thinggroup/ones"
	status, body := f.do("iot", "PUT /jobs/fw", `{"targets":["`+group+`"],"targetSelection":"CONTINUOUS","document":"{\"do\":\"it\"}"}`)
	if status != 200 {
		f.t.Fatal(body)
	}
	f.eventually("iot-jobs-data", "GET /things/pump/jobs",
		`{"inProgressJobs":[],"queuedJobs":[{"jobId":"fw","queuedAt":T,"lastUpdatedAt":T,"versionNumber":1,"executionNumber":1}]}`)
}

// TestOwnExecutions is the life of an execution on the device's HTTPS plane
// (AWS IoT reference 7.6).
func TestOwnExecutions(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.target()
	const queued = `{"execution":{"jobId":"fw","thingName":"pump","status":"QUEUED","queuedAt":T,"lastUpdatedAt":T,"versionNumber":1,"executionNumber":1`
	const document = `,"jobDocument":"{\"do\":\"it\"}"}}`
	f.run([]call{
		own("GET /things/pump/jobs/$next", "", 200, queued+document),
		own("GET /things/pump/jobs/%24next", "", 200, queued+document),
		own("GET /things/pump/jobs/fw?includeJobDocument=true&executionNumber=1", "", 200, queued+document),
		own("GET /things/pump/jobs/$next?includeJobDocument=false", "", 200, queued+`}}`),
		own("GET /things/pump/jobs/fw?includeJobDocument=false", "", 200, queued+`}}`),
		own("GET /things/idle/jobs", "", 200, `{"inProgressJobs":[],"queuedJobs":[]}`),
		own("GET /things/idle/jobs/%24next", "", 200, `{}`),
		own("PUT /things/idle/jobs/$next", `{"statusDetails":{"a":"b"}}`, 200, `{}`),

		own("PUT /things/pump/jobs/%24next", `{"statusDetails":{"step":"1"}}`, 200,
			`{"execution":{"jobId":"fw","thingName":"pump","status":"IN_PROGRESS","statusDetails":{"step":"1"},"queuedAt":T,"startedAt":T,"lastUpdatedAt":T,"versionNumber":2,"executionNumber":1`+document),
		own("PUT /things/pump/jobs/$next", `{"statusDetails":{"step":"ignored: it runs"}}`, 200,
			`{"execution":{"jobId":"fw","thingName":"pump","status":"IN_PROGRESS","statusDetails":{"step":"1"},"queuedAt":T,"startedAt":T,"lastUpdatedAt":T,"versionNumber":2,"executionNumber":1`+document),
		own("GET /things/pump/jobs", "", 200, `{"inProgressJobs":[{"jobId":"fw","queuedAt":T,"startedAt":T,"lastUpdatedAt":T,"versionNumber":2,"executionNumber":1}],"queuedJobs":[]}`),

		own("POST /things/pump/jobs/fw", `{"status":"IN_PROGRESS"}`, 200, `{}`),
		own("POST /things/pump/jobs/fw", `{"status":"IN_PROGRESS","includeJobExecutionState":true}`, 200, `{"executionState":{"status":"IN_PROGRESS","statusDetails":{"step":"1"},"versionNumber":4}}`),
		own("POST /things/pump/jobs/fw", `{"status":"IN_PROGRESS","statusDetails":{"pct":"80"},"includeJobExecutionState":true,"includeJobDocument":true,"expectedVersion":4,"executionNumber":1}`, 200,
			`{"executionState":{"status":"IN_PROGRESS","statusDetails":{"pct":"80"},"versionNumber":5},"jobDocument":"{\"do\":\"it\"}"}`),
		own("POST /things/pump/jobs/fw", `{"status":"IN_PROGRESS","expectedVersion":"5","clientToken":"unknown here"}`, 200, `{}`),
		own("POST /things/pump/jobs/fw", `{"status":"SUCCEEDED","expectedVersion":6,"includeJobExecutionState":true}`, 200, `{"executionState":{"status":"SUCCEEDED","statusDetails":{"pct":"80"},"versionNumber":7}}`),
		own("GET /things/pump/jobs", "", 200, `{"inProgressJobs":[],"queuedJobs":[]}`),
		own("GET /things/pump/jobs/%24next", "", 200, `{}`),

		// out of the group and back in: the next execution
		{"iot", "PATCH /things/pump", `{"attributePayload":{"attributes":{"a":"2"}}}`, 200, `{}`},
		{"iot", "PATCH /things/pump", `{"attributePayload":{"attributes":{"a":"1"}}}`, 200, `{}`},
		own("GET /things/pump/jobs/fw?includeJobDocument=false", "", 200, strings.Replace(queued, `"executionNumber":1`, `"executionNumber":2`, 1)+`}}`),
		own("GET /things/pump/jobs/fw?executionNumber=1", "", 410, "TerminalStateException"),
		own("POST /things/pump/jobs/fw", `{"status":"FAILED","executionNumber":1}`, 409, "InvalidStateTransitionException"),
		own("POST /things/pump/jobs/fw", `{"status":"REJECTED","executionNumber":2}`, 200, `{}`),
		own("GET /things/pump/jobs/fw", "", 410, "TerminalStateException"),
	})
}

// TestOwnExecutionsRefused: every refusal of AWS IoT reference 7.2 that HTTPS has.
func TestOwnExecutionsRefused(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.target()
	details := func(n int) string {
		all := map[string]string{}
		for i := range n {
			all["k"+strconv.Itoa(i)] = "v"
		}
		text, _ := json.Marshal(all)
		return string(text)
	}
	const describe, update, start = "GET /things/pump/jobs/fw", "POST /things/pump/jobs/fw", "PUT /things/pump/jobs/$next"
	const invalid, absent, state = "InvalidRequestException", "ResourceNotFoundException", "InvalidStateTransitionException"
	f.run([]call{
		own("GET /things/nope/jobs", "", 404, absent),
		own("GET /things/a%20b/jobs", "", 400, invalid),
		own("PUT /things/nope/jobs/$next", "", 404, absent),
		own("GET /things/nope/jobs/%24next", "", 404, absent),
		own("GET /things/pump/jobs/nope", "", 404, absent),
		own("GET /things/idle/jobs/fw", "", 404, absent),
		own("GET /things/pump/jobs/a%20b", "", 400, invalid),
		own("GET /things/pump/jobs/$nextone", "", 400, invalid),
		own(describe+"?executionNumber=2", "", 404, absent),
		own(describe+"?executionNumber=one", "", 400, invalid),
		own(describe+"?includeJobDocument=yes", "", 400, invalid),

		own(start, `{`, 400, invalid),
		own(start, `[]`, 400, invalid),
		own(start, `{"statusDetails":{"a b":"v"}}`, 400, invalid),
		own(start, `{"statusDetails":{"a":""}}`, 400, invalid),
		own(start, `{"statusDetails":{"a":"\u0007"}}`, 400, invalid),
		own(start, `{"statusDetails":{"a":1}}`, 400, invalid),
		own(start, `{"statusDetails":`+details(11)+`}`, 400, invalid),
		own(start, `{"stepTimeoutInMinutes":0}`, 400, invalid),
		own(start, `{"stepTimeoutInMinutes":10081}`, 400, invalid),
		own(start, `{"stepTimeoutInMinutes":"soon"}`, 400, invalid),

		own(update, "", 400, invalid),
		own(update, `{"status":null}`, 400, invalid),
		own(update, `{"Status":"FAILED"}`, 400, invalid),
		own(update, `{"status":"DONE"}`, 400, invalid),
		own(update, `{"status":"QUEUED"}`, 400, invalid),
		own(update, `{"status":"CANCELED"}`, 400, invalid),
		own(update, `{"status":"TIMED_OUT"}`, 400, invalid),
		own(update, `{"status":"REMOVED"}`, 400, invalid),
		own(update, `{"status":"IN_PROGRESS","expectedVersion":2}`, 409, state),
		own(update, `{"status":"IN_PROGRESS","expectedVersion":"two"}`, 400, invalid),
		own(update, `{"status":"IN_PROGRESS","executionNumber":2}`, 404, absent),
		own(update, `{"status":"IN_PROGRESS","stepTimeoutInMinutes":-2}`, 400, invalid),
		own(update, `{"status":"IN_PROGRESS","includeJobDocument":"yes"}`, 400, invalid),
		own(update, `{"status":"IN_PROGRESS","statusDetails":{"k":"`+strings.Repeat("v", 1025)+`"}}`, 400, invalid),
		own("POST /things/pump/jobs/$next", `{"status":"FAILED"}`, 400, invalid),
		own("POST /things/pump/jobs/"+strings.Repeat("j", 65), `{"status":"FAILED"}`, 400, invalid),
		own("POST /things/pump/jobs/nope", `{"status":"FAILED"}`, 404, absent),
		own("POST /things/nope/jobs/fw", `{"status":"FAILED"}`, 404, absent),
		own("POST /things/idle/jobs/fw", `{"status":"FAILED"}`, 404, absent),
		own("DELETE /things/pump/jobs/fw", "", 404, "UnknownOperationException"),
		own("POST /command-executions", `{}`, 404, "UnknownOperationException"),

		// nothing of it changed the execution
		own(describe+"?includeJobDocument=false", "", 200, `{"execution":{"jobId":"fw","thingName":"pump","status":"QUEUED","queuedAt":T,"lastUpdatedAt":T,"versionNumber":1,"executionNumber":1}}`),

		own(update, `{"status":"FAILED"}`, 200, `{}`),
		own(update, `{"status":"FAILED"}`, 409, state),
		own(update, `{"status":"IN_PROGRESS"}`, 409, state),
		own(describe, "", 410, "TerminalStateException"),
	})
}

// TestStepTimeout: the timer of a step is what a device last said, and stops with -1.
func TestStepTimeout(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.target()
	const describe, update = "GET /things/pump/jobs/fw", "POST /things/pump/jobs/fw"
	left := func(what string, atLeast, atMost float64) {
		t.Helper()
		var answer struct {
			Execution struct{ ApproximateSecondsBeforeTimedOut *float64 }
		}
		_, body := f.do("iot-jobs-data", describe, "")
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err, body)
		}
		switch got := answer.Execution.ApproximateSecondsBeforeTimedOut; {
		case atMost == 0 && got != nil, atMost > 0 && (got == nil || *got < atLeast || *got > atMost):
			t.Errorf("%s: %s, want %v to %v seconds left", what, body, atLeast, atMost)
		}
	}
	f.do("iot-jobs-data", "PUT /things/pump/jobs/$next", "")
	left("no timer", 0, 0)
	for _, row := range []struct {
		what, request, body string
		atLeast, atMost     float64
	}{
		{"start with a step", "PUT /things/pump/jobs/$next", `{"stepTimeoutInMinutes":10}`, 540, 600},
		{"start again keeps it", "PUT /things/pump/jobs/$next", ``, 540, 600},
		{"a report keeps it", update, `{"status":"IN_PROGRESS"}`, 540, 600},
		{"another", update, `{"status":"IN_PROGRESS","stepTimeoutInMinutes":60}`, 3540, 3600},
		{"the longest", update, `{"status":"IN_PROGRESS","stepTimeoutInMinutes":10080}`, 604740, 604800},
		{"stopped", update, `{"status":"IN_PROGRESS","stepTimeoutInMinutes":-1}`, 0, 0},
	} {
		if status, body := f.do("iot-jobs-data", row.request, row.body); status != 200 {
			t.Errorf("%s: %d %s", row.what, status, body)
		}
		left(row.what, row.atLeast, row.atMost)
	}
}

// TestPlanesApart: the same method and path are two operations, told apart by
// the service of the signature (AWS IoT reference 1.1).
func TestPlanesApart(t *testing.T) {
	f := newFleet(t, rules.Safe())
	f.target()
	f.run([]call{
		own("GET /things/pump/jobs", "", 200, `{"inProgressJobs":[],"queuedJobs":[{"jobId":"fw","queuedAt":T,"lastUpdatedAt":T,"versionNumber":1,"executionNumber":1}]}`),
		{"iot", "GET /things/pump/jobs", "", 200, `{"executionSummaries":[{"jobId":"fw","jobExecutionSummary":{"status":"QUEUED","queuedAt":T,"lastUpdatedAt":T,"executionNumber":1}}]}`},
		{"", "GET /things/pump/jobs", "", 200, `{"inProgressJobs":[],"queuedJobs":[{"jobId":"fw","queuedAt":T,"lastUpdatedAt":T,"versionNumber":1,"executionNumber":1}]}`},
		{"iot", "GET /things/pump/jobs/fw", "", 200, `{"execution":{"jobId":"fw","status":"QUEUED","thingArn":"arn:aws:iot:eu-north-1:123456789012:thing/pump","queuedAt":T,"lastUpdatedAt":T,"executionNumber":1,"versionNumber":1}}`},
		{"iot", "GET /things/pump/jobs/$next", "", 400, "InvalidRequestException"},
		{"iotdata", "GET /things/pump/jobs", "", 404, "UnknownOperationException"},
		{"s3", "GET /things/pump/jobs", "", 404, "UnknownOperationException"},
	})
}
