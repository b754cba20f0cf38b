package engine

import (
	"maps"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
	"github.com/muster-iot/muster/server/registry"
)

// IndexName is the index that dynamic groups are evaluated over, QueryVersion
// the only version of the query language (AWS IoT reference 3.4).
const (
	IndexName    = index.Name
	QueryVersion = "2017-09-30"
)

// groupAttributes bounds the attributes of a group (AWS IoT reference 2.4).
const groupAttributes = 50

func groupNotFound(g protocol.ThingGroupName) error {
	return protocol.Errorf(protocol.NotFound, "thing group %q does not exist", g)
}

func badGroupName(g protocol.ThingGroupName) error {
	return protocol.Errorf(protocol.InvalidRequest, "thing group name %q is not 1 to 128 of [a-zA-Z0-9:_-]", g)
}

// CreateDynamicGroup makes a dynamic thing group (AWS IoT reference 4.1). It returns
// while the group is BUILDING. Creating it again with the same definition
// answers the existing one.
type CreateDynamicGroup struct {
	Name         protocol.ThingGroupName
	Query        string
	QueryVersion string // empty is [QueryVersion]
	IndexName    string // empty is [IndexName]
	Description  string
	Attributes   map[string]string
	Tags         registry.Tags
}

func (in CreateDynamicGroup) step(t *tx) (group.Group, error) {
	if !in.Name.Valid() {
		return group.Group{}, badGroupName(in.Name)
	}
	if err := checkLanguage(in.QueryVersion, in.IndexName); err != nil {
		return group.Group{}, err
	}
	q, err := t.groupQuery(in.Name, in.Query)
	if err != nil {
		return group.Group{}, err
	}
	attributes, err := mergeAttributes(in.Name, nil, in.Attributes)
	if err != nil {
		return group.Group{}, err
	}
	if err := in.Tags.Check(); err != nil {
		return group.Group{}, err
	}
	if err := checkDebounce(true, in.Tags); err != nil {
		return group.Group{}, err
	}
	g := group.Group{
		Name: in.Name, QueryString: in.Query, QueryVersion: QueryVersion, IndexName: IndexName,
		Status: group.Building, Description: in.Description, Attributes: attributes,
	}
	if old := t.groups[in.Name]; old != nil {
		return t.sameGroup(old, g)
	}
	if err := t.namings.checkName(in.Name); err != nil {
		return group.Group{}, err
	}
	if n := t.matcher.Len(); n >= t.cfg.Rules.DynamicGroups {
		return group.Group{}, protocol.Errorf(protocol.LimitExceeded, "there are %d dynamic thing groups already, which is the limit", n)
	}
	e := t.addGroup(g, q, in.Tags)
	t.namings.add(in.Name, q)
	t.matcher.Put(in.Name, q)
	t.build(e)
	return e.Group, nil
}

// sameGroup answers a creation of a group that is there: the same definition
// is answered with the old one, another is an AlreadyExists.
func (s *state) sameGroup(old *groupEntry, asked group.Group) (group.Group, error) {
	if old.QueryString == asked.QueryString && old.Parent == asked.Parent &&
		old.Description == asked.Description && maps.Equal(old.Attributes, asked.Attributes) {
		return old.Group, nil
	}
	err := protocol.Errorf(protocol.AlreadyExists, "thing group %q exists already with another definition", old.Name)
	err.ResourceID, err.ResourceARN = old.ID, s.arn(protocol.KindThingGroup, string(old.Name))
	return group.Group{}, err
}

// addGroup files and publishes a new group of either kind.
func (t *tx) addGroup(g group.Group, q *query.Query, tags registry.Tags) *groupEntry {
	g.ID, g.Version, g.CreatedAt = t.cfg.NewID(), 1, t.now
	e := &groupEntry{Group: g, query: q}
	t.groups[g.Name] = e
	t.groupOrder.insert(g.CreatedAt, g.Name)
	t.putGroup(e)
	t.tag(protocol.KindThingGroup, string(g.Name), tags)
	t.groupEvent(g, "CREATED", "created")
	return e
}

