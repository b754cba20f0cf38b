package clients_test

import "encoding/json"

// jobs takes a continuous job through its life.
func (s *session) jobs() {
	document := `{"operation":"install","version":"6"}`
	s.ok("CreateJob", object{
		"jobId": "fw-6", "targets": []any{arn("thinggroup/oslo")}, "targetSelection": "CONTINUOUS", "document": document,
		"description": "version 6", "timeoutConfig": object{"inProgressTimeoutInMinutes": 60},
	}, object{"jobId": "fw-6", "jobArn": arn("job/fw-6"), "description": "version 6"})
	s.fails("CreateJob", object{"jobId": "fw-6", "targets": []any{arn("thing/pump-1")}, "document": "{}"}, "ResourceAlreadyExistsException", 409)
	s.fails("CreateJob", object{"jobId": "fw-7", "targets": []any{arn("thing/none")}, "document": "{}"}, "ResourceNotFoundException", 404)
	s.fails("CreateJob", object{"jobId": "fw-7", "targets": []any{"pump-1"}, "document": "{}"}, "InvalidRequestException", 400)
	s.eventually("DescribeJob", object{"jobId": "fw-6"}, object{"job": object{
		"jobId": "fw-6", "status": "IN_PROGRESS", "targetSelection": "CONTINUOUS", "targets": []any{arn("thinggroup/oslo")}, "createdAt": recent,
		"jobProcessDetails": object{"numberOfQueuedThings": 4},
	}})
	s.fails("DescribeJob", object{"jobId": "none"}, "ResourceNotFoundException", 404)
	s.ok("GetJobDocument", object{"jobId": "fw-6"}, object{"document": document})
	s.fails("GetJobDocument", object{"jobId": "none"}, "ResourceNotFoundException", 404)
	s.ok("ListJobExecutionsForJob", object{"jobId": "fw-6", "maxResults": 1}, object{"executionSummaries": []any{
		object{"thingArn": arn("thing/pump-1"), "jobExecutionSummary": object{"status": "QUEUED", "queuedAt": recent, "executionNumber": 1}},
	}})
	s.pages("ListJobExecutionsForJob", "executionSummaries", object{"jobId": "fw-6"}, 4)
	s.pages("ListJobExecutionsForThing", "executionSummaries", object{"thingName": "pump-1"}, 1)
	s.ok("ListJobExecutionsForThing", object{"thingName": "pump-1", "status": "QUEUED"},
		object{"executionSummaries": []any{object{"jobId": "fw-6", "jobExecutionSummary": object{"status": "QUEUED"}}}})
	s.ok("DescribeJobExecution", object{"jobId": "fw-6", "thingName": "pump-1"}, object{"execution": object{
		"jobId": "fw-6", "thingArn": arn("thing/pump-1"), "status": "QUEUED", "executionNumber": 1, "versionNumber": 1, "queuedAt": recent,
	}})
	s.fails("DescribeJobExecution", object{"jobId": "fw-6", "thingName": "none"}, "ResourceNotFoundException", 404)
	s.ok("CancelJobExecution", object{"jobId": "fw-6", "thingName": "pump-4", "statusDetails": object{"why": "test"}}, nil)
	s.ok("DescribeJobExecution", object{"jobId": "fw-6", "thingName": "pump-4"},
		object{"execution": object{"status": "CANCELED", "statusDetails": object{"detailsMap": object{"why": "test"}}}})
	s.fails("CancelJobExecution", object{"jobId": "fw-6", "thingName": "pump-4"}, "InvalidStateTransitionException", 409)
	s.fails("DeleteJob", object{"jobId": "fw-6"}, "InvalidStateTransitionException", 409)
	for _, id := range []string{"b-1", "b-2"} {
		s.ok("CreateJob", object{"jobId": id, "targets": []any{arn("thing/pump-2")}, "document": "{}"}, object{"jobId": id})
	}
	s.pages("ListJobs", "jobs", nil, 3)
	s.ok("ListJobs", object{"targetSelection": "CONTINUOUS"},
		object{"jobs": []any{object{"jobId": "fw-6", "status": "IN_PROGRESS", "thingGroupId": nil, "createdAt": recent}}})
	s.fails("ListJobs", object{"status": "BUSY"}, "InvalidRequestException", 400)
	s.ok("CancelJob", object{"jobId": "b-2", "reasonCode": "MISTAKE", "comment": "not this one"}, object{"jobId": "b-2"})
	s.eventually("DescribeJob", object{"jobId": "b-2"}, object{"job": object{"status": "CANCELED", "reasonCode": "MISTAKE", "comment": "not this one", "completedAt": recent}})
	s.fails("CancelJob", object{"jobId": "none"}, "ResourceNotFoundException", 404)
	s.ok("DeleteJob", object{"jobId": "b-2"}, nil)
	s.ok("DeleteJob", object{"jobId": "b-1", "force": true}, nil)
	s.fails("DescribeJob", object{"jobId": "b-2"}, "ResourceNotFoundException", 404)
}

