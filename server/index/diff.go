package index

import "github.com/muster-iot/muster/protocol"

// Diff returns the change that Put of the document would make, and makes none.
// The document must not be put afterwards.
func (ix *Index) Diff(doc *Document) Change {
	old := ix.Get(doc.Thing())
	if old != nil {
		doc.id = old.id
	}
	return compare(doc.Thing(), old, doc)
}

// DiffDelete returns the change that Delete would make, and makes none.
func (ix *Index) DiffDelete(thing protocol.ThingName) Change {
	return compare(thing, ix.Get(thing), nil)
}
