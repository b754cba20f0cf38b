package jobs_test

import (
	"encoding/json"
	"testing"

	"github.com/muster-iot/muster/protocol/jobs"
)

// TestTransitions walks every (state, event): the table below is written as
// the reference says it (AWS IoT reference 6.6, rule 4), apart from the code's.
func TestTransitions(t *testing.T) {
	type row map[jobs.Event]jobs.ExecutionStatus
	want := map[jobs.ExecutionStatus]row{
		jobs.Queued: {
			jobs.Start: jobs.InProgress, jobs.Progress: jobs.InProgress,
			jobs.Succeed: jobs.Succeeded, jobs.Fail: jobs.Failed, jobs.Reject: jobs.Rejected,
			jobs.Leave: jobs.Removed, jobs.Delete: jobs.Removed,
			jobs.Cancel: jobs.Canceled, jobs.ForceCancel: jobs.Canceled,
		},
		jobs.InProgress: {
			jobs.Start: jobs.InProgress, jobs.Progress: jobs.InProgress,
			jobs.Succeed: jobs.Succeeded, jobs.Fail: jobs.Failed, jobs.Reject: jobs.Rejected,
			jobs.TimeOut: jobs.TimedOut, jobs.Leave: jobs.InProgress, jobs.Delete: jobs.Removed,
			jobs.ForceCancel: jobs.Canceled,
		},
	}
	for _, s := range jobs.Statuses {
		for _, e := range jobs.Events {
			next, ok := s.Next(e)
			expect, allowed := want[s][e]
			if ok != allowed || next != expect {
				t.Errorf("%s, %s: got %q, %v; want %q, %v", s, e, next, ok, expect, allowed)
			}
			if s.Terminal() && ok {
				t.Errorf("%s is terminal but %s leads to %s", s, e, next)
			}
		}
	}
}

func TestDeviceEvent(t *testing.T) {
	for _, s := range jobs.Statuses {
		_, ok := jobs.DeviceEvent(s)
		want := s == jobs.InProgress || s == jobs.Succeeded || s == jobs.Failed || s == jobs.Rejected
		if ok != want {
			t.Errorf("a device may set %s: %v, want %v", s, ok, want)
		}
	}
}

func TestExpectedVersion(t *testing.T) {
	for text, want := range map[string]int64{`{"expectedVersion":2}`: 2, `{"expectedVersion":"2"}`: 2, `{"expectedVersion":null}`: 0, `{}`: 0} {
		var r jobs.UpdateRequest
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := r.ExpectedVersion; want == 0 && got != nil || want != 0 && (got == nil || int64(*got) != want) {
			t.Errorf("%s: got %v, want %d", text, got, want)
		}
	}
	for _, text := range []string{`{"expectedVersion":"x"}`, `{"expectedVersion":1.5}`, `{"expectedVersion":[]}`, `{"expectedVersion":""}`} {
		var r jobs.UpdateRequest
		if err := json.Unmarshal([]byte(text), &r); err == nil {
			t.Errorf("%s was accepted as %v", text, *r.ExpectedVersion)
		}
	}
}

func FuzzUpdateRequest(f *testing.F) {
	f.Add([]byte(`{"status":"IN_PROGRESS","expectedVersion":"3","statusDetails":{"a":"b"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r jobs.UpdateRequest
		if json.Unmarshal(b, &r) != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("a request that was read cannot be written: %v", err)
		}
		var s jobs.UpdateRequest
		if err := json.Unmarshal(again, &s); err != nil || s.Status != r.Status {
			t.Fatalf("%s reads back as %+v, %v", again, s, err)
		}
	})
}