// groupOf returns a group of the wanted kind: NotFound, or an InvalidRequest
// for one of the other kind.
func (s *state) groupOf(name protocol.ThingGroupName, dynamic bool) (*groupEntry, error) {
	g := s.groups[name]
	switch {
	case g == nil:
		return nil, groupNotFound(name)
	case g.Dynamic() != dynamic:
		kind := map[bool]string{true: "dynamic", false: "static"}[g.Dynamic()]
		return nil, protocol.Errorf(protocol.InvalidRequest, "This operation does not support %s thing groups. Thing group arn: %s", kind, s.arn(protocol.KindThingGroup, string(name)))
	}
	return g, nil
}

// dynamicGroups lists the dynamic groups in the order of their creation.
func (s *state) dynamicGroups() []*groupEntry {
	var all []*groupEntry
	for _, o := range s.groupOrder.items {
		if g := s.groups[o.key]; g.Dynamic() {
			all = append(all, g)
		}
	}
	return all
}

// checkLanguage refuses another query version or index than the ones there are.
func checkLanguage(version, indexName string) error {
	switch {
	case version != "" && version != QueryVersion:
		return protocol.Errorf(protocol.InvalidRequest, "query version %q is not %s", version, QueryVersion)
	case indexName != "" && indexName != IndexName:
		return protocol.Errorf(protocol.InvalidRequest, "a dynamic thing group cannot use index %q, only %s", indexName, IndexName)
	}
	return nil
}

// groupQuery parses the query of a dynamic group and checks what such a query may ask.
func (s *state) groupQuery(g protocol.ThingGroupName, text string) (*query.Query, error) {
	switch {
	case s.indexing.Status == IndexOff:
		return nil, protocol.Errorf(protocol.NotFound, "index %s is off: switch thing indexing on first", IndexName)
	case s.indexing.Status == IndexBuilding:
		return nil, protocol.Errorf(protocol.InvalidRequest, "index %s is still BUILDING: try again when it is ACTIVE", IndexName)
	}
	q, err := query.ParseWithin(query.Things, text, s.queryLimits(s.cfg.Rules.GroupQueryTerms))
	if err != nil {
		return nil, err
	}
	return q, s.namings.checkQuery(g, q)
}

// UpdateDynamicGroup changes a dynamic thing group; nil members stay as they are.
type UpdateDynamicGroup struct {
	Name            protocol.ThingGroupName
	Query           *string
	QueryVersion    string
	IndexName       string
	Description     *string
	Attributes      map[string]string
	MergeAttributes bool
	ExpectedVersion *int64
}

func (in UpdateDynamicGroup) step(t *tx) (group.Group, error) {
	g, err := t.groupOf(in.Name, true)
	if err != nil {
		return group.Group{}, err
	}
	if err := checkGroupVersion(g.Group, in.ExpectedVersion); err != nil {
		return group.Group{}, err
	}
	if err := checkLanguage(in.QueryVersion, in.IndexName); err != nil {
		return group.Group{}, err
	}
	requery := in.Query != nil && *in.Query != g.QueryString
	q := g.query
	if requery {
		var err error
		if q, err = t.groupQuery(in.Name, *in.Query); err != nil {
			return group.Group{}, err
		}
	}
	if err := g.change(in.Description, in.Attributes, in.MergeAttributes); err != nil {
		return group.Group{}, err
	}
	if requery {
		t.namings.drop(in.Name, g.query)
		t.namings.add(in.Name, q)
		g.QueryString, g.query = *in.Query, q
		g.moveOn(group.QueryChanged)
		g.Generation++
		t.matcher.Put(in.Name, q)
		t.build(g)
	}
	t.putGroup(g)
	t.groupEvent(g.Group, "UPDATED", "updated")
	return g.Group, nil
}

// change sets the properties that an update gives, and counts it.
func (g *groupEntry) change(description *string, attributes map[string]string, merge bool) error {
	if attributes != nil {
		old := g.Attributes
		if !merge {
			old = nil
		}
		next, err := mergeAttributes(g.Name, old, attributes)
		if err != nil {
			return err
		}
		g.Attributes = next
	}
	if description != nil {
		g.Description = *description
	}
	g.Version++
	return nil
}

