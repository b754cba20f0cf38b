package engine

import (
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/identity"
	"github.com/muster-iot/muster/server/store"
)

// The rows of certificates and policies. They stand in the global shard, but
// for the principals of a thing, which stand in the thing's.
const (
	kindCertificate store.Kind = "certificate" // certificate id
	kindAuthority   store.Kind = "cacert"      // certificate id
	kindPolicy      store.Kind = "policy"      // policy name
	kindPrincipal   store.Kind = "principal"   // T \0 certificate id
	kindAttachment  store.Kind = "attachment"  // policy name \0 target
	// kindRegistration is the code that a CA's owner signs, under the empty key.
	kindRegistration store.Kind = "registration"
)

// target is what a policy is attached to: the kind and name of an ARN.
type target string

func (r resource) target() target { return target(r.kind + "/" + r.name) }

// identities are the certificates, policies and attachments of the fleet.
type identities struct {
	certificates     map[identity.CertificateID]*identity.Certificate
	certificateOrder order[identity.CertificateID]
	authorities      map[identity.CertificateID]*identity.Authority
	authorityOrder   order[identity.CertificateID]
	// issuers finds the CA certificates of a subject.
	issuers map[string]*order[identity.CertificateID]
	// issued lists the certificates of a CA.
	issued map[identity.CertificateID]*order[identity.CertificateID]

	policies    map[identity.PolicyName]*identity.Policy
	policyOrder order[identity.PolicyName]

	principals  links[protocol.ThingName, identity.CertificateID, identity.PrincipalType]
	attachments links[identity.PolicyName, target, struct{}]

	registrationCode string
}

func newIdentities() identities {
	return identities{
		certificates: map[identity.CertificateID]*identity.Certificate{},
		authorities:  map[identity.CertificateID]*identity.Authority{},
		issuers:      map[string]*order[identity.CertificateID]{},
		issued:       map[identity.CertificateID]*order[identity.CertificateID]{},
		policies:     map[identity.PolicyName]*identity.Policy{},
		principals:   newLinks[protocol.ThingName, identity.CertificateID, identity.PrincipalType](),
		attachments:  newLinks[identity.PolicyName, target, struct{}](),
	}
}

// fileCertificate files a certificate that is not there.
func (s *identities) fileCertificate(c identity.Certificate) {
	s.certificates[c.ID] = &c
	s.certificateOrder.insert(c.CreatedAt, c.ID)
	if c.CA != "" {
		orderOf(s.issued, c.CA).insert(c.CreatedAt, c.ID)
	}
}

// fileAuthority files a CA certificate that is not there.
func (s *identities) fileAuthority(a identity.Authority) {
	s.authorities[a.ID] = &a
	s.authorityOrder.insert(a.CreatedAt, a.ID)
	orderOf(s.issuers, string(a.Subject)).insert(a.CreatedAt, a.ID)
}

// filePolicy files a policy that is not there.
func (s *identities) filePolicy(p identity.Policy) {
	s.policies[p.Name] = &p
	s.policyOrder.insert(p.CreatedAt, p.Name)
}

// identityRow files one row; known is false when it is of another kind.
func (l *loader) identityRow(r store.Row) (known bool, err error) {
	switch r.Kind {
	case kindCertificate:
		return true, decode(r, l.fileCertificate)
	case kindAuthority:
		return true, decode(r, l.fileAuthority)
	case kindPolicy:
		return true, decode(r, l.filePolicy)
	case kindRegistration:
		return true, decode(r, func(code string) { l.registrationCode = code })
	case kindPrincipal:
		return true, decodePair(r, func(thing, certificate string, j joined[identity.PrincipalType]) {
			l.principals.join(protocol.ThingName(thing), identity.CertificateID(certificate), j)
		})
	case kindAttachment:
		return true, decodePair(r, func(policy, to string, j joined[struct{}]) {
			l.attachments.join(identity.PolicyName(policy), target(to), j)
		})
	}
	return false, nil
}
