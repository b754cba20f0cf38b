package index

import (
	"cmp"
	"slices"
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// Document is a thing as queries see it. It is immutable; make one with [Flatten].
type Document struct {
	id           uint32 // given by Index.Put
	source       Source
	group        *GroupSource // of a thing group; nil for a thing
	shadows      []string     // names of the indexed shadows, sorted
	connectivity bool         // connectivity is indexed

	fields []field       // sorted by name
	values []query.Value // of all fields, each field's in a row
}

// field is a field of a document; its values are values[first:end], at least one.
type field struct {
	name       string
	first, end int
	hidden     bool // from terms without a field
}

var _ query.Document = (*Document)(nil)

// Thing returns the name of the thing.
func (d *Document) Thing() protocol.ThingName { return d.source.ThingName }

// ID returns the dense number that the thing has in its index, from the first
// Put of its document to its Delete; afterwards another thing may get it.
func (d *Document) ID() uint32 { return d.id }

// WithConnectivity returns the document that [Flatten] would make of the same
// thing with this connectivity, at a small part of the cost.
func (d *Document) WithConnectivity(c Connectivity) *Document {
	next := *d
	next.source.Connectivity = c
	if !d.connectivity {
		return &next
	}
	var f flattener
	f.connectivity(c)
	fields, values := f.group()
	from, to := d.connectivityFields()
	next.fields = make([]field, 0, len(d.fields)+len(fields))
	next.values = make([]query.Value, 0, len(d.values)+len(values))
	next.take(d.fields[:from], d.values)
	next.take(fields, values)
	next.take(d.fields[to:], d.values)
	return &next
}

// connectivityFields returns where the connectivity fields begin and end.
func (d *Document) connectivityFields() (from, to int) {
	for from < len(d.fields) && d.fields[from].name < connectivityPrefix {
		from++
	}
	for to = from; to < len(d.fields) && isConnectivity(d.fields[to].name); to++ {
	}
	return from, to
}

// take adds fields, which are sorted behind those that d has, with their values.
func (d *Document) take(fields []field, values []query.Value) {
	for _, f := range fields {
		first := len(d.values)
		d.values = append(d.values, values[f.first:f.end]...)
		d.fields = append(d.fields, field{name: f.name, hidden: f.hidden, first: first, end: len(d.values)})
	}
}

// Source returns what the document was made from. It is read-only.
func (d *Document) Source() Source { return d.source }

// Fields returns the names of all fields, sorted. The caller owns the slice.
func (d *Document) Fields() []string {
	names := make([]string, len(d.fields))
	for i, f := range d.fields {
		names[i] = f.name
	}
	return names
}

// Values returns the values of a field, which are read-only; nil if it has none.
func (d *Document) Values(name string) []query.Value {
	i, found := slices.BinarySearchFunc(d.fields, name, func(f field, name string) int {
		return cmp.Compare(f.name, name)
	})
	if !found {
		return nil
	}
	return d.valuesOf(i)
}

func (d *Document) valuesOf(i int) []query.Value {
	f := d.fields[i]
	return d.values[f.first:f.end:f.end]
}

// Has reports whether the document has a value at path or below it.
func (d *Document) Has(path string) bool {
	if d.Values(path) != nil {
		return true
	}
	i, _ := slices.BinarySearchFunc(d.fields, path, func(f field, path string) int {
		return compareBelow(f.name, path)
	})
	return i < len(d.fields) && compareBelow(d.fields[i].name, path) == 0
}

// compareBelow compares name with the names below path: 0 if it is one.
func compareBelow(name, path string) int {
	head := name[:min(len(name), len(path))]
	if c := cmp.Compare(head, path); c != 0 {
		return c
	}
	if len(name) == len(path) {
		return -1
	}
	return cmp.Compare(name[len(path)], '.')
}

// Each yields the registry, shadow and Device Defender values until yield
// returns false.
func (d *Document) Each(yield func(query.Value) bool) {
	for i, f := range d.fields {
		if f.hidden {
			continue
		}
		for _, v := range d.valuesOf(i) {
			if !yield(v) {
				return
			}
		}
	}
}

const groupNamesField = "thingGroupNames"

// withGroups is a document with further values of thingGroupNames.
type withGroups struct {
	*Document
	values []query.Value // of thingGroupNames, all
	added  []query.Value
}

func addGroups(d *Document, names []protocol.ThingGroupName) query.Document {
	if len(names) == 0 {
		return d
	}
	w := withGroups{Document: d}
	for _, name := range names {
		w.added = append(w.added, query.NewValue(string(name)))
	}
	w.values = slices.Concat(d.Values(groupNamesField), w.added)
	return w
}

func (w withGroups) Values(name string) []query.Value {
	if name == groupNamesField {
		return w.values
	}
	return w.Document.Values(name)
}

func (w withGroups) Has(path string) bool {
	return path == groupNamesField || w.Document.Has(path)
}

func (w withGroups) Each(yield func(query.Value) bool) {
	for _, v := range w.added {
		if !yield(v) {
			return
		}
	}
	w.Document.Each(yield)
}

const connectivityPrefix = "connectivity."

// isConnectivity reports whether a field is one of the connectivity fields.
func isConnectivity(field string) bool { return strings.HasPrefix(field, connectivityPrefix) }
