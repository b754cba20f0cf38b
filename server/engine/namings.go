package engine

import (
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// groupNames is the field of the groups that a thing is in.
const groupNames = "thingGroupNames"

// namings are the names of dynamic thing groups and the names that their
// queries ask for, so that neither creating a group nor changing a query makes
// one depend on another (AWS IoT reference 4.3). Names are in lower case, as
// queries compare them.
type namings struct {
	dynamic map[string]int // how many dynamic groups bear the name
	// asked holds for a name the dynamic groups whose queries ask for it.
	asked map[string]map[protocol.ThingGroupName]bool
}

func newNamings() namings {
	return namings{dynamic: map[string]int{}, asked: map[string]map[protocol.ThingGroupName]bool{}}
}

// add takes down a dynamic group.
func (n namings) add(g protocol.ThingGroupName, q *query.Query) {
	n.dynamic[strings.ToLower(string(g))]++
	names, _ := q.FieldTerms(groupNames)
	for _, name := range names {
		name = strings.ToLower(name)
		if n.asked[name] == nil {
			n.asked[name] = map[protocol.ThingGroupName]bool{}
		}
		n.asked[name][g] = true
	}
}

// drop forgets a dynamic group with the query that it was added with.
func (n namings) drop(g protocol.ThingGroupName, q *query.Query) {
	bearer := strings.ToLower(string(g))
	if n.dynamic[bearer]--; n.dynamic[bearer] == 0 {
		delete(n.dynamic, bearer)
	}
	names, _ := q.FieldTerms(groupNames)
	for _, name := range names {
		name = strings.ToLower(name)
		delete(n.asked[name], g)
		if len(n.asked[name]) == 0 {
			delete(n.asked, name)
		}
	}
}

// checkQuery refuses a query of a dynamic group that may depend on one.
func (n namings) checkQuery(g protocol.ThingGroupName, q *query.Query) error {
	names, pattern := q.FieldTerms(groupNames)
	if pattern {
		return protocol.Errorf(protocol.InvalidQuery, "the query of a dynamic thing group may name static thing groups only, without wildcards: its membership would depend on itself")
	}
	for _, name := range names {
		if n.dynamic[strings.ToLower(name)] > 0 || strings.EqualFold(string(g), name) {
			return protocol.Errorf(protocol.InvalidQuery, "the query names the dynamic thing group %q; only static ones are allowed", name)
		}
	}
	return nil
}

// checkName refuses the name of a new dynamic group for which a query asks.
func (n namings) checkName(g protocol.ThingGroupName) error {
	for by := range n.asked[strings.ToLower(string(g))] {
		return protocol.Errorf(protocol.InvalidRequest, "thing group %q cannot be a dynamic one: the query of dynamic thing group %q names it, and such a query may name static ones only. Change that query or choose another name", g, by)
	}
	return nil
}
