package api

import (
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/index"
)

func (o *operations) updateIndexingConfiguration(ctx context.Context, _ restjson.Call, in *iot.UpdateIndexingConfigurationRequest) (*iot.UpdateIndexingConfigurationResponse, error) {
	var update engine.UpdateIndexing
	if c := in.ThingIndexingConfiguration; c != nil {
		update.Thing = new(thingIndexing(c))
	}
	if c := in.ThingGroupIndexingConfiguration; c != nil {
		update.Group = &engine.GroupIndexing{Mode: index.Mode(c.ThingGroupIndexingMode), CustomFields: customFields(c.CustomFields)}
	}
	_, err := engine.Do(ctx, o.engine, update)
	return nil, err
}

func thingIndexing(c *iot.ThingIndexingConfiguration) index.Config {
	cfg := index.Config{
		ThingIndexingMode:             index.Mode(c.ThingIndexingMode),
		ThingConnectivityIndexingMode: index.Mode(or(c.ThingConnectivityIndexingMode, "")),
		DeviceDefenderIndexingMode:    index.Mode(or(c.DeviceDefenderIndexingMode, "")),
		NamedShadowIndexingMode:       index.Mode(or(c.NamedShadowIndexingMode, "")),
		CustomFields:                  customFields(c.CustomFields),
	}
	if c.Filter == nil {
		return cfg
	}
	cfg.Filter.NamedShadowNames = c.Filter.NamedShadowNames
	for _, g := range c.Filter.GeoLocations {
		cfg.Filter.GeoLocations = append(cfg.Filter.GeoLocations, index.GeoLocation{Name: or(g.Name, ""), Order: or(g.Order, "")})
	}
	return cfg
}

func customFields(fields []iot.Field) []index.Field {
	var declared []index.Field
	for _, f := range fields {
		declared = append(declared, index.Field{Name: or(f.Name, ""), Type: index.FieldType(or(f.Type, ""))})
	}
	return declared
}

func (o *operations) getIndexingConfiguration(ctx context.Context, _ restjson.Call, _ *iot.GetIndexingConfigurationRequest) (*iot.GetIndexingConfigurationResponse, error) {
	x, err := o.indexing(ctx)
	if err != nil {
		return nil, err
	}
	c := x.Thing.Normal()
	things := &iot.ThingIndexingConfiguration{
		ThingIndexingMode:             string(c.ThingIndexingMode),
		ThingConnectivityIndexingMode: text(c.ThingConnectivityIndexingMode),
		DeviceDefenderIndexingMode:    text(c.DeviceDefenderIndexingMode),
		NamedShadowIndexingMode:       text(c.NamedShadowIndexingMode),
		ManagedFields:                 fields(index.ManagedFields()), CustomFields: fields(c.CustomFields),
	}
	if len(c.Filter.NamedShadowNames)+len(c.Filter.GeoLocations) > 0 {
		things.Filter = &iot.IndexingFilter{NamedShadowNames: c.Filter.NamedShadowNames}
		for _, g := range c.Filter.GeoLocations {
			things.Filter.GeoLocations = append(things.Filter.GeoLocations, iot.GeoLocationTarget{Name: text(g.Name), Order: text(g.Order)})
		}
	}
	groups := &iot.ThingGroupIndexingConfiguration{
		ThingGroupIndexingMode: string(x.Group.Mode), ManagedFields: fields(index.ManagedGroupFields()), CustomFields: fields(x.Group.CustomFields),
	}
	return &iot.GetIndexingConfigurationResponse{ThingIndexingConfiguration: things, ThingGroupIndexingConfiguration: groups}, nil
}

func (o *operations) indexing(ctx context.Context) (engine.Indexing, error) {
	var x engine.Indexing
	err := o.read(ctx, func(v *engine.View) error {
		x = v.Indexing()
		return nil
	})
	return x, err
}

func fields(declared []index.Field) []iot.Field {
	shown := make([]iot.Field, len(declared))
	for i, f := range declared {
		shown[i] = iot.Field{Name: new(f.Name), Type: text(f.Type)}
	}
	return shown
}

func (o *operations) describeIndex(ctx context.Context, _ restjson.Call, in *iot.DescribeIndexRequest) (*iot.DescribeIndexResponse, error) {
	x, err := o.indexing(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case in.IndexName == index.Name && x.Status != engine.IndexOff:
		return &iot.DescribeIndexResponse{IndexName: &in.IndexName, IndexStatus: text(x.Status), Schema: new(x.Thing.Schema())}, nil
	case in.IndexName == index.GroupsName && x.GroupStatus != engine.IndexOff:
		return &iot.DescribeIndexResponse{IndexName: &in.IndexName, IndexStatus: text(x.GroupStatus), Schema: new("THING_GROUPS")}, nil
	}
	return nil, protocol.Errorf(protocol.NotFound, "index %q does not exist or is off: switch it on with UpdateIndexingConfiguration", in.IndexName)
}

func (o *operations) listIndices(ctx context.Context, call restjson.Call, in *iot.ListIndicesRequest) (*iot.ListIndicesResponse, error) {
	p, err := page(call, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	x, err := o.indexing(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	if x.GroupStatus != engine.IndexOff {
		names = append(names, index.GroupsName)
	}
	if x.Status != engine.IndexOff {
		names = append(names, index.Name)
	}
	out := &iot.ListIndicesResponse{IndexNames: []string{}}
	for _, name := range names { // in order of name, as the cursor is
		switch {
		case name <= p.After:
		case len(out.IndexNames) < p.Max:
			out.IndexNames = append(out.IndexNames, name)
		default:
			out.NextToken = next(call, out.IndexNames[p.Max-1])
			return out, nil
		}
	}
	return out, nil
}