// mergeAttributes are old ones with those given; an empty value removes.
func mergeAttributes(g protocol.ThingGroupName, old, given map[string]string) (map[string]string, error) {
	next := map[string]string{}
	maps.Copy(next, old)
	for k, v := range given {
		if v == "" {
			delete(next, k)
		} else {
			next[k] = v
		}
	}
	if len(next) > groupAttributes {
		return nil, protocol.Errorf(protocol.InvalidRequest, "thing group %q would have %d attributes; the limit is %d", g, len(next), groupAttributes)
	}
	return next, nil
}

// DeleteDynamicGroup removes a dynamic thing group: every member leaves it, and the
// jobs that target it go on without it. An absent group is deleted already.
type DeleteDynamicGroup struct {
	Name            protocol.ThingGroupName
	ExpectedVersion *int64
}

func (in DeleteDynamicGroup) step(t *tx) (struct{}, error) {
	if t.groups[in.Name] == nil {
		return struct{}{}, nil
	}
	g, err := t.groupOf(in.Name, true)
	if err != nil {
		return struct{}{}, err
	}
	if err := checkGroupVersion(g.Group, in.ExpectedVersion); err != nil {
		return struct{}{}, err
	}
	t.namings.drop(in.Name, g.query)
	t.movedAll(t.matcher.Remove(in.Name))
	for _, id := range t.targetingGroup[in.Name] {
		if j := t.jobs[id]; len(j.Awaiting) > 0 {
			j.Awaiting = remove(append([]protocol.ThingGroupName(nil), j.Awaiting...), in.Name)
			t.putJob(j)
			t.ended = append(t.ended, id)
		}
	}
	t.dropGroup(g)
	t.resume(in.Name)
	return struct{}{}, nil
}

// dropGroup forgets a group that has no members any more.
func (t *tx) dropGroup(g *groupEntry) {
	delete(t.groups, g.Name)
	t.groupOrder.remove(g.CreatedAt, g.Name)
	t.del(protocol.GlobalShard, kindGroup, string(g.Name))
	t.unindexGroup(g.Name)
	t.untag(protocol.KindThingGroup, string(g.Name))
	t.detachAll(resource{protocol.KindThingGroup, string(g.Name)}.target())
	t.groupEvent(g.Group, "DELETED", "deleted")
}

// putGroup stores and indexes a group.
func (t *tx) putGroup(g *groupEntry) {
	t.put(protocol.GlobalShard, kindGroup, string(g.Name), g.Group)
	t.indexGroup(g.Group)
}

// moveOn takes the group's status through an event that its table allows.
func (g *groupEntry) moveOn(e group.Event) {
	if next, ok := g.Status.Next(e); ok {
		g.Status = next
	}
}

func checkGroupVersion(g group.Group, expected *int64) error {
	if expected != nil && *expected != g.Version {
		return protocol.Errorf(protocol.VersionConflict, "thing group %q has version %d, not the expected %d", g.Name, g.Version, *expected)
	}
	return nil
}

func (t *tx) groupEvent(g group.Group, operation, word string) {
	if !t.events.Enabled[event.ThingGroup] {
		return
	}
	m := event.GroupChange{
		EventType: "THING_GROUP_EVENT", EventID: t.cfg.NewID(), Timestamp: t.now.UnixMilli(), Operation: operation,
		AccountID: t.cfg.Account, ThingGroupID: g.ID, ThingGroupName: string(g.Name), VersionNumber: g.Version,
		Description: g.Description, Attributes: someOrNil(g.Attributes),
	}
	if g.Dynamic() {
		m.DynamicGroupMappingID = &g.ID
	}
	for _, above := range t.tree.Path(g.Parent) {
		m.RootToParentThingGroups = append(m.RootToParentThingGroups, event.GroupRef{
			GroupARN: t.arn(protocol.KindThingGroup, string(above)), GroupID: t.groups[above].ID,
		})
	}
	if g.Parent != "" {
		m.ParentGroupName, m.ParentGroupID = new(string(g.Parent)), new(t.groups[g.Parent].ID)
	}
	t.publish(topic.Event("thingGroup", string(g.Name), word), marshal(m))
}
