package inventory_test

import (
	"testing"
	"time"

	"github.com/muster-iot/muster/agent/inventory"
)

func TestReport(t *testing.T) {
	if got := (inventory.Source{}).Report(); len(got) != 0 {
		t.Errorf("nothing is known, and reported is %v", got)
	}
	got := inventory.Source{
		Hardware: "rpi4", AgentVersion: "1.0.0", Started: time.Now().Add(-90 * time.Second), DataDir: t.TempDir(),
	}.Report()
	if got["hardware"] != "rpi4" || got["agentVersion"] != "1.0.0" {
		t.Errorf("%v", got)
	}
	if up, _ := got["uptimeSeconds"].(int64); up < 90 || up > 200 {
		t.Errorf("uptime %v", got["uptimeSeconds"])
	}
	if free, ok := got["freeDiskMB"].(int64); !ok || free < 0 {
		t.Errorf("free disk %v", got["freeDiskMB"])
	}
	if _, ok := (inventory.Source{DataDir: "/no/such/folder"}).Report()["freeDiskMB"]; ok {
		t.Error("the disk of a missing folder is reported")
	}
}
