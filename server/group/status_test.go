package group_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/muster-iot/muster/server/group"
)

// TestStatusTable walks every status and event.
func TestStatusTable(t *testing.T) {
	const absent group.Status = ""
	type cell struct {
		from group.Status
		on   group.Event
	}
	want := map[cell]group.Status{
		{absent, group.Created}:                     group.Building,
		{group.Building, group.Scanned}:             group.Active,
		{group.Building, group.QueryChanged}:        group.Building,
		{group.Building, group.IndexReconfigured}:   group.Building,
		{group.Active, group.QueryChanged}:          group.Rebuilding,
		{group.Active, group.IndexReconfigured}:     group.Rebuilding,
		{group.Rebuilding, group.Scanned}:           group.Active,
		{group.Rebuilding, group.QueryChanged}:      group.Rebuilding,
		{group.Rebuilding, group.IndexReconfigured}: group.Rebuilding,
	}
	for _, from := range []group.Status{absent, group.Building, group.Active, group.Rebuilding, "NONSENSE"} {
		for _, on := range []group.Event{group.Created, group.Scanned, group.QueryChanged, group.IndexReconfigured, "nonsense"} {
			next, ok := from.Next(on)
			to, legal := want[cell{from, on}]
			if !legal {
				to = from
			}
			if next != to || ok != legal {
				t.Errorf("%q on %q: %q %t, want %q %t", from, on, next, ok, to, legal)
			}
		}
		if needs := from == group.Building || from == group.Rebuilding; from.NeedsScan() != needs {
			t.Errorf("%q needs a scan: %t", from, !needs)
		}
	}
}

func TestGroupIsStored(t *testing.T) {
	g := group.Group{
		Name: "ConnectedSWV5", ID: "b0c1", QueryString: "connectivity.connected:true AND attributes.softwareVersion:5",
		QueryVersion: "2017-09-30", IndexName: "AWS_Things", Version: 2, Status: group.Active, Description: "on 5",
		Attributes: map[string]string{"owner": "oslo"}, CreatedAt: time.Unix(1740830400, 5e8).UTC(), Generation: 1,
	}
	stored, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"ConnectedSWV5","id":"b0c1","version":2,"description":"on 5","attributes":{"owner":"oslo"},` +
		`"createdAt":"2025-03-01T12:00:00.5Z","queryString":"connectivity.connected:true AND attributes.softwareVersion:5",` +
		`"queryVersion":"2017-09-30","indexName":"AWS_Things","status":"ACTIVE","generation":1}`
	if string(stored) != want {
		t.Errorf("stored as %s", stored)
	}
	var loaded group.Group
	if err := json.Unmarshal(stored, &loaded); err != nil || !reflect.DeepEqual(loaded, g) {
		t.Errorf("loaded as %+v, %v", loaded, err)
	}
}
