package engine

import (
	"slices"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/registry"
)

// CreateStaticGroup makes a static thing group (AWS IoT reference 2.4).
// Creating it again with the same definition answers the existing one.
type CreateStaticGroup struct {
	Name        protocol.ThingGroupName
	Parent      protocol.ThingGroupName // empty is the root of a hierarchy
	Description string
	Attributes  map[string]string
	Tags        registry.Tags
}

func (in CreateStaticGroup) step(t *tx) (group.Group, error) {
	if !in.Name.Valid() {
		return group.Group{}, badGroupName(in.Name)
	}
	attributes, err := mergeAttributes(in.Name, nil, in.Attributes)
	if err != nil {
		return group.Group{}, err
	}
	if err := in.Tags.Check(); err != nil {
		return group.Group{}, err
	}
	if err := checkDebounce(false, in.Tags); err != nil {
		return group.Group{}, err
	}
	g := group.Group{Name: in.Name, Parent: in.Parent, Description: in.Description, Attributes: attributes}
	if old := t.groups[in.Name]; old != nil {
		return t.sameGroup(old, g)
	}
	if in.Parent != "" {
		if _, err := t.groupOf(in.Parent, false); err != nil {
			return group.Group{}, err
		}
	}
	if err := t.tree.Add(in.Name, in.Parent); err != nil {
		return group.Group{}, err
	}
	e := t.addGroup(g, nil, in.Tags)
	t.hierarchyEvent(e.Group, "ADDED", "added")
	return e.Group, nil
}

// UpdateStaticGroup changes a static thing group; nil members stay as they are.
type UpdateStaticGroup struct {
	Name            protocol.ThingGroupName
	Description     *string
	Attributes      map[string]string
	MergeAttributes bool
	ExpectedVersion *int64
}

func (in UpdateStaticGroup) step(t *tx) (group.Group, error) {
	g, err := t.groupOf(in.Name, false)
	if err != nil {
		return group.Group{}, err
	}
	if err := checkGroupVersion(g.Group, in.ExpectedVersion); err != nil {
		return group.Group{}, err
	}
	if err := g.change(in.Description, in.Attributes, in.MergeAttributes); err != nil {
		return group.Group{}, err
	}
	t.putGroup(g)
	t.groupEvent(g.Group, "UPDATED", "updated")
	return g.Group, nil
}

// DeleteStaticGroup removes a static thing group without groups below it:
// every member leaves it, and the jobs that target it go on without it. An
// absent group is deleted already.
type DeleteStaticGroup struct {
	Name            protocol.ThingGroupName
	ExpectedVersion *int64
}

func (in DeleteStaticGroup) step(t *tx) (struct{}, error) {
	if t.groups[in.Name] == nil {
		return struct{}{}, nil
	}
	g, err := t.groupOf(in.Name, false)
	if err != nil {
		return struct{}{}, err
	}
	if err := checkGroupVersion(g.Group, in.ExpectedVersion); err != nil {
		return struct{}{}, err
	}
	if below := t.tree.Below(in.Name, false); len(below) > 0 {
		return struct{}{}, protocol.Errorf(protocol.InvalidRequest, "thing group %q has child groups, as %q: delete them first", in.Name, below[0])
	}
	for _, n := range t.tree.Members(in.Name, false) {
		t.regroup(t.names[n], []group.Membership{{Thing: n, Group: in.Name}})
	}
	t.tree.Remove(in.Name)
	t.hierarchyEvent(g.Group, "REMOVED", "removed")
	t.dropGroup(g)
	return struct{}{}, nil
}

func (t *tx) hierarchyEvent(child group.Group, operation, word string) {
	if child.Parent == "" || !t.events.Enabled[event.ThingGroupHierarchy] {
		return
	}
	t.publish(topic.Hierarchy(child.Parent, child.Name, word), marshal(event.HierarchyChange{
		EventType: "THING_GROUP_HIERARCHY_EVENT", EventID: t.cfg.NewID(), Timestamp: t.now.UnixMilli(), Operation: operation,
		AccountID: t.cfg.Account, ThingGroupID: t.groups[child.Parent].ID, ThingGroupName: string(child.Parent),
		ChildGroupID: child.ID, ChildGroupName: string(child.Name),
	}))
}

