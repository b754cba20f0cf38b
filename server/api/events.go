package api

import (
	"context"

	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
)

func (o *operations) updateEventConfigurations(ctx context.Context, _ restjson.Call, in *iot.UpdateEventConfigurationsRequest) (*iot.UpdateEventConfigurationsResponse, error) {
	enabled := map[event.Type]bool{}
	for name, c := range in.EventConfigurations {
		if c.Enabled != nil {
			enabled[event.Type(name)] = *c.Enabled
		}
	}
	_, err := engine.Do(ctx, o.engine, engine.UpdateEvents{Enabled: enabled})
	return nil, err
}

func (o *operations) describeEventConfigurations(ctx context.Context, _ restjson.Call, _ *iot.DescribeEventConfigurationsRequest) (*iot.DescribeEventConfigurationsResponse, error) {
	var c engine.EventConfig
	err := o.read(ctx, func(v *engine.View) error {
		c = v.Events()
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &iot.DescribeEventConfigurationsResponse{
		EventConfigurations: map[string]iot.Configuration{},
		CreationDate:        awsmodel.TimeOf(c.CreatedAt), LastModifiedDate: awsmodel.TimeOf(c.LastModifiedAt),
	}
	for name, on := range c.Enabled {
		out.EventConfigurations[string(name)] = iot.Configuration{Enabled: new(on)}
	}
	return out, nil
}
