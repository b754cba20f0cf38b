package topic_test

import (
	"testing"

	"github.com/muster-iot/muster/protocol/topic"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		topic string
		want  topic.Topic
		ok    bool
	}{
		{"$aws/things/dev1/jobs/get", topic.Topic{Kind: topic.GetPendingJobExecutions, Thing: "dev1"}, true},
		{"$aws/things/dev1/jobs/get/get", topic.Topic{Kind: topic.DescribeJobExecution, Thing: "dev1", JobID: "get"}, true},
		{"$aws/things/dev1/jobs/start-next", topic.Topic{Kind: topic.StartNextJobExecution, Thing: "dev1"}, true},
		{"$aws/things/dev1/jobs/start-next/update", topic.Topic{Kind: topic.UpdateJobExecution, Thing: "dev1", JobID: "start-next"}, true},
		{"$aws/things/dev1/jobs/$next/get", topic.Topic{Kind: topic.DescribeJobExecution, Thing: "dev1", JobID: "$next"}, true},
		{"$aws/things/a:b/shadow/update", topic.Topic{Kind: topic.UpdateShadow, Thing: "a:b"}, true},
		{"$aws/things/dev1/shadow/name/$package/get", topic.Topic{Kind: topic.GetShadow, Thing: "dev1", Shadow: "$package"}, true},
		{topic: "$aws/things/dev1/jobs/$next/update"},
		{topic: "$aws/things/dev1/jobs/notify"},
		{topic: "$aws/things/dev1/jobs/fw-6/update/accepted"},
		{topic: "$aws/things/dev1/shadow/name//get"},
		{topic: "$aws/things//jobs/get"},
		{topic: "$aws/things/dev 1/jobs/get"},
		{topic: "$aws/events/presence/connected/dev1"},
		{topic: "app/telemetry"},
	} {
		got, ok := topic.Parse(c.topic)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v, %v", c.topic, got, ok, c.want, c.ok)
		}
	}
}

func TestOwn(t *testing.T) {
	for filter, want := range map[string]bool{
		"$aws/things/dev1/jobs/start-next/+": true,
		"$aws/things/dev1/#":                 true,
		"$aws/things/dev1":                   false,
		"$aws/things/dev1/":                  false,
		"$aws/things/dev10/jobs/get":         false,
		"$aws/things/+/jobs/get":             false,
		"$aws/#":                             false,
	} {
		if got := topic.Own("dev1", filter); got != want {
			t.Errorf("Own(dev1, %q) = %v, want %v", filter, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$aws/things/dev1/jobs/$next/get")
	f.Add("$aws/things/dev1/shadow/name/x/update")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := topic.Parse(s)
		if !ok {
			return
		}
		var back string
		switch {
		case got.JobID != "" && got.Kind == topic.DescribeJobExecution:
			back = topic.Job(got.Thing, got.JobID, "get")
		case got.JobID != "":
			back = topic.Job(got.Thing, got.JobID, "update")
		default:
			return
		}
		if back != s {
			t.Fatalf("Parse(%q) builds %q", s, back)
		}
	})
}
