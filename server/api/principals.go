package api

import (
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/identity"
)

func (o *operations) attachThingPrincipal(ctx context.Context, _ restjson.Call, in *iot.AttachThingPrincipalRequest) (*iot.AttachThingPrincipalResponse, error) {
	_, err := engine.Do(ctx, o.engine, engine.AttachPrincipal{
		Thing: protocol.ThingName(in.ThingName), Principal: in.Principal, As: identity.PrincipalType(or(in.ThingPrincipalType, "")),
	})
	return nil, err
}

func (o *operations) detachThingPrincipal(ctx context.Context, _ restjson.Call, in *iot.DetachThingPrincipalRequest) (*iot.DetachThingPrincipalResponse, error) {
	_, err := engine.Do(ctx, o.engine, engine.DetachPrincipal{Thing: protocol.ThingName(in.ThingName), Principal: in.Principal})
	return nil, err
}

// principalsOf lists the principals of a thing for both versions of the operation.
func (o *operations) principalsOf(ctx context.Context, call restjson.Call, thing string, as, nextToken *string, maxResults *int64) (list []engine.Principal, token *string, err error) {
	p, err := page(call, nextToken, maxResults)
	if err != nil {
		return nil, nil, err
	}
	err = o.read(ctx, func(v *engine.View) error {
		var cursor string
		list, cursor, err = v.PrincipalsOf(protocol.ThingName(thing), identity.PrincipalType(or(as, "")), p)
		token = next(call, cursor)
		return err
	})
	return list, token, err
}

func (o *operations) listThingPrincipals(ctx context.Context, call restjson.Call, in *iot.ListThingPrincipalsRequest) (*iot.ListThingPrincipalsResponse, error) {
	list, token, err := o.principalsOf(ctx, call, in.ThingName, nil, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &iot.ListThingPrincipalsResponse{Principals: make([]string, len(list)), NextToken: token}
	for i, p := range list {
		out.Principals[i] = *certificateARN(call, p.Certificate)
	}
	return out, nil
}

func (o *operations) listThingPrincipalsV2(ctx context.Context, call restjson.Call, in *iot.ListThingPrincipalsV2Request) (*iot.ListThingPrincipalsV2Response, error) {
	list, token, err := o.principalsOf(ctx, call, in.ThingName, in.ThingPrincipalType, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &iot.ListThingPrincipalsV2Response{ThingPrincipalObjects: make([]iot.ThingPrincipalObject, len(list)), NextToken: token}
	for i, p := range list {
		out.ThingPrincipalObjects[i] = iot.ThingPrincipalObject{Principal: *certificateARN(call, p.Certificate), ThingPrincipalType: text(p.As)}
	}
	return out, nil
}

// thingsOf lists the things of a principal for both versions of the operation.
func (o *operations) thingsOf(ctx context.Context, call restjson.Call, principal string, as, nextToken *string, maxResults *int64) (list []engine.Principal, token *string, err error) {
	p, err := page(call, nextToken, maxResults)
	if err != nil {
		return nil, nil, err
	}
	err = o.read(ctx, func(v *engine.View) error {
		var cursor string
		list, cursor, err = v.ThingsOf(principal, identity.PrincipalType(or(as, "")), p)
		token = next(call, cursor)
		return err
	})
	return list, token, err
}

func (o *operations) listPrincipalThings(ctx context.Context, call restjson.Call, in *iot.ListPrincipalThingsRequest) (*iot.ListPrincipalThingsResponse, error) {
	list, token, err := o.thingsOf(ctx, call, in.Principal, nil, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &iot.ListPrincipalThingsResponse{Things: make([]string, len(list)), NextToken: token}
	for i, p := range list {
		out.Things[i] = string(p.Thing)
	}
	return out, nil
}

func (o *operations) listPrincipalThingsV2(ctx context.Context, call restjson.Call, in *iot.ListPrincipalThingsV2Request) (*iot.ListPrincipalThingsV2Response, error) {
	list, token, err := o.thingsOf(ctx, call, in.Principal, in.ThingPrincipalType, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &iot.ListPrincipalThingsV2Response{PrincipalThingObjects: make([]iot.PrincipalThingObject, len(list)), NextToken: token}
	for i, p := range list {
		out.PrincipalThingObjects[i] = iot.PrincipalThingObject{ThingName: string(p.Thing), ThingPrincipalType: text(p.As)}
	}
	return out, nil
}
