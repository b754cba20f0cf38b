package engine_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// TestPresenceVersions: both events of a session carry the same version, and
// the next session a larger one, also for a client that is no thing, of which
// nothing is remembered between its sessions.
func TestPresenceVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, mem.New(), rules.Safe())
		defer f.stop()
		f.thing("thing", "5")
		for _, name := range []protocol.ThingName{"thing", "stranger"} {
			last := int64(0)
			for range 3 {
				f.wire.take()
				f.disconnect(name, f.connect(name))
				versions := presenceVersions(t, f.wire.take(), string(name))
				if len(versions) != 2 || versions[0] != versions[1] || versions[0] <= last {
					t.Errorf("%s: versions %d after %d", name, versions, last)
				}
				last = versions[0]
			}
		}
	})
}

func presenceVersions(t *testing.T, all []sent, client string) (versions []int64) {
	t.Helper()
	for _, m := range all {
		if strings.HasPrefix(m.topic, "$aws/events/presence/") && strings.HasSuffix(m.topic, "/"+client) {
			var e event.Presence
			if err := json.Unmarshal([]byte(m.payload), &e); err != nil {
				t.Fatal(err)
			}
			versions = append(versions, e.VersionNumber)
		}
	}
	return versions
}
