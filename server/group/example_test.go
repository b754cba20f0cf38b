package group_test

import (
	"fmt"

	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// A group is built from the things that there are, and then follows them.
func ExampleMatcher() {
	cfg := index.Config{ThingIndexingMode: index.Registry, ThingConnectivityIndexingMode: index.Status}
	pump := index.Source{ThingName: "pump-17", Attributes: map[string]string{"softwareVersion": "5"}}
	pump.Connectivity.Connected = true

	ix := index.New()
	ix.Put(index.Flatten(pump, cfg))

	q, err := query.Parse("connectivity.connected:true AND attributes.softwareVersion:5")
	if err != nil {
		fmt.Println(err)
		return
	}
	m := group.New()
	m.Put("ConnectedSWV5", q)
	fmt.Printf("%+v\n", m.Scan("ConnectedSWV5", ix.Range("", 100)))

	pump.Attributes = map[string]string{"softwareVersion": "6"}
	change := ix.Put(index.Flatten(pump, cfg))
	fmt.Println(change.Fields)
	fmt.Printf("%+v\n", m.Apply(change))
	// Output:
	// [{Thing:pump-17 Group:ConnectedSWV5 Joined:true}]
	// [attributes.softwareVersion]
	// [{Thing:pump-17 Group:ConnectedSWV5 Joined:false}]
}
