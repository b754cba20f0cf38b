package index

import "github.com/muster-iot/muster/protocol"

// Change is what one Put or Delete did to a thing's document.
type Change struct {
	Thing protocol.ThingName
	// Old and New are the document before and after; nil is absent.
	Old, New *Document
	// Fields are the names of the fields whose set of values differs, sorted;
	// of a thing that came or went, all its fields.
	Fields []string
}

// OnlyConnectivity reports whether something changed and all of it is
// connectivity (rules 5 and 6).
func (c Change) OnlyConnectivity() bool {
	for _, f := range c.Fields {
		if !isConnectivity(f) {
			return false
		}
	}
	return len(c.Fields) > 0
}

// compare makes the change from one document to another; both may be nil.
func compare(thing protocol.ThingName, old, new *Document) Change {
	return Change{Thing: thing, Old: old, New: new, Fields: differing(old, new)}
}

// differing walks the fields of both documents in step.
func differing(old, new *Document) []string {
	var names []string
	a, b := fieldsOf(old), fieldsOf(new)
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].name < b[0].name:
			names, a = append(names, a[0].name), a[1:]
		case len(a) == 0 || b[0].name < a[0].name:
			names, b = append(names, b[0].name), b[1:]
		default:
			if !sameValues(old, a[0], new, b[0]) {
				names = append(names, a[0].name)
			}
			a, b = a[1:], b[1:]
		}
	}
	return names
}

func fieldsOf(d *Document) []field {
	if d == nil {
		return nil
	}
	return d.fields
}

func sameValues(old *Document, a field, new *Document, b field) bool {
	if a.end-a.first != b.end-b.first {
		return false
	}
	for i := range a.end - a.first {
		if !old.values[a.first+i].Equal(new.values[b.first+i]) {
			return false
		}
	}
	return true
}
