package proctest_test

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// watcher listens to the server's events: what was announced must have
// happened for good.
type watcher struct{ *world }

func (w watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		client, lost, err := dial(w.mqtt, "watcher", w.receive, map[string]byte{"$aws/events/#": 1})
		if err == nil {
			select {
			case <-lost:
			case <-ctx.Done():
			}
			client.Disconnect(0)
		}
		_ = pause(ctx, 10*time.Millisecond)
	}
}

func (w watcher) receive(_ paho.Client, m paho.Message) {
	var e struct {
		ThingArn, Status               string
		ExecutionNumber, VersionNumber int64
	}
	if err := json.Unmarshal(m.Payload(), &e); err != nil {
		w.t.Errorf("event %s: %v", m.Topic(), err)
		return
	}
	part := strings.Split(strings.TrimPrefix(m.Topic(), "$aws/events/"), "/")
	why := w.why("event %s", m.Topic())
	switch {
	case part[0] == "thingGroupMembership" && len(part) == 6:
		key := "member/" + part[2] + "/" + part[4]
		if strings.HasPrefix(part[2], "past-") && part[5] == "added" {
			w.ledger.Exists(key, why)
		}
		if strings.HasPrefix(part[2], "below-") && part[5] == "removed" {
			w.ledger.Absent(key, why)
		}
	case part[0] == "thing" && len(part) == 3 && part[2] != "deleted":
		w.ledger.AtLeast("thing/"+part[1]+"/version", e.VersionNumber, why)
	case part[0] == "thingGroup" && len(part) == 3 && part[2] != "deleted":
		w.ledger.AtLeast("group/"+part[1]+"/version", e.VersionNumber, why)
	case part[0] == "job" && len(part) == 3 && (part[2] == "canceled" || part[2] == "completed"):
		w.ledger.Final("job/"+part[1]+"/status", e.Status, why)
	case part[0] == "jobExecution" && len(part) == 3:
		_, thing, _ := strings.Cut(e.ThingArn, ":thing/")
		x := execution{JobID: part[1], ExecutionNumber: e.ExecutionNumber}
		w.ledger.Final(x.key(thing)+"/status", e.Status, why)
	}
}
