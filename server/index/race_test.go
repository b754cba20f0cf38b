package index_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
)

// TestReadersBesideTheWriter changes things while others search, list and
// aggregate: every thing is always of version 5 or 6, whichever it changes to,
// and so each search finds all of them.
func TestReadersBesideTheWriter(t *testing.T) {
	const things, changes = 200, 4000
	ix := index.NewSmall()
	put := func(i, version int) {
		ix.Put(index.Flatten(index.Source{
			ThingName:    protocol.ThingName(fmt.Sprintf("t%03d", i)),
			Attributes:   map[string]string{"version": fmt.Sprint(version), "site": "Oslo North"},
			Connectivity: index.Connectivity{Connected: version == 5, Timestamp: int64(version)},
		}, full()))
	}
	for i := range things {
		put(i, 5)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var readers sync.WaitGroup
	for _, query := range []string{
		"attributes.version:5 OR attributes.version:6", "attributes.version:[5 TO 6] AND attributes.site:north",
		"NOT attributes.version:7", "5 OR 6", `attributes.site:"oslo north" AND connectivity:*`,
	} {
		q := mustParse(t, query)
		readers.Go(func() {
			for ctx.Err() == nil {
				s := ix.Select(q)
				if s.Count() != things {
					t.Errorf("%s finds %d of %d", query, s.Count(), things)
					return
				}
				docs, more := s.Page("", 10)
				if len(docs) != 10 || !more || docs[9].Values("attributes.site") == nil {
					t.Errorf("%s lists %v", query, thingsOf(docs))
					return
				}
				if n := s.Statistics(index.Field{Name: "attributes.site", Type: index.String}).Count; n != things {
					t.Errorf("%s aggregates %d", query, n)
				}
			}
		})
	}
	for i := range changes {
		put(i*7%things, 5+i%2)
		id := ix.Get(protocol.ThingName(fmt.Sprintf("t%03d", i%things))).ID()
		ix.Join(id, "dynamic")
		if i%3 == 0 {
			ix.Leave(id, "dynamic")
		}
	}
	stop()
	readers.Wait()
}
