package engine

import (
	"strings"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/identity"
)

// Certificate returns a registered certificate, or a NotFound. It is a look-up
// in a map, fit for a handshake.
func (v *View) Certificate(id identity.CertificateID) (identity.Certificate, error) {
	c, err := v.t.certificate(id)
	if err != nil {
		return identity.Certificate{}, err
	}
	return *c, nil
}

// Certificates lists certificates in the order of their registration.
func (v *View) Certificates(p Page) ([]identity.Certificate, string, error) {
	return list(&v.t.certificateOrder, p, v.certificateAt)
}

// CertificatesByCA lists the certificates that a CA signed, in the order of
// their registration. A CA that is not registered has none, or those of its time.
func (v *View) CertificatesByCA(ca identity.CertificateID, p Page) ([]identity.Certificate, string, error) {
	return list(some(v.t.issued[ca]), p, v.certificateAt)
}

func (v *View) certificateAt(id identity.CertificateID) (identity.Certificate, bool) {
	return *v.t.certificates[id], true
}

// Authority returns a registered CA certificate, or a NotFound.
func (v *View) Authority(id identity.CertificateID) (identity.Authority, error) {
	a, err := v.t.authority(id)
	if err != nil {
		return identity.Authority{}, err
	}
	return *a, nil
}

// Authorities lists CA certificates in the order of their registration.
func (v *View) Authorities(p Page) ([]identity.Authority, string, error) {
	return list(&v.t.authorityOrder, p, func(id identity.CertificateID) (identity.Authority, bool) {
		return *v.t.authorities[id], true
	})
}

// AuthoritiesOf returns the CA certificates whose subject has this DER, which
// are those that may have signed a certificate of that issuer.
func (v *View) AuthoritiesOf(subject []byte) []identity.Authority {
	var found []identity.Authority
	for _, o := range some(v.t.issuers[string(subject)]).items {
		found = append(found, *v.t.authorities[o.key])
	}
	return found
}

// Principal is a certificate of a thing, or a thing of a certificate.
type Principal struct {
	Thing       protocol.ThingName
	Certificate identity.CertificateID
	As          identity.PrincipalType
}

// PrincipalsOf lists the certificates of a registered thing in the order of
// their attachment; as, if not empty, keeps those of that type.
func (v *View) PrincipalsOf(n protocol.ThingName, as identity.PrincipalType, p Page) ([]Principal, string, error) {
	if _, err := v.t.registered(n); err != nil {
		return nil, "", err
	}
	return list(v.t.principals.of(n), p, func(id identity.CertificateID) (Principal, bool) { return v.principal(n, id, as) })
}

// ThingsOf lists the things of a registered certificate, given by its ARN,
// likewise.
func (v *View) ThingsOf(arn string, as identity.PrincipalType, p Page) ([]Principal, string, error) {
	c, err := v.t.registeredPrincipal(arn)
	if err != nil {
		return nil, "", err
	}
	return list(v.t.principals.with(c.ID), p, func(n protocol.ThingName) (Principal, bool) { return v.principal(n, c.ID, as) })
}

func (v *View) principal(n protocol.ThingName, id identity.CertificateID, as identity.PrincipalType) (Principal, bool) {
	is, _ := v.t.principals.get(n, id)
	return Principal{n, id, is}, as == "" || as == is
}

// Policy returns a policy, or a NotFound.
func (v *View) Policy(n identity.PolicyName) (identity.Policy, error) {
	p, err := v.t.policy(n)
	if err != nil {
		return identity.Policy{}, err
	}
	return *p, nil
}

// Policies lists policies in the order of their creation.
func (v *View) Policies(p Page) ([]identity.PolicyName, string, error) {
	return list(&v.t.policyOrder, p, self[identity.PolicyName])
}

// PoliciesOf lists the policies of a certificate or group, given by its ARN, in
// the order of their attachment. Recursive adds what it has by the groups above
// it: a group by those that it lies below, a certificate by those of its things.
func (v *View) PoliciesOf(arn string, recursive bool, p Page) ([]identity.PolicyName, string, error) {
	to, err := v.t.targetOf(arn)
	if err != nil {
		return nil, "", err
	}
	policies := v.t.attachments.with(to)
	if recursive {
		policies = v.t.policiesAbove(to)
	}
	return list(policies, p, self[identity.PolicyName])
}

// policiesAbove are the policies of a target and of the groups above it, each
// once, as of its first attachment.
func (s *state) policiesAbove(to target) *order[identity.PolicyName] {
	first := map[identity.PolicyName]time.Time{}
	for from := range s.above(to) {
		for _, o := range s.attachments.with(from).items {
			at := s.attachments.when(o.key, from)
			if was, seen := first[o.key]; !seen || at.Before(was) {
				first[o.key] = at
			}
		}
	}
	var policies order[identity.PolicyName]
	for n, at := range first {
		policies.insert(at, n)
	}
	return &policies
}

// above is a target and the groups above it.
func (s *state) above(to target) map[target]bool {
	kind, name, _ := strings.Cut(string(to), "/")
	groups := s.tree.Path(protocol.ThingGroupName(name))
	if kind == protocol.KindCertificate {
		groups = nil
		for _, o := range s.principals.with(identity.CertificateID(name)).items {
			groups = append(groups, s.tree.AllGroupsOf(o.key)...)
		}
	}
	all := map[target]bool{to: true}
	for _, g := range groups {
		all[resource{protocol.KindThingGroup, string(g)}.target()] = true
	}
	return all
}

// Target is what a policy is attached to: the kind and name of its ARN.
type Target struct{ Kind, Name string }

// Targets lists what a policy is attached to, in the order of attachment;
// kind, if not empty, keeps those of that kind.
func (v *View) Targets(n identity.PolicyName, kind string, p Page) ([]Target, string, error) {
	if _, err := v.t.policy(n); err != nil {
		return nil, "", err
	}
	return list(v.t.attachments.of(n), p, func(to target) (Target, bool) {
		is, name, _ := strings.Cut(string(to), "/")
		return Target{is, name}, kind == "" || kind == is
	})
}

func self[K any](k K) (K, bool) { return k, true }
