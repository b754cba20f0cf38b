package api

import (
	"context"
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/registry"
)

func (o *operations) createThingType(ctx context.Context, call restjson.Call, in *iot.CreateThingTypeRequest) (*iot.CreateThingTypeResponse, error) {
	given, err := tags(in.Tags)
	if err != nil {
		return nil, err
	}
	create := engine.CreateThingType{Name: protocol.ThingTypeName(in.ThingTypeName), Tags: given}
	if p := in.ThingTypeProperties; p != nil {
		create.Properties = registry.TypeProperties{
			Description: or(p.ThingTypeDescription, ""), Searchable: p.SearchableAttributes, Propagating: propagating(p.Mqtt5Configuration),
		}
	}
	made, err := engine.Do(ctx, o.engine, create)
	if err != nil {
		return nil, err
	}
	return &iot.CreateThingTypeResponse{
		ThingTypeName: &in.ThingTypeName, ThingTypeArn: new(call.ARN(protocol.KindThingType, in.ThingTypeName)), ThingTypeId: &made.ID,
	}, nil
}

// propagating are the user properties of an MQTT 5 configuration; nil when it
// names none.
func propagating(c *iot.Mqtt5Configuration) []registry.Propagating {
	if c == nil || c.PropagatingAttributes == nil {
		return nil
	}
	properties := make([]registry.Propagating, len(c.PropagatingAttributes))
	for i, p := range c.PropagatingAttributes {
		properties[i] = registry.Propagating{
			UserPropertyKey: or(p.UserPropertyKey, ""), ThingAttribute: or(p.ThingAttribute, ""), ConnectionAttribute: or(p.ConnectionAttribute, ""),
		}
	}
	return properties
}

func (o *operations) describeThingType(ctx context.Context, call restjson.Call, in *iot.DescribeThingTypeRequest) (*iot.DescribeThingTypeResponse, error) {
	var typ registry.ThingType
	err := o.read(ctx, func(v *engine.View) (err error) {
		typ, err = v.ThingType(protocol.ThingTypeName(in.ThingTypeName))
		return err
	})
	if err != nil {
		return nil, err
	}
	shown := typeDefinition(call, typ)
	return &iot.DescribeThingTypeResponse{
		ThingTypeName: shown.ThingTypeName, ThingTypeId: &typ.ID, ThingTypeArn: shown.ThingTypeArn,
		ThingTypeProperties: shown.ThingTypeProperties, ThingTypeMetadata: shown.ThingTypeMetadata,
	}, nil
}

func typeDefinition(call restjson.Call, typ registry.ThingType) iot.ThingTypeDefinition {
	properties := &iot.ThingTypeProperties{ThingTypeDescription: text(typ.Description)}
	if len(typ.Searchable) > 0 {
		properties.SearchableAttributes = typ.Searchable
	}
	if len(typ.Propagating) > 0 {
		properties.Mqtt5Configuration = new(iot.Mqtt5Configuration)
		for _, p := range typ.Propagating {
			properties.Mqtt5Configuration.PropagatingAttributes = append(properties.Mqtt5Configuration.PropagatingAttributes, iot.PropagatingAttribute{
				UserPropertyKey: text(p.UserPropertyKey), ThingAttribute: text(p.ThingAttribute), ConnectionAttribute: text(p.ConnectionAttribute),
			})
		}
	}
	return iot.ThingTypeDefinition{
		ThingTypeName: text(typ.Name), ThingTypeArn: new(call.ARN(protocol.KindThingType, string(typ.Name))), ThingTypeProperties: properties,
		ThingTypeMetadata: &iot.ThingTypeMetadata{
			Deprecated: new(typ.Status == registry.TypeDeprecated), DeprecationDate: awsmodel.TimeOf(typ.DeprecatedAt), CreationDate: awsmodel.TimeOf(typ.CreatedAt),
		},
	}
}

func (o *operations) updateThingType(ctx context.Context, _ restjson.Call, in *iot.UpdateThingTypeRequest) (*iot.UpdateThingTypeResponse, error) {
	update := engine.UpdateThingType{Name: protocol.ThingTypeName(in.ThingTypeName)}
	if p := in.ThingTypeProperties; p != nil {
		update.TypeUpdate = registry.TypeUpdate{
			Description: p.ThingTypeDescription, Searchable: p.SearchableAttributes, Propagating: propagating(p.Mqtt5Configuration),
		}
	}
	_, err := engine.Do(ctx, o.engine, update)
	return nil, err
}

func (o *operations) deprecateThingType(ctx context.Context, _ restjson.Call, in *iot.DeprecateThingTypeRequest) (*iot.DeprecateThingTypeResponse, error) {
	_, err := engine.Do(ctx, o.engine, engine.DeprecateThingType{
		Name: protocol.ThingTypeName(in.ThingTypeName), Undo: or(in.UndoDeprecate, false),
	})
	return nil, err
}

func (o *operations) deleteThingType(ctx context.Context, _ restjson.Call, in *iot.DeleteThingTypeRequest) (*iot.DeleteThingTypeResponse, error) {
	_, err := engine.Do(ctx, o.engine, engine.DeleteThingType{Name: protocol.ThingTypeName(in.ThingTypeName)})
	return nil, err
}

// listThingTypes takes thingTypeName as a prefix.
func (o *operations) listThingTypes(ctx context.Context, call restjson.Call, in *iot.ListThingTypesRequest) (*iot.ListThingTypesResponse, error) {
	p, err := page(call, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &iot.ListThingTypesResponse{ThingTypes: []iot.ThingTypeDefinition{}}
	err = o.read(ctx, func(v *engine.View) error {
		types, cursor, err := v.ThingTypes(p, func(typ registry.ThingType) bool {
			return strings.HasPrefix(string(typ.Name), or(in.ThingTypeName, ""))
		})
		for _, typ := range types {
			out.ThingTypes = append(out.ThingTypes, typeDefinition(call, typ))
		}
		out.NextToken = next(call, cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
