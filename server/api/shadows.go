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

func (o *operations) deleteThingShadow(ctx context.Context, _ restjson.Call, in *iotdata.DeleteThingShadowRequest) (*iotdata.DeleteThingShadowResponse, error) {
	body, err := engine.Do(ctx, o.engine, engine.DeleteShadow{Thing: protocol.ThingName(in.ThingName), Name: or(in.ShadowName, "")})
	return &iotdata.DeleteThingShadowResponse{Payload: body}, err
}
