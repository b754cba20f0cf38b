package index

import "github.com/muster-iot/muster/protocol"

// Diff returns the change that Put of the document would make, and makes none.
// The document must not be put afterwards.
func (ix *Index) Diff(doc *Document) Change {
	old := ix.get(doc.Name())
	if old != nil && !doc.put {
		doc.id = old.id
	}
	return changed(old, doc, differing(nil, old, doc))
}

// DiffDelete returns the change that Delete would make, and makes none.
func (ix *Index) DiffDelete(thing protocol.ThingName) Change {
	old := ix.get(string(thing))
	change := changed(old, nil, differing(nil, old, nil))
	change.Thing = thing
	return change
}
