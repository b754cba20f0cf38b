package api

import (
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/api/awsmodel/iotdata"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
)

func (o *operations) getThingShadow(ctx context.Context, _ restjson.Call, in *iotdata.GetThingShadowRequest) (*iotdata.GetThingShadowResponse, error) {
	body, err := engine.Do(ctx, o.engine, engine.GetShadow{Thing: protocol.ThingName(in.ThingName), Name: or(in.ShadowName, "")})
	return &iotdata.GetThingShadowResponse{Payload: body}, err
}

func (o *operations) updateThingShadow(ctx context.Context, _ restjson.Call, in *iotdata.UpdateThingShadowRequest) (*iotdata.UpdateThingShadowResponse, error) {
	update, err := shadow.ParseUpdate(in.Payload)
	if err != nil {
		return nil, err
	}
	body, err := engine.Do(ctx, o.engine, engine.UpdateShadow{
		Thing: protocol.ThingName(in.ThingName), Name: or(in.ShadowName, ""), Update: update,
	})
	return &iotdata.UpdateThingShadowResponse{Payload: body}, err
}

// listNamedShadowsForThing lists them by name; a thing without any, and one
// that is not registered, has none.
func (o *operations) listNamedShadowsForThing(ctx context.Context, call restjson.Call, in *iotdata.ListNamedShadowsForThingRequest) (*iotdata.ListNamedShadowsForThingResponse, error) {
	p, err := page(call, in.NextToken, in.PageSize)
	if err != nil {
		return nil, err
	}
	out := new(iotdata.ListNamedShadowsForThingResponse)
	err = o.read(ctx, func(v *engine.View) error {
		names, cursor := v.NamedShadows(protocol.ThingName(in.ThingName), p)
		out.Results, out.NextToken, out.Timestamp = names, next(call, cursor), new(v.Now().Unix())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (o *operations) deleteThingShadow(ctx context.Context, _ restjson.Call, in *iotdata.DeleteThingShadowRequest) (*iotdata.DeleteThingShadowResponse, error) {
	body, err := engine.Do(ctx, o.engine, engine.DeleteShadow{Thing: protocol.ThingName(in.ThingName), Name: or(in.ShadowName, "")})
	return &iotdata.DeleteThingShadowResponse{Payload: body}, err
}
