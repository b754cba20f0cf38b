package engine

import (
	"cmp"
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
)

// SearchGroups finds thing groups by a query, in the order of their names; see
// [Search] for the rest. The index of the question must be [index.GroupsName].
func SearchGroups(ctx context.Context, e *Engine, ask Question, p Page) (found []index.GroupSource, next string, err error) {
	var more bool
	err = e.search(ctx, ask, nil, func(s *index.Selection) {
		var docs []*index.Document
		docs, more = s.Page(protocol.ThingName(p.After), p.Max)
		found = make([]index.GroupSource, len(docs))
		for i, d := range docs {
			found[i] = *d.Group()
		}
	}, func(*View) {})
	if err != nil {
		return nil, "", err
	}
	if more {
		next = found[len(found)-1].Name
	}
	return found, next, nil
}

// groupDocument builds what the index knows of a thing group.
func (s *state) groupDocument(g group.Group) *index.Document {
	return index.FlattenGroup(index.GroupSource{
		Name: string(g.Name), ID: g.ID, Description: g.Description, Version: g.Version,
		Attributes: someOrNil(g.Attributes), ParentNames: namesOf(s.tree.Path(g.Parent)),
	})
}

// indexGroup brings the index of thing groups up to date with a group.
func (s *state) indexGroup(g group.Group) {
	if s.indexing.GroupStatus != IndexOff {
		s.groupIndex.Put(s.groupDocument(g))
	}
}

// unindexGroup takes a group that is gone out of the index of thing groups.
func (s *state) unindexGroup(g protocol.ThingGroupName) { s.groupIndex.Delete(protocol.ThingName(g)) }

func checkGroupIndexing(next GroupIndexing) error {
	switch next.Mode {
	case "", index.Off, index.On:
		return index.ValidateGroupFields(next.CustomFields)
	}
	return protocol.Errorf(protocol.InvalidRequest, "thingGroupIndexingMode %q is unknown, want one of [%s %s]", next.Mode, index.Off, index.On)
}

// reconfigureGroups switches the index of thing groups on or off. Custom
// fields add no content: they take effect at once.
func (t *tx) reconfigureGroups(next GroupIndexing) {
	next.Mode = cmp.Or(next.Mode, index.Off)
	was := t.indexing.GroupStatus != IndexOff
	t.indexing.Group = next
	if is := next.Mode == index.On; is == was {
		return
	} else if !is {
		t.indexing.GroupStatus, t.groupIndex = IndexOff, index.New()
		return
	}
	t.indexing.GroupStatus = IndexBuilding
	t.buildGroupIndex()
}

// buildGroupIndex fills the index of thing groups in slices; groups that
// change meanwhile are in it already. An index in its place ends it.
func (t *tx) buildGroupIndex() {
	ix := t.groupIndex
	wanted := func(t *tx) bool { return t.groupIndex == ix }
	visit := func(t *tx, g protocol.ThingGroupName) { t.indexGroup(t.groups[g].Group) }
	t.later(inSlices(&t.groupOrder, wanted, visit, func(t *tx) {
		t.indexing.GroupStatus = IndexActive
		t.put(protocol.GlobalShard, kindConfig, keyIndexing, t.indexing)
	}))
}

// linkGroupIndex builds the index of thing groups as the fleet is loaded.
func (l *loader) linkGroupIndex() {
	l.indexing.GroupStatus = IndexOff
	if l.indexing.Group.Mode != index.On {
		return
	}
	l.indexing.GroupStatus = IndexActive
	for _, o := range l.groupOrder.items {
		l.indexGroup(l.groups[o.key].Group)
	}
}
