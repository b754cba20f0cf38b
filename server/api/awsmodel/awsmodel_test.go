package awsmodel_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/awsmodel/iotdata"
	"github.com/muster-iot/muster/server/api/awsmodel/iotjobsdata"
)

func TestServicesLink(t *testing.T) {
	for _, svc := range []awsmodel.Service{iot.Service(), iotdata.Service(), iotjobsdata.Service()} {
		t.Run(svc.Name, func(t *testing.T) {
			if err := svc.Link(); err != nil {
				t.Fatal(err)
			}
			for _, op := range svc.Operations {
				checkLabels(t, op)
			}
		})
	}
}

// checkLabels compares the labels of the path with the members that travel there.
func checkLabels(t *testing.T, op awsmodel.Operation) {
	t.Helper()
	labels := map[string]bool{}
	for segment := range strings.SplitSeq(op.Path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			labels[strings.TrimSuffix(name, "}")] = true
		}
	}
	if op.Input == nil {
		t.Errorf("%s has no request shape", op.Name)
		return
	}
	for _, m := range op.Input.Members {
		if m.In == awsmodel.Path && !labels[m.WireName] {
			t.Errorf("%s: member %s is not in path %s", op.Name, m.Name, op.Path)
		}
		delete(labels, m.WireName)
	}
	if len(labels) > 0 {
		t.Errorf("%s: labels %v of path %s have no member", op.Name, labels, op.Path)
	}
}

func TestLinkRefuses(t *testing.T) {
	for _, row := range []struct {
		name, want string
		service    awsmodel.Service
	}{
		{"unknown member shape", `"Nope" does not exist`, awsmodel.Service{Shapes: map[string]*awsmodel.Shape{
			"A": {Kind: awsmodel.Structure, Members: []awsmodel.Member{{Name: "x", Target: "Nope"}}},
		}}},
		{"unknown element shape", `"Nope" does not exist`, awsmodel.Service{Shapes: map[string]*awsmodel.Shape{
			"A": {Kind: awsmodel.List, ElemTarget: "Nope"},
		}}},
		{"unknown key shape", `"Nope" does not exist`, awsmodel.Service{Shapes: map[string]*awsmodel.Shape{
			"A": {Kind: awsmodel.Map, KeyTarget: "Nope"},
		}}},
		{"bad pattern", "cannot compile pattern", awsmodel.Service{Shapes: map[string]*awsmodel.Shape{
			"A": {Kind: awsmodel.String, Pattern: "["},
		}}},
		{"unknown request", "request of Op", awsmodel.Service{Operations: []awsmodel.Operation{{Name: "Op", InputTarget: "Nope"}}}},
		{"unknown response", "response of Op", awsmodel.Service{Operations: []awsmodel.Operation{{Name: "Op", OutputTarget: "Nope"}}}},
		{"error without status", "has no status", awsmodel.Service{Operations: []awsmodel.Operation{{Name: "Op", Errors: []string{"X"}}}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.service.Link()
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("got %v, want an error with %q", err, row.want)
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	for _, row := range []struct {
		pattern, text string
		want          bool
	}{
		{`[a-zA-Z0-9:_-]+`, "pump-17", true},
		{`[a-zA-Z0-9:_-]+`, "pump 17", false},
		{`[a-zA-Z0-9:_-]+`, "pump-17\n", false},
		{`[a-zA-Z0-9_-]+|^\$next`, "$next", true},
		{`[a-zA-Z0-9_-]+|^\$next`, "job$next", false},
		{`[^\p{C}]*+`, "grün", true},
		{`[^\p{C}]*+`, "bell\x07", false},
		{`[\p{Graph}\x20]*`, "a b", true},
		{`[\p{Graph}\x20]*`, "a\tb", false},
		{`[\p{Upper}\p{Digit}_]+`, "ABORT_1", true},
		{`[\p{Upper}\p{Digit}_]+`, "abort", false},
		{`[^\p{Cntrl}]*`, "plain", true},
		{`[^\p{Cntrl}]*`, "a\nb", false},
	} {
		svc := awsmodel.Service{Shapes: map[string]*awsmodel.Shape{"S": {Kind: awsmodel.String, Pattern: row.pattern}}}
		if err := svc.Link(); err != nil {
			t.Fatal(err)
		}
		if got := svc.Shapes["S"].Matches(row.text); got != row.want {
			t.Errorf("%q matches %q: got %v, want %v", row.pattern, row.text, got, row.want)
		}
	}
}

func TestTime(t *testing.T) {
	for _, row := range []struct {
		ms   int64
		want string
	}{
		{1740830400123, "1740830400.123"},
		{1740830400000, "1740830400"},
		{1740830400500, "1740830400.500"},
		{1, "0.001"},
	} {
		b, err := json.Marshal(awsmodel.TimeOf(time.UnixMilli(row.ms)))
		if err != nil || string(b) != row.want {
			t.Errorf("%d ms: got %s %v, want %s", row.ms, b, err, row.want)
		}
		var back awsmodel.Time
		if err := json.Unmarshal(b, &back); err != nil || time.Time(back).UnixMilli() != row.ms {
			t.Errorf("%s reads as %d ms, %v", b, time.Time(back).UnixMilli(), err)
		}
	}
	if awsmodel.TimeOf(time.Time{}) != nil {
		t.Error("the zero time is not absent")
	}
}
