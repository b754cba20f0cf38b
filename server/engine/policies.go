package engine

import (
	"slices"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/identity"
	"github.com/muster-iot/muster/server/registry"
)

// policy returns a policy, or a NotFound.
func (s *state) policy(n identity.PolicyName) (*identity.Policy, error) {
	if p := s.policies[n]; p != nil {
		return p, nil
	}
	return nil, protocol.Errorf(protocol.NotFound, "policy %q does not exist", n)
}

// CreatePolicy makes a policy of one version (AWS IoT reference 2.5). A name
// exists once, whatever the documents.
type CreatePolicy struct {
	Name     identity.PolicyName
	Document identity.Document
	Tags     registry.Tags
}

func (in CreatePolicy) step(t *tx) (identity.Policy, error) {
	if old := t.policies[in.Name]; old != nil {
		err := protocol.Errorf(protocol.AlreadyExists, "policy %q exists already", in.Name)
		err.ResourceID, err.ResourceARN = string(in.Name), t.arn(protocol.KindPolicy, string(in.Name))
		return identity.Policy{}, err
	}
	if err := in.Tags.Check(); err != nil {
		return identity.Policy{}, err
	}
	p, err := identity.NewPolicy(in.Name, in.Document, t.cfg.NewID(), t.now)
	if err != nil {
		return identity.Policy{}, err
	}
	t.filePolicy(p)
	t.putPolicy(p)
	t.tag(protocol.KindPolicy, string(in.Name), in.Tags)
	return p, nil
}

func (t *tx) putPolicy(p identity.Policy) {
	t.put(protocol.GlobalShard, kindPolicy, string(p.Name), p)
}

// changePolicy replaces a policy by what change makes of it.
func (t *tx) changePolicy(n identity.PolicyName, change func(identity.Policy) (identity.Policy, error)) (identity.Policy, error) {
	p, err := t.policy(n)
	if err != nil {
		return identity.Policy{}, err
	}
	next, err := change(*p)
	if err != nil {
		return identity.Policy{}, err
	}
	*p = next
	t.putPolicy(next)
	return next, nil
}

// CreatePolicyVersion adds a version to a policy; Default puts it in force.
type CreatePolicyVersion struct {
	Name     identity.PolicyName
	Document identity.Document
	Default  bool
}

func (in CreatePolicyVersion) step(t *tx) (v identity.PolicyVersion, err error) {
	_, err = t.changePolicy(in.Name, func(p identity.Policy) (_ identity.Policy, err error) {
		p, v, err = p.AddVersion(in.Document, in.Default, t.now)
		return p, err
	})
	return v, err
}

// DeletePolicyVersion removes a version of a policy that is not in force.
type DeletePolicyVersion struct {
	Name identity.PolicyName
	ID   string
}

func (in DeletePolicyVersion) step(t *tx) (identity.Policy, error) {
	return t.changePolicy(in.Name, func(p identity.Policy) (identity.Policy, error) { return p.WithoutVersion(in.ID, t.now) })
}

// SetDefaultPolicyVersion puts a version of a policy in force, wherever it is
// attached.
type SetDefaultPolicyVersion struct {
	Name identity.PolicyName
	ID   string
}

func (in SetDefaultPolicyVersion) step(t *tx) (identity.Policy, error) {
	return t.changePolicy(in.Name, func(p identity.Policy) (identity.Policy, error) { return p.WithDefault(in.ID, t.now) })
}

// DeletePolicy removes a policy that is attached to nothing and has no version
// but the one in force.
type DeletePolicy struct{ Name identity.PolicyName }

func (in DeletePolicy) step(t *tx) (struct{}, error) {
	p, err := t.policy(in.Name)
	if err != nil {
		return struct{}{}, err
	}
	if err := p.CheckDelete(t.attachments.of(in.Name).len()); err != nil {
		return struct{}{}, err
	}
	delete(t.policies, in.Name)
	t.policyOrder.remove(p.CreatedAt, in.Name)
	t.del(protocol.GlobalShard, kindPolicy, string(in.Name))
	t.untag(protocol.KindPolicy, string(in.Name))
	return struct{}{}, nil
}

