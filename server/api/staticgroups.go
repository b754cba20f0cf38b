package api

import (
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
)

func (o *operations) createThingGroup(ctx context.Context, call restjson.Call, in *iot.CreateThingGroupRequest) (*iot.CreateThingGroupResponse, error) {
	given, err := tags(in.Tags)
	if err != nil {
		return nil, err
	}
	create := engine.CreateStaticGroup{
		Name: protocol.ThingGroupName(in.ThingGroupName), Parent: protocol.ThingGroupName(or(in.ParentGroupName, "")), Tags: given,
	}
	if p := in.ThingGroupProperties; p != nil {
		create.Description, create.Attributes = or(p.ThingGroupDescription, ""), attributes(p.AttributePayload)
	}
	g, err := engine.Do(ctx, o.engine, create)
	if err != nil {
		return nil, err
	}
	return &iot.CreateThingGroupResponse{
		ThingGroupName: &in.ThingGroupName, ThingGroupId: &g.ID, ThingGroupArn: new(call.ARN(protocol.KindThingGroup, in.ThingGroupName)),
	}, nil
}

func (o *operations) updateThingGroup(ctx context.Context, _ restjson.Call, in *iot.UpdateThingGroupRequest) (*iot.UpdateThingGroupResponse, error) {
	update := engine.UpdateStaticGroup{
		Name:        protocol.ThingGroupName(in.ThingGroupName),
		Description: in.ThingGroupProperties.ThingGroupDescription, ExpectedVersion: in.ExpectedVersion,
	}
	if p := in.ThingGroupProperties.AttributePayload; p != nil {
		update.Attributes, update.MergeAttributes = p.Attributes, or(p.Merge, false)
	}
	g, err := engine.Do(ctx, o.engine, update)
	if err != nil {
		return nil, err
	}
	return &iot.UpdateThingGroupResponse{Version: &g.Version}, nil
}

func (o *operations) deleteThingGroup(ctx context.Context, _ restjson.Call, in *iot.DeleteThingGroupRequest) (*iot.DeleteThingGroupResponse, error) {
	_, err := engine.Do(ctx, o.engine, engine.DeleteStaticGroup{Name: protocol.ThingGroupName(in.ThingGroupName), ExpectedVersion: in.ExpectedVersion})
	return nil, err
}

func (o *operations) addThingToThingGroup(ctx context.Context, call restjson.Call, in *iot.AddThingToThingGroupRequest) (*iot.AddThingToThingGroupResponse, error) {
	move, g, err := membership(call, in.ThingName, in.ThingArn, in.ThingGroupName, in.ThingGroupArn)
	if err != nil {
		return nil, err
	}
	move.Add, move.OverrideDynamic = g, or(in.OverrideDynamicGroups, false)
	_, err = engine.Do(ctx, o.engine, move)
	return nil, err
}

func (o *operations) removeThingFromThingGroup(ctx context.Context, call restjson.Call, in *iot.RemoveThingFromThingGroupRequest) (*iot.RemoveThingFromThingGroupResponse, error) {
	move, g, err := membership(call, in.ThingName, in.ThingArn, in.ThingGroupName, in.ThingGroupArn)
	if err != nil {
		return nil, err
	}
	move.Remove = g
	_, err = engine.Do(ctx, o.engine, move)
	return nil, err
}

func (o *operations) updateThingGroupsForThing(ctx context.Context, _ restjson.Call, in *iot.UpdateThingGroupsForThingRequest) (*iot.UpdateThingGroupsForThingResponse, error) {
	if in.ThingName == nil {
		return nil, protocol.Errorf(protocol.InvalidRequest, "the request names no thing: give thingName")
	}
	_, err := engine.Do(ctx, o.engine, engine.MoveThing{
		Thing: protocol.ThingName(*in.ThingName), OverrideDynamic: or(in.OverrideDynamicGroups, false),
		Remove: thingGroupNames(in.ThingGroupsToRemove), Add: thingGroupNames(in.ThingGroupsToAdd),
	})
	return nil, err
}

func thingGroupNames(names []string) []protocol.ThingGroupName {
	groups := make([]protocol.ThingGroupName, len(names))
	for i, name := range names {
		groups[i] = protocol.ThingGroupName(name)
	}
	return groups
}

// membership reads which thing and group a request is about.
func membership(call restjson.Call, thing, thingARN, g, groupARN *string) (engine.MoveThing, []protocol.ThingGroupName, error) {
	thingName, err := named(call, protocol.KindThing, "thing", thing, thingARN)
	if err != nil {
		return engine.MoveThing{}, nil, err
	}
	groupName, err := named(call, protocol.KindThingGroup, "thingGroup", g, groupARN)
	if err != nil {
		return engine.MoveThing{}, nil, err
	}
	return engine.MoveThing{Thing: protocol.ThingName(thingName)}, []protocol.ThingGroupName{protocol.ThingGroupName(groupName)}, nil
}

// named is the name of what a request gives by name, ARN or both, in the
// members of that prefix. The region of an ARN is ignored (rule 27).
func named(call restjson.Call, kind, prefix string, name, arn *string) (string, error) {
	if arn == nil {
		if name == nil {
			return "", protocol.Errorf(protocol.InvalidRequest, "the request names no %s: give %sName or %sArn", kind, prefix, prefix)
		}
		return *name, nil
	}
	a, err := protocol.ParseOwnARN(*arn, call.Account)
	switch {
	case err != nil:
		return "", err
	case a.Kind != kind:
		return "", protocol.Errorf(protocol.InvalidRequest, "%sArn %q is the ARN of a %s, not of a %s", prefix, *arn, a.Kind, kind)
	case name != nil && *name != a.Name:
		return "", protocol.Errorf(protocol.InvalidRequest, "%sName %q and %sArn %q name two: give one of them", prefix, *name, prefix, *arn)
	}
	return a.Name, nil
}