// MoveThing takes a thing out of static thing groups and puts it into others
// in one change (AWS IoT reference 2.4). Groups that it has left already, or is
// in already, stay as they are.
type MoveThing struct {
	Thing       protocol.ThingName
	Remove, Add []protocol.ThingGroupName
	// OverrideDynamic lets a thing that is in as many groups as it may leave
	// its most recently created dynamic groups instead of being refused.
	OverrideDynamic bool
}

func (in MoveThing) step(t *tx) (struct{}, error) {
	e, err := t.registered(in.Thing)
	if err != nil {
		return struct{}{}, err
	}
	for _, g := range slices.Concat(in.Remove, in.Add) {
		if _, err := t.groupOf(g, false); err != nil {
			return struct{}{}, err
		}
		if slices.Contains(in.Remove, g) && slices.Contains(in.Add, g) {
			return struct{}{}, protocol.Errorf(protocol.InvalidRequest, "thing %q cannot both join and leave thing group %q", in.Thing, g)
		}
	}
	moves, err := t.tree.Plan(in.Thing, in.Remove, in.Add)
	if err != nil {
		return struct{}{}, err
	}
	if err := t.checkRoom(in.Thing, moves, in.OverrideDynamic); err != nil {
		return struct{}{}, err
	}
	t.regroup(e, moves)
	return struct{}{}, nil
}

// checkRoom refuses static memberships for which a thing has no room; dynamic
// ones can make room if they are overridden (AWS IoT reference 4.3).
func (s *state) checkRoom(n protocol.ThingName, moves []group.Membership, override bool) error {
	limit, more := s.cfg.Rules.GroupsPerThing, 0
	for _, m := range moves {
		if m.Joined {
			more++
		} else {
			more--
		}
	}
	static, dynamic := len(s.tree.GroupsOf(n)), len(s.dynamicGroupsOf(n))
	if override {
		dynamic = 0
	}
	if limit == 0 || more <= 0 || static+dynamic+more <= limit {
		return nil
	}
	return protocol.Errorf(protocol.InvalidRequest, "thing %q cannot join %d more thing groups: it is in %d static and %d dynamic ones already, and the limit is %d",
		n, more, static, len(s.dynamicGroupsOf(n)), limit)
}

// room is how many dynamic groups a thing may be in beside its static ones.
func (s *state) room(n protocol.ThingName) int {
	return s.cfg.Rules.GroupsPerThing - len(s.tree.GroupsOf(n))
}

// regroup carries out moves of a thing between static groups, and what follows
// from them in the index and in dynamic groups, as one change for the jobs.
func (t *tx) regroup(e *entry, moves []group.Membership) {
	if len(moves) == 0 {
		return
	}
	flips := flips{}
	for _, m := range moves {
		t.moveStatic(flips, *e.thing, m)
	}
	if t.indexing.Status != IndexOff {
		t.moveDynamic(flips, *e.thing, t.matcher.Apply(t.index.Put(t.document(e))))
	}
	t.retarget(e.thing.Name, flips, false)
}

// moveStatic stores and publishes one direct membership in a static group. It
// adds the group and those above, of which the thing is an indirect member, to
// the flips; who leaves and joins a group in one change flips nothing there.
func (t *tx) moveStatic(flips flips, th registry.Thing, m group.Membership) {
	t.tree.Apply(m)
	for _, g := range t.tree.Path(m.Group) {
		if _, back := flips[g]; back {
			delete(flips, g)
		} else {
			flips[g] = m.Joined
		}
	}
	t.putMember(t.groups[m.Group], th, m.Joined, false)
}

// namesOf are the groups as the index knows them.
func namesOf(groups []protocol.ThingGroupName) []string {
	var names []string
	for _, g := range groups {
		names = append(names, string(g))
	}
	return names
}
