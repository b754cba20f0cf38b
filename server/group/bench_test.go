package group_test

import (
	"fmt"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// benchQuery is a mix like that of a fleet with regions, models and versions.
func benchQuery(tb testing.TB, i int) *query.Query {
	forms := []string{
		"connectivity.connected:true AND attributes.softwareVersion:%d AND attributes.region:r%d",
		"attributes.softwareVersion:[%d TO *] AND attributes.model:m%d",
		"thingName:pump-%d* AND attributes.site:s%d",
		"attributes.region:r%d NOT attributes.softwareVersion:%d",
		"attributes.battery<%d AND attributes.site:s%d",
	}
	return mustParse(tb, fmt.Sprintf(forms[i%len(forms)], i%20, i%50))
}

func benchSource(version int) index.Source {
	return index.Source{
		ThingName: "pump-12345",
		Attributes: map[string]string{
			"softwareVersion": fmt.Sprint(version), "region": "r7", "model": "m3", "site": "s12", "battery": "88", "customer": "acme",
		},
		Connectivity: index.Connectivity{Connected: true},
	}
}

// benchChanges returns a connectivity flip there and back and a version there and back.
func benchChanges() []index.Change {
	ix := index.New()
	on := index.Flatten(benchSource(5), config())
	ix.Put(on)
	return []index.Change{
		ix.Put(on.WithConnectivity(index.Connectivity{})),
		ix.Put(on),
		ix.Put(index.Flatten(benchSource(6), config())),
		ix.Put(on),
	}
}

func BenchmarkApply(b *testing.B) {
	for _, groups := range []int{100, 1000} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			m := group.New()
			for i := range groups {
				m.Put(protocol.ThingGroupName(fmt.Sprintf("g%d", i)), benchQuery(b, i))
			}
			changes := benchChanges()
			m.Apply(index.Change{Thing: "pump-12345", New: changes[len(changes)-1].New})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.Apply(changes[i%len(changes)])
			}
		})
	}
}

// BenchmarkNaive asks every query about the same changes.
func BenchmarkNaive(b *testing.B) {
	for _, groups := range []int{100, 1000} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			var queries []*query.Query
			for i := range groups {
				queries = append(queries, benchQuery(b, i))
			}
			changes := benchChanges()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for _, q := range queries {
					q.Match(changes[i%len(changes)].New)
				}
			}
		})
	}
}
