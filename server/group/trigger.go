package group

import (
	"strings"

	"github.com/muster-iot/muster/server/query"
)

// triggers finds the groups whose query a changed field may flip.
type triggers struct {
	exact     map[string]set // by a field that the query mentions
	below     map[string]set // by a path that the query asks to exist: fields below it count
	fieldless set            // queries with a term that any field but connectivity may flip
}

type set map[*entry]struct{}

func newTriggers() triggers {
	return triggers{exact: map[string]set{}, below: map[string]set{}, fieldless: set{}}
}

func (t *triggers) add(e *entry) {
	addTo(t.exact, e.query.Fields(), e)
	addTo(t.below, e.query.PathsBelow(), e)
	if e.query.HasFieldless() {
		t.fieldless[e] = struct{}{}
	}
}

func addTo(table map[string]set, keys []string, e *entry) {
	for _, key := range keys {
		if table[key] == nil {
			table[key] = set{}
		}
		table[key][e] = struct{}{}
	}
}

func (t *triggers) remove(e *entry) {
	removeFrom(t.exact, e.query.Fields(), e)
	removeFrom(t.below, e.query.PathsBelow(), e)
	delete(t.fieldless, e)
}

func removeFrom(table map[string]set, keys []string, e *entry) {
	for _, key := range keys {
		delete(table[key], e)
		if len(table[key]) == 0 {
			delete(table, key)
		}
	}
}

// each visits the groups that one of the changed fields may flip: those whose
// query mentions it, asks for the existence of a path above it, or asks
// without a field. A group may be visited more than once.
func (t *triggers) each(fields []string, visit func(*entry)) {
	searched := false
	for _, field := range fields {
		searched = searched || query.InFieldless(field)
		t.exact[field].each(visit)
		for i := strings.LastIndexByte(field, '.'); i >= 0; i = strings.LastIndexByte(field[:i], '.') {
			t.below[field[:i]].each(visit)
		}
	}
	if searched {
		t.fieldless.each(visit)
	}
}

func (s set) each(visit func(*entry)) {
	for e := range s {
		visit(e)
	}
}
