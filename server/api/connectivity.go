package api

import (
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/presence"
)

// Reasons that are none: of a client that is connected, and of one that never
// was (AWS IoT reference 3.7).
const (
	reasonNone    = "NONE"
	reasonUnknown = "UNKNOWN"
)

// getThingConnectivityData answers what the engine knows of the client, not
// what the index holds of it. Socket information is not kept: asking for it
// changes nothing.
func (o *operations) getThingConnectivityData(ctx context.Context, _ restjson.Call, in *iot.GetThingConnectivityDataRequest) (*iot.GetThingConnectivityDataResponse, error) {
	var p presence.Presence
	err := o.read(ctx, func(v *engine.View) (err error) {
		if p, err = v.Presence(protocol.ThingName(in.ThingName)); err != nil {
			return err
		}
		if v.Indexing().Thing.ThingConnectivityIndexingMode != index.Status {
			return protocol.Errorf(protocol.IndexNotReady, "connectivity indexing is off: switch it on with UpdateIndexingConfiguration")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	reason := string(p.Reason)
	switch {
	case p.Connected:
		reason = reasonNone
	case reason == "":
		reason = reasonUnknown
	}
	return &iot.GetThingConnectivityDataResponse{
		ThingName: &in.ThingName, Connected: &p.Connected, Timestamp: awsmodel.TimeOf(p.At), DisconnectReason: &reason,
	}, nil
}
