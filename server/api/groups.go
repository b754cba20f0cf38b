package api

import (
	"context"
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/group"
)

func (o *operations) createDynamicThingGroup(ctx context.Context, call restjson.Call, in *iot.CreateDynamicThingGroupRequest) (*iot.CreateDynamicThingGroupResponse, error) {
	given, err := tags(in.Tags)
	if err != nil {
		return nil, err
	}
	create := engine.CreateDynamicGroup{
		Name: protocol.ThingGroupName(in.ThingGroupName), Query: in.QueryString,
		QueryVersion: or(in.QueryVersion, ""), IndexName: or(in.IndexName, ""), Tags: given,
	}
	if p := in.ThingGroupProperties; p != nil {
		create.Description, create.Attributes = or(p.ThingGroupDescription, ""), attributes(p.AttributePayload)
	}
	g, err := engine.Do(ctx, o.engine, create)
	if err != nil {
		return nil, err
	}
	return &iot.CreateDynamicThingGroupResponse{
		ThingGroupName: &in.ThingGroupName, ThingGroupId: &g.ID, ThingGroupArn: new(call.ARN(protocol.KindThingGroup, in.ThingGroupName)),
		IndexName: &g.IndexName, QueryString: &g.QueryString, QueryVersion: &g.QueryVersion,
	}, nil
}

func (o *operations) updateDynamicThingGroup(ctx context.Context, _ restjson.Call, in *iot.UpdateDynamicThingGroupRequest) (*iot.UpdateDynamicThingGroupResponse, error) {
	update := engine.UpdateDynamicGroup{
		Name: protocol.ThingGroupName(in.ThingGroupName), Query: in.QueryString,
		QueryVersion: or(in.QueryVersion, ""), IndexName: or(in.IndexName, ""),
		Description: in.ThingGroupProperties.ThingGroupDescription, ExpectedVersion: in.ExpectedVersion,
	}
	if p := in.ThingGroupProperties.AttributePayload; p != nil {
		update.Attributes, update.MergeAttributes = p.Attributes, or(p.Merge, false)
	}
	g, err := engine.Do(ctx, o.engine, update)
	if err != nil {
		return nil, err
	}
	return &iot.UpdateDynamicThingGroupResponse{Version: &g.Version}, nil
}

func (o *operations) deleteDynamicThingGroup(ctx context.Context, _ restjson.Call, in *iot.DeleteDynamicThingGroupRequest) (*iot.DeleteDynamicThingGroupResponse, error) {
	_, err := engine.Do(ctx, o.engine, engine.DeleteDynamicGroup{Name: protocol.ThingGroupName(in.ThingGroupName), ExpectedVersion: in.ExpectedVersion})
	return nil, err
}

func (o *operations) describeThingGroup(ctx context.Context, call restjson.Call, in *iot.DescribeThingGroupRequest) (*iot.DescribeThingGroupResponse, error) {
	var g group.Group
	var above []protocol.ThingGroupName
	err := o.read(ctx, func(v *engine.View) (err error) {
		g, err = v.Group(protocol.ThingGroupName(in.ThingGroupName))
		above = v.Above(g)
		return err
	})
	if err != nil {
		return nil, err
	}
	properties := &iot.ThingGroupProperties{ThingGroupDescription: text(g.Description)}
	if len(g.Attributes) > 0 {
		properties.AttributePayload = &iot.AttributePayload{Attributes: g.Attributes}
	}
	metadata := &iot.ThingGroupMetadata{ParentGroupName: text(g.Parent), CreationDate: awsmodel.TimeOf(g.CreatedAt)}
	if len(above) > 0 {
		metadata.RootToParentThingGroups = groupNames(call, above)
	}
	return &iot.DescribeThingGroupResponse{
		ThingGroupName: &in.ThingGroupName, ThingGroupId: &g.ID, ThingGroupArn: new(call.ARN(protocol.KindThingGroup, in.ThingGroupName)),
		Version: &g.Version, Status: text(g.Status), ThingGroupProperties: properties,
		ThingGroupMetadata: metadata,
		IndexName:          text(g.IndexName), QueryString: text(g.QueryString), QueryVersion: text(g.QueryVersion),
	}, nil
}

func (o *operations) listThingGroups(ctx context.Context, call restjson.Call, in *iot.ListThingGroupsRequest) (*iot.ListThingGroupsResponse, error) {
	p, err := page(call, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	prefixed := func(g group.Group) bool { return strings.HasPrefix(string(g.Name), or(in.NamePrefixFilter, "")) }
	listed := func(v *engine.View, p engine.Page) ([]group.Group, string, error) { return v.Groups(p, prefixed) }
	if in.ParentGroup != nil {
		listed = func(v *engine.View, p engine.Page) ([]group.Group, string, error) {
			return v.GroupsBelow(protocol.ThingGroupName(*in.ParentGroup), or(in.Recursive, true), p, prefixed)
		}
	}
	out := new(iot.ListThingGroupsResponse)
	err = o.read(ctx, func(v *engine.View) error {
		groups, cursor, err := listed(v, p)
		out.ThingGroups, out.NextToken = groupNames(call, namesOf(groups)), next(call, cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func namesOf(groups []group.Group) []protocol.ThingGroupName {
	names := make([]protocol.ThingGroupName, len(groups))
	for i, g := range groups {
		names[i] = g.Name
	}
	return names
}

func groupNames(call restjson.Call, groups []protocol.ThingGroupName) []iot.GroupNameAndArn {
	named := make([]iot.GroupNameAndArn, len(groups))
	for i, g := range groups {
		name := string(g)
		named[i] = iot.GroupNameAndArn{GroupName: &name, GroupArn: new(call.ARN(protocol.KindThingGroup, name))}
	}
	return named
}

func (o *operations) listThingsInThingGroup(ctx context.Context, call restjson.Call, in *iot.ListThingsInThingGroupRequest) (*iot.ListThingsInThingGroupResponse, error) {
	p, err := page(call, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &iot.ListThingsInThingGroupResponse{Things: []string{}}
	err = o.read(ctx, func(v *engine.View) error {
		names, cursor, err := v.Members(protocol.ThingGroupName(in.ThingGroupName), or(in.Recursive, false), p)
		for _, name := range names {
			out.Things = append(out.Things, string(name))
		}
		out.NextToken = next(call, cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (o *operations) listThingGroupsForThing(ctx context.Context, call restjson.Call, in *iot.ListThingGroupsForThingRequest) (*iot.ListThingGroupsForThingResponse, error) {
	p, err := page(call, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := new(iot.ListThingGroupsForThingResponse)
	err = o.read(ctx, func(v *engine.View) error {
		groups, cursor, err := v.GroupsOf(protocol.ThingName(in.ThingName), p)
		out.ThingGroups, out.NextToken = groupNames(call, namesOf(groups)), next(call, cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
