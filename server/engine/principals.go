package engine

import (
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/identity"
)

// principalOf reads the ARN of a certificate, the only kind of principal here;
// it need not be registered.
func (s *state) principalOf(arn string) (identity.CertificateID, error) {
	r, err := s.resourceOf(arn)
	if err != nil {
		return "", err
	}
	if r.kind != protocol.KindCertificate {
		return "", protocol.Errorf(protocol.InvalidRequest, "principal %q is not a certificate", arn)
	}
	return identity.CertificateID(r.name), nil
}

// registeredPrincipal reads the ARN of a registered certificate.
func (s *state) registeredPrincipal(arn string) (*identity.Certificate, error) {
	id, err := s.principalOf(arn)
	if err != nil {
		return nil, err
	}
	return s.certificate(id)
}

// AttachPrincipal gives a thing a certificate (AWS IoT reference 2.5). Attaching
// it again as it is does nothing.
type AttachPrincipal struct {
	Thing     protocol.ThingName
	Principal string                 // ARN of a certificate
	As        identity.PrincipalType // empty is [identity.Shared]
}

func (in AttachPrincipal) step(t *tx) (struct{}, error) {
	if in.As == "" {
		in.As = identity.Shared
	}
	if _, err := t.registered(in.Thing); err != nil {
		return struct{}{}, err
	}
	c, err := t.registeredPrincipal(in.Principal)
	if err != nil {
		return struct{}{}, err
	}
	switch as, attached := t.principals.get(in.Thing, c.ID); {
	case attached && as == in.As:
		return struct{}{}, nil
	case attached:
		return struct{}{}, protocol.Errorf(protocol.InvalidRequest, "certificate %q is attached to thing %q as %s: detach it before you attach it as %s", c.ID, in.Thing, as, in.As)
	}
	others := t.principals.with(c.ID)
	exclusive := false
	if others.len() == 1 {
		as, _ := t.principals.get(others.items[0].key, c.ID)
		exclusive = as == identity.Exclusive
	}
	if err := identity.CheckAttach(c.ID, in.Thing, in.As, others.len(), exclusive); err != nil {
		return struct{}{}, err
	}
	j := joined[identity.PrincipalType]{At: t.now, As: in.As}
	t.principals.join(in.Thing, c.ID, j)
	t.putThing(in.Thing, kindPrincipal, key(string(in.Thing), string(c.ID)), j)
	return struct{}{}, nil
}

// DetachPrincipal takes a certificate off a thing.
type DetachPrincipal struct {
	Thing     protocol.ThingName
	Principal string // ARN of a certificate
}

func (in DetachPrincipal) step(t *tx) (struct{}, error) {
	if _, err := t.registered(in.Thing); err != nil {
		return struct{}{}, err
	}
	c, err := t.registeredPrincipal(in.Principal)
	if err != nil {
		return struct{}{}, err
	}
	if !t.principals.part(in.Thing, c.ID) {
		return struct{}{}, protocol.Errorf(protocol.NotFound, "certificate %q is not attached to thing %q", c.ID, in.Thing)
	}
	t.delThing(in.Thing, kindPrincipal, key(string(in.Thing), string(c.ID)))
	return struct{}{}, nil
}

// checkNoPrincipals refuses the deletion of a thing that has certificates.
func (s *state) checkNoPrincipals(n protocol.ThingName) error {
	if s.principals.of(n).len() > 0 {
		return protocol.Errorf(protocol.InvalidRequest, "cannot delete thing %q: it is still attached to one or more principals; detach them first", n)
	}
	return nil
}
