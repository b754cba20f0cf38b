package api

import (
	"context"
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/registry"
)

func (o *operations) createThing(ctx context.Context, call restjson.Call, in *iot.CreateThingRequest) (*iot.CreateThingResponse, error) {
	if in.BillingGroupName != nil {
		return nil, protocol.Errorf(protocol.NotFound, "billing group %q does not exist", *in.BillingGroupName)
	}
	th, err := engine.Do(ctx, o.engine, engine.CreateThing{
		Name: protocol.ThingName(in.ThingName), TypeName: protocol.ThingTypeName(or(in.ThingTypeName, "")), Attributes: attributes(in.AttributePayload),
	})
	if err != nil {
		return nil, err
	}
	return &iot.CreateThingResponse{
		ThingName: new(string(th.Name)), ThingId: &th.ID, ThingArn: new(call.ARN(protocol.KindThing, string(th.Name))),
	}, nil
}

// attributes are those of a payload, nil when it names none.
func attributes(p *iot.AttributePayload) map[string]string {
	if p == nil {
		return nil
	}
	return p.Attributes
}

func (o *operations) describeThing(ctx context.Context, call restjson.Call, in *iot.DescribeThingRequest) (*iot.DescribeThingResponse, error) {
	var th registry.Thing
	err := o.read(ctx, func(v *engine.View) (err error) {
		th, err = v.Thing(protocol.ThingName(in.ThingName))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &iot.DescribeThingResponse{
		DefaultClientId: &in.ThingName, ThingName: &in.ThingName, ThingId: &th.ID,
		ThingArn: new(call.ARN(protocol.KindThing, in.ThingName)), ThingTypeName: text(th.TypeName),
		Attributes: shown(th.Attributes), Version: &th.Version,
	}, nil
}

// shown attributes are an empty object rather than absent.
func shown(attributes map[string]string) map[string]string {
	if attributes == nil {
		return map[string]string{}
	}
	return attributes
}

func (o *operations) updateThing(ctx context.Context, _ restjson.Call, in *iot.UpdateThingRequest) (*iot.UpdateThingResponse, error) {
	update := registry.Update{Attributes: attributes(in.AttributePayload), ExpectedVersion: in.ExpectedVersion}
	switch remove := or(in.RemoveThingType, false); {
	case in.ThingTypeName != nil && remove:
		return nil, protocol.Errorf(protocol.InvalidRequest, "thing %q: removeThingType and thingTypeName exclude each other", in.ThingName)
	case in.ThingTypeName != nil:
		update.TypeName = new(protocol.ThingTypeName(*in.ThingTypeName))
	case remove:
		update.TypeName = new(protocol.ThingTypeName(""))
	}
	if in.AttributePayload != nil {
		update.Merge = or(in.AttributePayload.Merge, false)
	}
	_, err := engine.Do(ctx, o.engine, engine.UpdateThing{Name: protocol.ThingName(in.ThingName), Update: update})
	return nil, err
}

func (o *operations) deleteThing(ctx context.Context, _ restjson.Call, in *iot.DeleteThingRequest) (*iot.DeleteThingResponse, error) {
	_, err := engine.Do(ctx, o.engine, engine.DeleteThing{Name: protocol.ThingName(in.ThingName), ExpectedVersion: in.ExpectedVersion})
	return nil, err
}

func (o *operations) listThings(ctx context.Context, call restjson.Call, in *iot.ListThingsRequest) (*iot.ListThingsResponse, error) {
	if in.AttributeValue != nil && in.AttributeName == nil {
		return nil, protocol.Errorf(protocol.InvalidRequest, "attributeValue needs attributeName: say which attribute is to have the value %q", *in.AttributeValue)
	}
	p, err := page(call, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	var things []registry.Thing
	var cursor string
	err = o.read(ctx, func(v *engine.View) (err error) {
		things, cursor, err = v.Things(p, func(th registry.Thing) bool { return listed(th, in) })
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &iot.ListThingsResponse{Things: make([]iot.ThingAttribute, len(things)), NextToken: next(call, cursor)}
	for i, th := range things {
		name := string(th.Name)
		out.Things[i] = iot.ThingAttribute{
			ThingName: &name, ThingArn: new(call.ARN(protocol.KindThing, name)), ThingTypeName: text(th.TypeName),
			Attributes: shown(th.Attributes), Version: new(th.Version),
		}
	}
	return out, nil
}

// listed reports whether a thing satisfies every filter of a ListThings.
func listed(th registry.Thing, in *iot.ListThingsRequest) bool {
	if in.ThingTypeName != nil && string(th.TypeName) != *in.ThingTypeName {
		return false
	}
	if in.AttributeName == nil {
		return true
	}
	value, has := th.Attributes[*in.AttributeName]
	switch {
	case !has || in.AttributeValue == nil:
		return has
	case or(in.UsePrefixAttributeValue, false):
		return strings.HasPrefix(value, *in.AttributeValue)
	default:
		return value == *in.AttributeValue
	}
}