// targetOf reads the ARN of what a policy may be attached to, a certificate or
// a static thing group, which must exist.
func (s *state) targetOf(arn string) (target, error) {
	r, err := s.resourceOf(arn)
	if err != nil {
		return "", err
	}
	switch r.kind {
	case protocol.KindCertificate:
		_, err = s.certificate(identity.CertificateID(r.name))
	case protocol.KindThingGroup:
		err = s.checkPolicyGroup(protocol.ThingGroupName(r.name))
	default:
		err = protocol.Errorf(protocol.InvalidRequest, "a policy cannot be attached to %q: want a certificate or a thing group", arn)
	}
	return r.target(), err
}

// checkPolicyGroup refuses a dynamic group: a device could write itself into
// it and so take rights that nobody gave it (AWS IoT reference 4.3).
func (s *state) checkPolicyGroup(n protocol.ThingGroupName) error {
	switch g := s.groups[n]; {
	case g == nil:
		return groupNotFound(n)
	case g.Dynamic():
		return protocol.Errorf(protocol.InvalidRequest, "thing group %q is dynamic: policies can be attached to static thing groups only", n)
	}
	return nil
}

// AttachPolicy attaches a policy to a certificate or a static thing group.
// Attaching it again does nothing.
type AttachPolicy struct {
	Name   identity.PolicyName
	Target string // ARN
}

func (in AttachPolicy) step(t *tx) (struct{}, error) {
	if _, err := t.policy(in.Name); err != nil {
		return struct{}{}, err
	}
	to, err := t.targetOf(in.Target)
	if err != nil {
		return struct{}{}, err
	}
	if _, attached := t.attachments.get(in.Name, to); attached {
		return struct{}{}, nil
	}
	if n := t.attachments.with(to).len(); n >= identity.MaxPolicies {
		return struct{}{}, protocol.Errorf(protocol.LimitExceeded, "%q has %d policies already, which is the limit", in.Target, n)
	}
	j := joined[struct{}]{At: t.now}
	t.attachments.join(in.Name, to, j)
	t.put(protocol.GlobalShard, kindAttachment, key(string(in.Name), string(to)), j)
	return struct{}{}, nil
}

// DetachPolicy takes a policy off a target. A policy that does not exist or is
// not attached does no harm, and a target that does not exist is an
// InvalidRequest; Strict, as the older DetachPrincipalPolicy is, makes each a NotFound.
type DetachPolicy struct {
	Name   identity.PolicyName
	Target string // ARN
	Strict bool
}

func (in DetachPolicy) step(t *tx) (struct{}, error) {
	if _, err := t.policy(in.Name); err != nil && in.Strict {
		return struct{}{}, err
	}
	from, err := t.targetOf(in.Target)
	if err != nil && !in.Strict {
		err = protocol.Errorf(protocol.InvalidRequest, "cannot detach policy %q: %v", in.Name, err)
	}
	if err != nil {
		return struct{}{}, err
	}
	if _, attached := t.attachments.get(in.Name, from); !attached && in.Strict {
		return struct{}{}, protocol.Errorf(protocol.NotFound, "policy %q is not attached to %q", in.Name, in.Target)
	}
	t.detach(in.Name, from)
	return struct{}{}, nil
}

func (t *tx) detach(n identity.PolicyName, from target) {
	if t.attachments.part(n, from) {
		t.del(protocol.GlobalShard, kindAttachment, key(string(n), string(from)))
	}
}

// detachAll takes every policy off a target that is deleted.
func (t *tx) detachAll(from target) {
	for _, o := range slices.Clone(t.attachments.with(from).items) {
		t.detach(o.key, from)
	}
}
