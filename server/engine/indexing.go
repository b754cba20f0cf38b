package engine

import (
	"reflect"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
)

// UpdateIndexing sets the indexing configuration (AWS IoT reference 3.1); nil
// structures stay as they are. A change of what is indexed rebuilds the index in
// the background.
type UpdateIndexing struct {
	Thing *index.Config
	Group *GroupIndexing
}

func (in UpdateIndexing) step(t *tx) (struct{}, error) {
	if in.Thing != nil {
		if err := in.Thing.Validate(); err != nil {
			return struct{}{}, err
		}
		if err := t.checkGroupsCovered(in.Thing.Normal()); err != nil {
			return struct{}{}, err
		}
	}
	if in.Group != nil {
		if err := checkGroupIndexing(*in.Group); err != nil {
			return struct{}{}, err
		}
		t.reconfigureGroups(*in.Group)
	}
	if in.Thing != nil && !reflect.DeepEqual(in.Thing.Normal(), t.indexing.Thing) {
		t.reconfigure(in.Thing.Normal())
	}
	t.put(protocol.GlobalShard, kindConfig, keyIndexing, t.indexing)
	return struct{}{}, nil
}

// checkGroupsCovered refuses a configuration that would take a field away
// from a dynamic group (AWS IoT reference 3.1, rule 8).
func (s *state) checkGroupsCovered(next index.Config) error {
	for _, g := range s.dynamicGroups() {
		if next.ThingIndexingMode == index.Off {
			return protocol.Errorf(protocol.InvalidRequest, "thing indexing cannot be switched off while dynamic thing group %q exists", g.Name)
		}
		for _, f := range g.query.Fields() {
			if s.indexing.Thing.Covers(f) && !next.Covers(f) {
				return protocol.Errorf(protocol.InvalidRequest, "dynamic thing group %q needs field %q, which this configuration does not index", g.Name, f)
			}
		}
	}
	return nil
}

// reconfigure starts a rebuild of the index under a new configuration.
// Groups are REBUILDING until it is through; only differences are emitted.
func (t *tx) reconfigure(next index.Config) {
	t.indexing.Thing = next
	t.reconfigured++
	switch {
	case next.ThingIndexingMode == index.Off:
		t.indexing.Status = IndexOff
		t.index = index.New()
		return
	case t.indexing.Status == IndexOff || t.indexing.Status == IndexBuilding:
		t.indexing.Status = IndexBuilding
	default:
		t.indexing.Status = IndexRebuilding
	}
	for _, g := range t.dynamicGroups() {
		g.moveOn(group.IndexReconfigured)
		g.Generation++
		t.putGroup(g)
	}
	t.rebuild()
}

// rebuild flattens every thing anew in slices; a newer configuration ends it.
func (t *tx) rebuild() {
	reconfigured := t.reconfigured
	wanted := func(t *tx) bool { return t.reconfigured == reconfigured }
	t.later(inSlices(&t.things, wanted, (*tx).reindex, func(t *tx) {
		t.indexing.Status = IndexActive
		t.put(protocol.GlobalShard, kindConfig, keyIndexing, t.indexing)
		for _, g := range t.dynamicGroups() {
			if g.Status.NeedsScan() {
				t.build(g)
			}
		}
	}))
}

// UpdateEvents switches event families on or off; those not named stay.
type UpdateEvents struct{ Enabled map[event.Type]bool }

func (in UpdateEvents) step(t *tx) (struct{}, error) {
	if t.events.CreatedAt.IsZero() {
		t.events.CreatedAt = t.now
	}
	t.events.LastModifiedAt = t.now
	next := make(map[event.Type]bool, len(event.Types))
	for _, k := range event.Types {
		next[k] = t.events.Enabled[k]
		if v, given := in.Enabled[k]; given {
			next[k] = v
		}
	}
	t.events.Enabled = next
	t.put(protocol.GlobalShard, kindConfig, keyEvents, t.events)
	return struct{}{}, nil
}
