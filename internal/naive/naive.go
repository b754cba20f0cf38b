// Package naive answers what a query finds in the slow and obvious way, from
// nothing but what a search shows: it reads the JSON of each thing, lists its
// values by field and walks the query over them. It is what the fast ways (the
// evaluator of server/query, the postings of server/index, the matcher of
// server/group) are compared with by tests and by the simulator's oracle, so
// it shares nothing with them but the parser's tree, and it is written to be
// believed by reading: no state, no caches, no case that saves time. No other
// code may import it.
//
// Read on in thing.go (which values a thing has), query.go (what a query says
// of them) and aggregate.go (statistics over many things).
package naive

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/muster-iot/muster/protocol"
)

// Thing is a thing as SearchIndex answers it (AWS IoT reference 3.2).
type Thing struct {
	Name     protocol.ThingName
	ID, Type string
	// Groups are the thing groups of the thing. A search sees all of them, the
	// query of a dynamic group only those that are static: see [Thing.Outside].
	Groups     []string
	Attributes map[string]string
	// Shadow is a JSON document; empty when there is none.
	Shadow string
	// Indexed says that connectivity is; the rest is about it. Since is in
	// milliseconds of Unix time, 0 for never.
	Indexed, Connected bool
	Since              int64
	Reason             string
	// Version is that of the registry, which no query sees and no search
	// answers: aggregations know it as registry.version. 0 is unknown.
	Version int64
}

// ReadThing reads one of the things in the answer of SearchIndex.
func ReadThing(answer []byte) (Thing, error) {
	var a struct {
		ThingName       protocol.ThingName
		ThingID         string
		ThingTypeName   string
		ThingGroupNames []string
		Attributes      map[string]string
		Shadow          string
		Connectivity    *struct {
			Connected        bool
			Timestamp        int64
			DisconnectReason string
		}
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return Thing{}, fmt.Errorf("cannot read a thing: %w", err)
	}
	t := Thing{Name: a.ThingName, ID: a.ThingID, Type: a.ThingTypeName, Groups: a.ThingGroupNames, Attributes: a.Attributes, Shadow: a.Shadow}
	if c := a.Connectivity; c != nil {
		t.Indexed, t.Connected, t.Since, t.Reason = true, c.Connected, c.Timestamp, c.DisconnectReason
	}
	return t, nil
}

// Same reports whether two things look the same to every query of a dynamic
// group. Connectivity has the time of its last change and a shadow a version,
// so there and back again is not the same.
func (t Thing) Same(o Thing) bool {
	return t.Name == o.Name && t.ID == o.ID && t.Type == o.Type && t.Shadow == o.Shadow && maps.Equal(t.Attributes, o.Attributes) &&
		t.Indexed == o.Indexed && t.Connected == o.Connected && t.Since == o.Since && t.Reason == o.Reason
}

// Outside returns the thing without the groups for which dynamic is true, as
// the query of a dynamic group sees it (AWS IoT reference 4.3, rule 8 there).
func (t Thing) Outside(dynamic func(group string) bool) Thing {
	t.Groups = slices.DeleteFunc(slices.Clone(t.Groups), dynamic)
	return t
}

// Group is a thing group as SearchIndex answers it (AWS IoT reference 3.5).
type Group struct {
	Name            protocol.ThingGroupName
	ID, Description string
	Parents         []string
	Attributes      map[string]string
}
