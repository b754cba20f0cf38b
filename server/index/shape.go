package index

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
)

// shape is what documents of the same fields share: the names, sorted, those
// of connectivity left out. It does not change once it is made.
type shape struct {
	names  []string
	hidden []bool // from terms without a field
	before int    // how many names come before those of connectivity
	// shadows are the names of the indexed shadows, sorted.
	shadows []string
	// connectivity says that it is indexed.
	connectivity bool

	// of a shape that an index has made its own
	fields    []*field // of the names
	hash      uint64
	documents int // that have the shape; owned by the index
}

// find returns the place of a name.
func (s *shape) find(name string) (at int, found bool) {
	return slices.BinarySearch(s.names, name)
}

// below reports whether there is a name below path.
func (s *shape) below(path string) bool {
	_, found := slices.BinarySearchFunc(s.names, path, compareBelow)
	return found
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

func (s *shape) equal(t *shape) bool {
	return s == t || s.connectivity == t.connectivity && slices.Equal(s.names, t.names) && slices.Equal(s.shadows, t.shadows)
}

// The fields of connectivity, in order of their names; a document may have any
// of them.
const (
	connectedField = iota
	disconnectReasonField
	timestampField
	connectivityFields
)

const connectivityPrefix = "connectivity."

// connectivityName returns the name of one of the fields of connectivity.
func connectivityName(i int) string {
	switch i {
	case connectedField:
		return connectivityPrefix + "connected"
	case disconnectReasonField:
		return connectivityPrefix + "disconnectReason"
	}
	return connectivityPrefix + "timestamp"
}

// IsConnectivity reports whether a field is one of the connectivity fields.
func IsConnectivity(field string) bool { return strings.HasPrefix(field, connectivityPrefix) }

// shapes are those of the documents of an index.
type shapes struct {
	byHash map[uint64][]*shape
	seed   maphash.Seed
}

func newShapes() shapes { return shapes{byHash: map[uint64][]*shape{}, seed: maphash.MakeSeed()} }

func (t *shapes) hash(s *shape) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for _, names := range [][]string{s.names, s.shadows} {
		for _, name := range names {
			h.WriteString(name)
			h.WriteByte(0)
		}
		h.WriteByte(1)
	}
	return h.Sum64()
}

// take returns the shape to use for another document, which is equal to s.
func (t *shapes) take(s *shape, fieldOf func(name string, hidden bool) *field) *shape {
	hash := t.hash(s)
	for _, known := range t.byHash[hash] {
		if known.equal(s) {
			known.documents++
			return known
		}
	}
	own := &shape{
		names: s.names, hidden: s.hidden, before: s.before, shadows: s.shadows, connectivity: s.connectivity,
		fields: make([]*field, len(s.names)), hash: hash, documents: 1,
	}
	for i, name := range own.names {
		own.fields[i] = fieldOf(name, own.hidden[i])
		own.fields[i].shapes++
	}
	t.byHash[hash] = append(t.byHash[hash], own)
	return own
}

// drop takes a document from a shape; it calls dropField for every field that
// no shape has any more.
func (t *shapes) drop(s *shape, dropField func(*field)) {
	s.documents--
	if s.documents > 0 {
		return
	}
	rest := slices.DeleteFunc(t.byHash[s.hash], func(o *shape) bool { return o == s })
	if len(rest) == 0 {
		delete(t.byHash, s.hash)
	} else {
		t.byHash[s.hash] = rest
	}
	for _, f := range s.fields {
		f.shapes--
		if f.shapes == 0 {
			dropField(f)
		}
	}
}
