package index

import (
	"slices"
	"strconv"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// Document is a thing, or a thing group, as queries see it. It is immutable;
// make one with [Flatten] or [FlattenGroup].
type Document struct {
	id     uint32 // given by Index.Put
	put    bool   // it was put into an index
	source Source
	group  *GroupSource // of a thing group; nil for a thing
	shape  *shape

	// values are those of the fields of the shape: of most fields one, of the
	// others nil, which is in several then.
	values  []*entry
	several []several
	// connectivity holds the fields of connectivity, nil what there is not.
	connectivity [connectivityFields]*entry
}

// several are the values of a field that has two or more.
type several struct {
	at     int // the field's place in the shape
	values []query.Value
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
	next.put = false
	next.source.Connectivity = c
	if d.shape.connectivity {
		next.connectivity = connectivityOf(c)
	}
	return &next
}

// connectivityOf returns the fields of connectivity.
func connectivityOf(c Connectivity) (fields [connectivityFields]*entry) {
	fields[connectedField] = newEntry(query.BoolValue(c.Connected), 0)
	if c.Timestamp != 0 {
		fields[timestampField] = newEntry(query.NewValue(strconv.FormatInt(c.Timestamp, 10)), 0)
	}
	if c.DisconnectReason != "" {
		fields[disconnectReasonField] = newEntry(query.NewValue(c.DisconnectReason), 0)
	}
	return fields
}

// Source returns what the document was made from. It is read-only.
func (d *Document) Source() Source { return d.source }

// Fields returns the names of all fields, sorted. The caller owns the slice.
func (d *Document) Fields() []string {
	names := make([]string, 0, len(d.shape.names)+connectivityFields)
	names = append(names, d.shape.names[:d.shape.before]...)
	for i, e := range d.connectivity {
		if e != nil {
			names = append(names, connectivityName(i))
		}
	}
	return append(names, d.shape.names[d.shape.before:]...)
}

// Values returns the values of a field, which are read-only; nil if it has none.
func (d *Document) Values(name string) []query.Value {
	if IsConnectivity(name) {
		return d.connectivityValues(name)
	}
	at, found := d.shape.find(name)
	if !found {
		return nil
	}
	return d.valuesAt(at)
}

func (d *Document) connectivityValues(name string) []query.Value {
	for i, e := range d.connectivity {
		if e != nil && connectivityName(i) == name {
			return e.value[:]
		}
	}
	return nil
}

// valuesAt returns the values of the field at a place of the shape.
func (d *Document) valuesAt(at int) []query.Value {
	if e := d.values[at]; e != nil {
		return e.value[:]
	}
	for i := range d.several {
		if d.several[i].at == at {
			return d.several[i].values
		}
	}
	return nil
}

// Has reports whether the document has a value at path or below it.
func (d *Document) Has(path string) bool {
	if path+"." == connectivityPrefix {
		return d.connectivity != [connectivityFields]*entry{}
	}
	if IsConnectivity(path) {
		return d.connectivityValues(path) != nil
	}
	_, found := d.shape.find(path)
	return found || d.shape.below(path)
}

// Each yields the registry, shadow and Device Defender values until yield
// returns false.
func (d *Document) Each(yield func(query.Value) bool) {
	for at, hidden := range d.shape.hidden {
		if hidden {
			continue
		}
		for _, v := range d.valuesAt(at) {
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

func addGroups(d *Document, names []query.Value) query.Document {
	if len(names) == 0 {
		return d
	}
	return withGroups{Document: d, added: names, values: slices.Concat(d.Values(groupNamesField), names)}
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
