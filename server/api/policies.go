package api

import (
	"context"
	"strconv"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/awsmodel/iot"
	"github.com/muster-iot/muster/server/api/restjson"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/identity"
)

func (o *operations) createPolicy(ctx context.Context, call restjson.Call, in *iot.CreatePolicyRequest) (*iot.CreatePolicyResponse, error) {
	given, err := tags(in.Tags)
	if err != nil {
		return nil, err
	}
	d, err := identity.ParsePolicy(in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	p, err := engine.Do(ctx, o.engine, engine.CreatePolicy{Name: identity.PolicyName(in.PolicyName), Document: d, Tags: given})
	if err != nil {
		return nil, err
	}
	return &iot.CreatePolicyResponse{
		PolicyName: &in.PolicyName, PolicyArn: policyARN(call, p.Name), PolicyDocument: &d.Text, PolicyVersionId: versionID(p.InForce),
	}, nil
}

func policyARN(call restjson.Call, n identity.PolicyName) *string {
	return new(call.ARN(protocol.KindPolicy, string(n)))
}

func versionID(id int64) *string { return new(strconv.FormatInt(id, 10)) }

// policy reads one policy.
func (o *operations) policy(ctx context.Context, name string) (p identity.Policy, err error) {
	err = o.read(ctx, func(v *engine.View) (err error) {
		p, err = v.Policy(identity.PolicyName(name))
		return err
	})
	return p, err
}

func (o *operations) getPolicy(ctx context.Context, call restjson.Call, in *iot.GetPolicyRequest) (*iot.GetPolicyResponse, error) {
	p, err := o.policy(ctx, in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &iot.GetPolicyResponse{
		PolicyName: &in.PolicyName, PolicyArn: policyARN(call, p.Name), PolicyDocument: new(p.Current().Document.Text), DefaultVersionId: versionID(p.InForce),
		CreationDate: awsmodel.TimeOf(p.CreatedAt), LastModifiedDate: awsmodel.TimeOf(p.ModifiedAt), GenerationId: &p.GenerationID,
	}, nil
}

func (o *operations) deletePolicy(ctx context.Context, _ restjson.Call, in *iot.DeletePolicyRequest) (*restjson.Nothing, error) {
	_, err := engine.Do(ctx, o.engine, engine.DeletePolicy{Name: identity.PolicyName(in.PolicyName)})
	return nil, err
}

func (o *operations) createPolicyVersion(ctx context.Context, call restjson.Call, in *iot.CreatePolicyVersionRequest) (*iot.CreatePolicyVersionResponse, error) {
	d, err := identity.ParsePolicy(in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	asDefault := or(in.SetAsDefault, false)
	v, err := engine.Do(ctx, o.engine, engine.CreatePolicyVersion{Name: identity.PolicyName(in.PolicyName), Document: d, Default: asDefault})
	if err != nil {
		return nil, err
	}
	return &iot.CreatePolicyVersionResponse{
		PolicyArn: policyARN(call, identity.PolicyName(in.PolicyName)), PolicyDocument: &d.Text, PolicyVersionId: versionID(v.ID), IsDefaultVersion: &asDefault,
	}, nil
}

func (o *operations) getPolicyVersion(ctx context.Context, call restjson.Call, in *iot.GetPolicyVersionRequest) (*iot.GetPolicyVersionResponse, error) {
	p, err := o.policy(ctx, in.PolicyName)
	if err != nil {
		return nil, err
	}
	v, err := p.Version(in.PolicyVersionId)
	if err != nil {
		return nil, err
	}
	return &iot.GetPolicyVersionResponse{
		PolicyArn: policyARN(call, p.Name), PolicyName: &in.PolicyName, PolicyDocument: &v.Document.Text, PolicyVersionId: versionID(v.ID),
		IsDefaultVersion: new(v.ID == p.InForce), CreationDate: awsmodel.TimeOf(v.CreatedAt), LastModifiedDate: awsmodel.TimeOf(v.CreatedAt),
		GenerationId: &p.GenerationID,
	}, nil
}

func (o *operations) listPolicyVersions(ctx context.Context, _ restjson.Call, in *iot.ListPolicyVersionsRequest) (*iot.ListPolicyVersionsResponse, error) {
	p, err := o.policy(ctx, in.PolicyName)
	if err != nil {
		return nil, err
	}
	out := &iot.ListPolicyVersionsResponse{PolicyVersions: make([]iot.PolicyVersion, len(p.Versions))}
	for i, v := range p.Versions {
		out.PolicyVersions[i] = iot.PolicyVersion{VersionId: versionID(v.ID), IsDefaultVersion: new(v.ID == p.InForce), CreateDate: awsmodel.TimeOf(v.CreatedAt)}
	}
	return out, nil
}

func (o *operations) deletePolicyVersion(ctx context.Context, _ restjson.Call, in *iot.DeletePolicyVersionRequest) (*restjson.Nothing, error) {
	_, err := engine.Do(ctx, o.engine, engine.DeletePolicyVersion{Name: identity.PolicyName(in.PolicyName), ID: in.PolicyVersionId})
	return nil, err
}

func (o *operations) setDefaultPolicyVersion(ctx context.Context, _ restjson.Call, in *iot.SetDefaultPolicyVersionRequest) (*restjson.Nothing, error) {
	_, err := engine.Do(ctx, o.engine, engine.SetDefaultPolicyVersion{Name: identity.PolicyName(in.PolicyName), ID: in.PolicyVersionId})
	return nil, err
}

func (o *operations) listPolicies(ctx context.Context, call restjson.Call, in *iot.ListPoliciesRequest) (*iot.ListPoliciesResponse, error) {
	p, err := markedPage(call, in.Marker, in.PageSize, in.AscendingOrder)
	if err != nil {
		return nil, err
	}
	out := &iot.ListPoliciesResponse{}
	out.Policies, out.NextMarker, err = o.policyPage(ctx, call, func(v *engine.View) ([]identity.PolicyName, string, error) { return v.Policies(p) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// policyPage shows a page of policies.
func (o *operations) policyPage(ctx context.Context, call restjson.Call, list func(v *engine.View) ([]identity.PolicyName, string, error)) (shown []iot.Policy, marker *string, err error) {
	shown = []iot.Policy{}
	err = o.read(ctx, func(v *engine.View) error {
		names, cursor, err := list(v)
		for _, n := range names {
			shown = append(shown, iot.Policy{PolicyName: text(n), PolicyArn: policyARN(call, n)})
		}
		marker = next(call, cursor)
		return err
	})
	return shown, marker, err
}
