package index

import (
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/btree"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// Index holds documents in order of their names: those of all registered
// things, or of all thing groups. One goroutine writes it and may read it in
// any way; searches, and what they found, may be used on any goroutine beside.
type Index struct {
	// lock is held by the writer while it changes what follows, and by a
	// search for one piece of its work.
	lock  sync.RWMutex
	sizes sizes

	things *btree.BTreeG[*Document]
	key    Document    // to look a name up; only the writer does
	dense  []*Document // by number; nil where it is free
	free   []uint32
	all    *roaring.Bitmap // numbers in use
	recent recent

	shapes       shapes
	fields       *btree.BTreeG[*field] // by name
	connectivity [connectivityFields]*field

	dynamic *field                   // thingGroupNames, as far as groups are dynamic
	joined  map[uint32][]query.Value // the dynamic groups of a thing
}

// sizes are what the parts of an index are cut to.
type sizes struct {
	piece   int // cost of a piece of a search, in units of a budget
	entries int // of a block of an order
	recent  int // changes that are remembered at least
	few     int // numbers of a union that are listed
}

// New returns an empty index.
func New() *Index { return newIndex(sizes{piece: 100_000, entries: 512, recent: 1 << 16, few: 1024}) }

func newIndex(sizes sizes) *Index {
	const degree = 32
	ix := &Index{
		things: btree.NewG(degree, func(a, b *Document) bool { return a.Name() < b.Name() }),
		all:    roaring.New(),
		shapes: newShapes(),
		fields: btree.NewG(degree, func(a, b *field) bool { return a.name < b.name }),
		joined: map[uint32][]query.Value{},
		sizes:  sizes,
		recent: recent{keep: sizes.recent},
	}
	for i := range ix.connectivity {
		ix.connectivity[i] = newField(connectivityName(i), true, sizes)
		ix.fields.ReplaceOrInsert(ix.connectivity[i])
	}
	ix.dynamic = newField(groupNamesField, false, sizes)
	ix.dynamic.texts.overlapping, ix.dynamic.numbers.overlapping = true, true
	ix.dynamic.phrases.overlapping, ix.dynamic.words.overlapping = true, true
	return ix
}

// Put makes the document that of its thing and returns what this changed.
func (ix *Index) Put(doc *Document) Change {
	old := ix.get(doc.Name())
	if old == doc {
		return changed(old, doc, nil)
	}
	doc = fresh(old, doc)
	var buf [8]difference
	differences := differing(buf[:0], old, doc)
	change := changed(old, doc, differences)
	ix.lock.Lock()
	defer ix.lock.Unlock()
	if old != nil {
		doc.id = old.id
	} else {
		doc.id = ix.number()
		ix.all.Add(doc.id)
	}
	ix.adoptShape(old, doc)
	for _, d := range differences {
		ix.file(old, doc, d)
	}
	ix.adoptValues(old, doc)
	if old != nil && old.shape != doc.shape {
		ix.shapes.drop(old.shape, ix.dropField)
	}
	doc.put = true
	ix.dense[doc.id] = doc
	ix.things.ReplaceOrInsert(doc)
	if len(differences) > 0 || old == nil {
		ix.recent.add(doc.id)
	}
	return change
}

// fresh returns a document whose values Put may write to: the document itself,
// or a copy of one that others read already, or that shares its values with
// another one than old.
func fresh(old, doc *Document) *Document {
	switch {
	case doc.put:
		next := *doc
		next.put = false
		doc = &next
	case doc.shape.fields == nil || old != nil && sharedValues(old, doc):
		return doc
	}
	doc.values = slices.Clone(doc.values)
	return doc
}

// adoptShape gives the document the shape that all documents like it share.
func (ix *Index) adoptShape(old, doc *Document) {
	if old != nil && old.shape.equal(doc.shape) {
		doc.shape = old.shape
		return
	}
	doc.shape = ix.shapes.take(doc.shape, ix.fieldOf)
}

// adoptValues makes the document share the values that it has in common with
// the one before.
func (ix *Index) adoptValues(old, doc *Document) {
	if old == nil {
		return
	}
	for i, e := range doc.connectivity {
		if e != nil && old.connectivity[i] != nil && e.value[0].Equal(old.connectivity[i].value[0]) {
			doc.connectivity[i] = old.connectivity[i]
		}
	}
	if sharedValues(old, doc) {
		return
	}
	if old.shape == doc.shape {
		for i := range doc.values {
			adoptValue(old, i, doc, i)
		}
		return
	}
	for i, j := 0, 0; i < len(old.values) && j < len(doc.values); {
		switch a, b := old.shape.names[i], doc.shape.names[j]; {
		case a < b:
			i++
		case b < a:
			j++
		default:
			adoptValue(old, i, doc, j)
			i++
			j++
		}
	}
}

func adoptValue(old *Document, i int, doc *Document, j int) {
	x, y := old.values[i], doc.values[j]
	if x != y && x != nil && y != nil && x.value[0].Equal(y.value[0]) {
		doc.values[j] = x
	}
}

// file brings the dictionary of a field up to date with a difference.
func (ix *Index) file(old, doc *Document, d difference) {
	f := ix.fieldAt(old, d.old)
	if f == nil {
		f = ix.fieldAt(doc, d.new)
	}
	if d.old != absent {
		f.remove(old.valuesOfPlace(d.old), old.id)
	}
	if d.new == absent {
		f.has.Remove(old.id)
		return
	}
	if d.old == absent {
		f.has.Add(doc.id)
	}
	values := doc.valuesOfPlace(d.new)
	for i := range values {
		e := f.add(&values[i], doc.id)
		switch {
		case d.new >= fromConnectivity:
			doc.connectivity[d.new-fromConnectivity] = e
		case doc.values[d.new] != nil:
			doc.values[d.new] = e
		}
	}
}

// fieldAt returns the field at a place of a difference, nil if it is absent.
func (ix *Index) fieldAt(doc *Document, at int) *field {
	switch {
	case at == absent:
		return nil
	case at >= fromConnectivity:
		return ix.connectivity[at-fromConnectivity]
	}
	return doc.shape.fields[at]
}

// fieldOf returns the field of a name, a new one if there is none.
func (ix *Index) fieldOf(name string, hidden bool) *field {
	if f := ix.field(name); f != nil {
		return f
	}
	f := newField(name, hidden, ix.sizes)
	ix.fields.ReplaceOrInsert(f)
	return f
}

// field returns the field of a name, nil if there is none.
func (ix *Index) field(name string) *field {
	f, _ := ix.fields.Get(&field{name: name})
	return f
}

func (ix *Index) dropField(f *field) { ix.fields.Delete(f) }

// Delete removes the thing's document, and what it has joined, and returns
// what this changed: nothing if there was none.
func (ix *Index) Delete(thing protocol.ThingName) Change {
	old := ix.get(string(thing))
	if old == nil {
		return Change{Thing: thing}
	}
	differences := differing(nil, old, nil)
	ix.lock.Lock()
	defer ix.lock.Unlock()
	for _, d := range differences {
		ix.file(old, nil, d)
	}
	ix.shapes.drop(old.shape, ix.dropField)
	if groups := ix.joined[old.id]; len(groups) > 0 {
		ix.dynamic.remove(groups, old.id)
		ix.dynamic.has.Remove(old.id)
		delete(ix.joined, old.id)
	}
	ix.things.Delete(old)
	ix.dense[old.id] = nil
	ix.free = append(ix.free, old.id)
	ix.all.Remove(old.id)
	ix.recent.add(old.id)
	return changed(old, nil, differences)
}

// number returns the number of a new document.
func (ix *Index) number() uint32 {
	if last := len(ix.free) - 1; last >= 0 {
		id := ix.free[last]
		ix.free = ix.free[:last]
		return id
	}
	ix.dense = append(ix.dense, nil)
	return uint32(len(ix.dense) - 1)
}

// Join makes searches see a dynamic group in the thingGroupNames of the thing
// that has this number, until it leaves the group or its document is deleted.
// The document itself, and so the queries of dynamic groups, does not have it.
func (ix *Index) Join(id uint32, group protocol.ThingGroupName) {
	if ix.At(id) == nil || slices.ContainsFunc(ix.joined[id], named(group)) {
		return
	}
	ix.lock.Lock()
	defer ix.lock.Unlock()
	v := query.NewValue(string(group))
	e := ix.dynamic.add(&v, id)
	ix.dynamic.has.Add(id)
	// What a search has seen of the groups of a thing is left as it is.
	ix.joined[id] = append(slices.Clip(ix.joined[id]), e.value[0])
	ix.recent.add(id)
}

// Leave undoes a Join, if there was one.
func (ix *Index) Leave(id uint32, group protocol.ThingGroupName) {
	at := slices.IndexFunc(ix.joined[id], named(group))
	if at < 0 {
		return
	}
	ix.lock.Lock()
	defer ix.lock.Unlock()
	groups := ix.joined[id]
	ix.dynamic.remove(groups[at:at+1], id)
	if len(groups) == 1 {
		delete(ix.joined, id)
		ix.dynamic.has.Remove(id)
	} else {
		rest := slices.Concat(groups[:at], groups[at+1:])
		ix.dynamic.keep(rest, id)
		ix.joined[id] = rest
	}
	ix.recent.add(id)
}

func named(group protocol.ThingGroupName) func(query.Value) bool {
	return func(v query.Value) bool { return v.Text == string(group) }
}

// At returns the document of a number, nil if there is none. It is for the
// goroutine that writes the index, as Get, Range and Len are.
func (ix *Index) At(id uint32) *Document {
	if int(id) >= len(ix.dense) {
		return nil
	}
	return ix.dense[id]
}

// Get returns the thing's document, nil if there is none.
func (ix *Index) Get(thing protocol.ThingName) *Document { return ix.get(string(thing)) }

func (ix *Index) get(name string) *Document {
	ix.key.source.ThingName = protocol.ThingName(name)
	doc, _ := ix.things.Get(&ix.key)
	return doc
}

// Len returns the number of documents.
func (ix *Index) Len() int { return ix.things.Len() }

// Range returns up to limit documents in order of name, beginning behind the
// name after; a limit of 0 or less is none. Fewer than limit are the last.
func (ix *Index) Range(after protocol.ThingName, limit int) []*Document {
	var docs []*Document
	ix.ascend(string(after), func(doc *Document) bool {
		docs = append(docs, doc)
		return limit <= 0 || len(docs) < limit
	})
	return docs
}

// ascend visits the documents behind the name after until visit returns false.
func (ix *Index) ascend(after string, visit func(*Document) bool) {
	ix.things.AscendGreaterOrEqual(at(after), func(doc *Document) bool {
		return doc.Name() == after || visit(doc)
	})
}

// at returns a key for the tree.
func at(name string) *Document {
	return &Document{source: Source{ThingName: protocol.ThingName(name)}}
}

// sight is an index as a search sees it.
type sight struct {
	ix *Index
	// alone sees the documents alone, without the dynamic groups that their
	// things have joined: as the queries of dynamic groups do.
	alone bool
}

// matches reports whether the thing of a number is there and a query true of it.
func (s sight) matches(q *query.Query, id uint32) bool {
	doc := s.ix.At(id)
	return doc != nil && q.Match(s.view(doc))
}

// view returns a document with what else is seen of its thing.
func (s sight) view(doc *Document) query.Document {
	if s.alone {
		return doc
	}
	return addGroups(doc, s.ix.joined[doc.id])
}

// joined is the dictionary of the dynamic groups that are seen, nil if none are.
func (s sight) joined() *field {
	if s.alone {
		return nil
	}
	return s.ix.dynamic
}
