package api

import (
	"context"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/identity"
)

func (o *operations) attachPolicy(ctx context.Context, _ restjson.Call, in *iot.AttachPolicyRequest) (*restjson.Nothing, error) {
	_, err := engine.Do(ctx, o.engine, engine.AttachPolicy{Name: identity.PolicyName(in.PolicyName), Target: in.Target})
	return nil, err
}

func (o *operations) detachPolicy(ctx context.Context, _ restjson.Call, in *iot.DetachPolicyRequest) (*restjson.Nothing, error) {
	_, err := engine.Do(ctx, o.engine, engine.DetachPolicy{Name: identity.PolicyName(in.PolicyName), Target: in.Target})
	return nil, err
}

func (o *operations) listAttachedPolicies(ctx context.Context, call restjson.Call, in *iot.ListAttachedPoliciesRequest) (*iot.ListAttachedPoliciesResponse, error) {
	p, err := markedPage(call, in.Marker, in.PageSize, nil)
	if err != nil {
		return nil, err
	}
	out := &iot.ListAttachedPoliciesResponse{}
	out.Policies, out.NextMarker, err = o.policyPage(ctx, call, func(v *engine.View) ([]identity.PolicyName, string, error) {
		return v.PoliciesOf(in.Target, or(in.Recursive, false), p)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (o *operations) listTargetsForPolicy(ctx context.Context, call restjson.Call, in *iot.ListTargetsForPolicyRequest) (*iot.ListTargetsForPolicyResponse, error) {
	p, err := markedPage(call, in.Marker, in.PageSize, nil)
	if err != nil {
		return nil, err
	}
	out := &iot.ListTargetsForPolicyResponse{}
	out.Targets, out.NextMarker, err = o.targets(ctx, call, in.PolicyName, "", p)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// targets lists the ARNs that a policy is attached to.
func (o *operations) targets(ctx context.Context, call restjson.Call, policy, kind string, p engine.Page) (arns []string, marker *string, err error) {
	arns = []string{}
	err = o.read(ctx, func(v *engine.View) error {
		targets, cursor, err := v.Targets(identity.PolicyName(policy), kind, p)
		for _, to := range targets {
			arns = append(arns, call.ARN(to.Kind, to.Name))
		}
		marker = next(call, cursor)
		return err
	})
	return arns, marker, err
}

// The older operations know certificates only, which they call principals.

// onlyPrincipal refuses what is no certificate.
func onlyPrincipal(arn string) error {
	a, err := protocol.ParseARN(arn)
	if err == nil && a.Kind != protocol.KindCertificate {
		return protocol.Errorf(protocol.InvalidRequest, "principal %q is not a certificate", arn)
	}
	return err
}

func (o *operations) attachPrincipalPolicy(ctx context.Context, _ restjson.Call, in *iot.AttachPrincipalPolicyRequest) (*restjson.Nothing, error) {
	if err := onlyPrincipal(in.Principal); err != nil {
		return nil, err
	}
	_, err := engine.Do(ctx, o.engine, engine.AttachPolicy{Name: identity.PolicyName(in.PolicyName), Target: in.Principal})
	return nil, err
}

func (o *operations) detachPrincipalPolicy(ctx context.Context, _ restjson.Call, in *iot.DetachPrincipalPolicyRequest) (*restjson.Nothing, error) {
	if err := onlyPrincipal(in.Principal); err != nil {
		return nil, err
	}
	_, err := engine.Do(ctx, o.engine, engine.DetachPolicy{Name: identity.PolicyName(in.PolicyName), Target: in.Principal, Strict: true})
	return nil, err
}

func (o *operations) listPrincipalPolicies(ctx context.Context, call restjson.Call, in *iot.ListPrincipalPoliciesRequest) (*iot.ListPrincipalPoliciesResponse, error) {
	if err := onlyPrincipal(in.Principal); err != nil {
		return nil, err
	}
	p, err := markedPage(call, in.Marker, in.PageSize, in.AscendingOrder)
	if err != nil {
		return nil, err
	}
	out := &iot.ListPrincipalPoliciesResponse{}
	out.Policies, out.NextMarker, err = o.policyPage(ctx, call, func(v *engine.View) ([]identity.PolicyName, string, error) {
		return v.PoliciesOf(in.Principal, false, p)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (o *operations) listPolicyPrincipals(ctx context.Context, call restjson.Call, in *iot.ListPolicyPrincipalsRequest) (*iot.ListPolicyPrincipalsResponse, error) {
	p, err := markedPage(call, in.Marker, in.PageSize, in.AscendingOrder)
	if err != nil {
		return nil, err
	}
	out := &iot.ListPolicyPrincipalsResponse{}
	out.Principals, out.NextMarker, err = o.targets(ctx, call, in.PolicyName, protocol.KindCertificate, p)
	if err != nil {
		return nil, err
	}
	return out, nil
}
