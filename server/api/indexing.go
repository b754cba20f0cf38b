package api

import (
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/index"
)

const (
	// groupIndex is the name of the index of thing groups.
	groupIndex = "AWS_ThingGroups"
	// maxSearch bounds the things of a page of SearchIndex (AWS IoT reference 1.4).
	maxSearch int64 = 100
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
		ThingGroupIndexingMode: string(groupMode(x.Group)), ManagedFields: fields(managedGroupFields()), CustomFields: fields(x.Group.CustomFields),
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

func groupMode(g engine.GroupIndexing) index.Mode {
	if g.Mode == "" {
		return index.Off
	}
	return g.Mode
}

// managedGroupFields are those of the index of thing groups (AWS IoT reference 3.1).
func managedGroupFields() []index.Field {
	return []index.Field{
		{Name: "thingGroupName", Type: index.String},
		{Name: "thingGroupId", Type: index.String},
		{Name: "description", Type: index.String},
		{Name: "parentGroupNames", Type: index.String},
		{Name: "version", Type: index.Number},
	}
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
	case in.IndexName == groupIndex && groupMode(x.Group) == index.On:
		return &iot.DescribeIndexResponse{IndexName: &in.IndexName, IndexStatus: text(engine.IndexActive), Schema: new("THING_GROUPS")}, nil
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
	if groupMode(x.Group) == index.On {
		names = append(names, groupIndex)
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

func (o *operations) searchIndex(ctx context.Context, call restjson.Call, in *iot.SearchIndexRequest) (*iot.SearchIndexResponse, error) {
	ask := engine.Question{Index: or(in.IndexName, ""), Query: in.QueryString, Version: or(in.QueryVersion, "")}
	if ask.Index == groupIndex {
		return nil, protocol.Errorf(protocol.InvalidRequest, "index %s cannot be searched by this server: list thing groups instead", groupIndex)
	}
	size := or(in.MaxResults, maxSearch)
	if size > maxSearch {
		return nil, protocol.Errorf(protocol.InvalidRequest, "maxResults %d is more than the %d things that a search answers at once", size, maxSearch)
	}
	p, err := page(call, in.NextToken, &size)
	if err != nil {
		return nil, err
	}
	found, cursor, err := engine.Search(ctx, o.engine, ask, p)
	if err != nil {
		return nil, err
	}
	out := &iot.SearchIndexResponse{Things: make([]iot.ThingDocument, len(found)), NextToken: next(call, cursor)}
	for i, f := range found {
		doc, err := f.Answer(f.Groups)
		if err != nil {
			return nil, err
		}
		out.Things[i] = thingDocument(doc)
	}
	return out, nil
}

func thingDocument(d index.ThingDocument) iot.ThingDocument {
	shown := iot.ThingDocument{
		ThingName: text(d.ThingName), ThingId: text(d.ThingID), ThingTypeName: text(d.ThingTypeName),
		ThingGroupNames: d.ThingGroupNames, Attributes: d.Attributes, Shadow: text(d.Shadow),
	}
	if c := d.Connectivity; c != nil {
		shown.Connectivity = &iot.ThingConnectivity{Connected: &c.Connected, DisconnectReason: text(c.DisconnectReason)}
		if c.Timestamp != 0 {
			shown.Connectivity.Timestamp = &c.Timestamp
		}
	}
	return shown
}