// jobsData is pump-1 working on fw-6 over HTTPS; pump-2 fails and pump-3 waits.
func (s *session) jobsData() {
	document := check(func(v any) string {
		var o object
		text, _ := v.(string)
		if json.Unmarshal([]byte(text), &o) != nil || o["version"] != "6" {
			return "is not the document as a string: " + text
		}
		return ""
	})
	s.ok(jobsPlane+"GetPendingJobExecutions", object{"thingName": "pump-1"}, object{
		"queuedJobs": []any{object{"jobId": "fw-6", "executionNumber": 1, "versionNumber": 1, "queuedAt": recent}}, "inProgressJobs": []any{},
	})
	s.fails(jobsPlane+"GetPendingJobExecutions", object{"thingName": "none"}, "ResourceNotFoundException", 404)
	s.ok(jobsPlane+"StartNextPendingJobExecution", object{"thingName": "pump-1", "statusDetails": object{"step": "begin"}}, object{"execution": object{
		"jobId": "fw-6", "status": "IN_PROGRESS", "versionNumber": 2, "startedAt": recent, "jobDocument": document, "statusDetails": object{"step": "begin"},
	}})
	s.ok(jobsPlane+"DescribeJobExecution", object{"thingName": "pump-1", "jobId": "$next"}, object{"execution": object{
		"jobId": "fw-6", "thingName": "pump-1", "status": "IN_PROGRESS", "jobDocument": document, "lastUpdatedAt": recent,
	}})
	s.ok(jobsPlane+"UpdateJobExecution", object{
		"thingName": "pump-1", "jobId": "fw-6", "status": "IN_PROGRESS", "statusDetails": object{"pct": "80"}, "expectedVersion": 2,
		"includeJobExecutionState": true, "includeJobDocument": true,
	}, object{"executionState": object{"status": "IN_PROGRESS", "versionNumber": 3, "statusDetails": object{"pct": "80"}}, "jobDocument": document})
	s.fails(jobsPlane+"UpdateJobExecution", object{"thingName": "pump-1", "jobId": "fw-6", "status": "SUCCEEDED", "expectedVersion": 2},
		"InvalidStateTransitionException", 409)
	s.ok(jobsPlane+"UpdateJobExecution", object{"thingName": "pump-1", "jobId": "fw-6", "status": "SUCCEEDED"},
		object{"executionState": nil, "jobDocument": nil})
	s.fails(jobsPlane+"UpdateJobExecution", object{"thingName": "pump-1", "jobId": "fw-6", "status": "FAILED"}, "InvalidStateTransitionException", 409)
	s.fails(jobsPlane+"DescribeJobExecution", object{"thingName": "pump-1", "jobId": "fw-6"}, "TerminalStateException", 410)
	s.fails(jobsPlane+"DescribeJobExecution", object{"thingName": "pump-1", "jobId": "none"}, "ResourceNotFoundException", 404)
	s.ok(jobsPlane+"StartNextPendingJobExecution", object{"thingName": "pump-1"}, object{"execution": nil})
	s.ok(jobsPlane+"UpdateJobExecution", object{"thingName": "pump-2", "jobId": "fw-6", "status": "REJECTED"}, nil)
}

func (s *session) shadows() {
	for _, name := range []string{"", "config", "extra"} {
		shadow := object{"thingName": "pump-2"}
		if name != "" {
			shadow["shadowName"] = name
		}
		with := func(payload string) object {
			in := object{"payload": payload}
			for k, v := range shadow {
				in[k] = v
			}
			return in
		}
		s.fails(dataPlane+"GetThingShadow", shadow, "ResourceNotFoundException", 404)
		s.ok(dataPlane+"UpdateThingShadow", with(`{"state":{"desired":{"on":true},"reported":{"on":false}},"clientToken":"t"}`),
			object{"payload": contains(`"clientToken":"t"`)})
		s.ok(dataPlane+"GetThingShadow", shadow, object{"payload": contains(`"delta":{"on":true}`)})
		s.fails(dataPlane+"UpdateThingShadow", with(`{"state":{"desired":{"on":true}},"version":9}`), "ConflictException", 409)
		s.fails(dataPlane+"UpdateThingShadow", with(`{"state":`), "InvalidRequestException", 400)
	}
	s.ok(dataPlane+"ListNamedShadowsForThing", object{"thingName": "pump-2"}, object{"results": []any{"config", "extra"}, "timestamp": some})
	s.ok(dataPlane+"ListNamedShadowsForThing", object{"thingName": "pump-2", "pageSize": 1}, object{"results": count(1), "nextToken": some})
	s.ok(dataPlane+"DeleteThingShadow", object{"thingName": "pump-2"}, object{"payload": contains(`"version":1`)})
	s.fails(dataPlane+"DeleteThingShadow", object{"thingName": "pump-2"}, "ResourceNotFoundException", 404)
}
