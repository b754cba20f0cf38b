package index

import (
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

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
		if !IsConnectivity(f) {
			return false
		}
	}
	return len(c.Fields) > 0
}

// changed makes the change from one document to another; both may be nil.
func changed(old, new *Document, differences []difference) Change {
	c := Change{Old: old, New: new}
	switch {
	case new != nil:
		c.Thing = protocol.ThingName(new.Name())
	case old != nil:
		c.Thing = protocol.ThingName(old.Name())
	}
	if len(differences) == 0 {
		return c
	}
	c.Fields = make([]string, len(differences))
	for i, d := range differences {
		c.Fields[i] = d.name
	}
	return c
}

// difference is a field that two documents do not have in common: its place in
// the shape of each, absent if it is not there. Fields of connectivity stand
// at fromConnectivity and above.
type difference struct {
	name     string
	old, new int
}

const (
	absent           = -1
	fromConnectivity = 1 << 30
)

// differing returns the fields in which the documents differ, by name, behind
// those in buf. Both may be nil.
func differing(buf []difference, old, new *Document) []difference {
	if old != nil && new != nil && sharedValues(old, new) {
		return differingConnectivity(buf, old, new)
	}
	a, b := walk{doc: old}, walk{doc: new}
	buf = differingNames(buf, &a, &b, true)
	buf = differingConnectivity(buf, old, new)
	return differingNames(buf, &a, &b, false)
}

// sharedValues reports whether only the connectivity can differ.
func sharedValues(a, b *Document) bool {
	return len(a.values) == len(b.values) && a.shape == b.shape && (len(a.values) == 0 || &a.values[0] == &b.values[0])
}

// walk goes over the names of a document's shape.
type walk struct {
	doc *Document
	at  int
	end int // of this part of the names
}

// part chooses the names before or behind those of connectivity.
func (w *walk) part(before bool) {
	switch {
	case w.doc == nil:
	case before:
		w.end = w.doc.shape.before
	default:
		w.end = len(w.doc.shape.names)
	}
}

func (w *walk) more() bool   { return w.at < w.end }
func (w *walk) name() string { return w.doc.shape.names[w.at] }

// differingNames walks the fields of both documents in step.
func differingNames(buf []difference, a, b *walk, before bool) []difference {
	a.part(before)
	b.part(before)
	for a.more() || b.more() {
		order := 0
		switch {
		case !b.more():
			order = -1
		case !a.more():
			order = 1
		default:
			order = strings.Compare(a.name(), b.name())
		}
		switch {
		case order < 0:
			buf = append(buf, difference{a.name(), a.at, absent})
			a.at++
		case order > 0:
			buf = append(buf, difference{b.name(), absent, b.at})
			b.at++
		default:
			if !sameValues(a.doc, a.at, b.doc, b.at) {
				buf = append(buf, difference{a.name(), a.at, b.at})
			}
			a.at++
			b.at++
		}
	}
	return buf
}

func differingConnectivity(buf []difference, old, new *Document) []difference {
	var none [connectivityFields]*entry
	a, b := &none, &none
	if old != nil {
		a = &old.connectivity
	}
	if new != nil {
		b = &new.connectivity
	}
	for i := range connectivityFields {
		d := difference{connectivityName(i), fromConnectivity + i, fromConnectivity + i}
		if a[i] == nil {
			d.old = absent
		}
		if b[i] == nil {
			d.new = absent
		}
		if a[i] == b[i] || a[i] != nil && b[i] != nil && a[i].value[0].Equal(b[i].value[0]) {
			continue
		}
		buf = append(buf, d)
	}
	return buf
}

func sameValues(a *Document, i int, b *Document, j int) bool {
	x, y := a.values[i], b.values[j]
	switch {
	case x != nil && y != nil:
		return x == y || x.value[0].Equal(y.value[0])
	case x != nil || y != nil:
		return false
	}
	v, w := a.valuesAt(i), b.valuesAt(j)
	if len(v) != len(w) {
		return false
	}
	for k := range v {
		if !v[k].Equal(w[k]) {
			return false
		}
	}
	return true
}

// valuesOfPlace returns the values of the field at a place of a difference.
func (d *Document) valuesOfPlace(at int) []query.Value {
	if at >= fromConnectivity {
		return d.connectivity[at-fromConnectivity].value[:]
	}
	return d.valuesAt(at)
}
