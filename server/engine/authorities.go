package engine

import (
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/identity"
	"github.com/muster-iot/muster/server/registry"
)

// authority returns a registered CA certificate, or a NotFound.
func (s *state) authority(id identity.CertificateID) (*identity.Authority, error) {
	if a := s.authorities[id]; a != nil {
		return a, nil
	}
	return nil, protocol.Errorf(protocol.NotFound, "CA certificate %q does not exist", id)
}

// RegistrationCode returns the code that the owner of a CA signs to prove that
// it is his. Fresh becomes the code when there is none yet; it stays for life.
type RegistrationCode struct{ Fresh string }

func (in RegistrationCode) step(t *tx) (string, error) {
	if t.registrationCode == "" {
		t.registrationCode = in.Fresh
		t.put(protocol.GlobalShard, kindRegistration, "", in.Fresh)
	}
	return t.registrationCode, nil
}

// authoritiesOfSubject bounds the CA certificates of one subject.
const authoritiesOfSubject = 10

// RegisterAuthority files a CA certificate. Who hands it in has checked it and
// the signature of its verification certificate; that one's common name must be
// the registration code, unless the mode asks for no proof.
type RegisterAuthority struct {
	identity.Authority
	CommonName string
	Tags       registry.Tags
}

func (in RegisterAuthority) step(t *tx) (identity.Authority, error) {
	if in.Mode != identity.SNIOnly && (t.registrationCode == "" || in.CommonName != t.registrationCode) {
		return identity.Authority{}, protocol.Errorf(protocol.RegistrationCodeValidation,
			"the common name %q of the verification certificate is not the registration code: ask for it (GetRegistrationCode) and sign it with the CA's key", in.CommonName)
	}
	if old := t.authorities[in.ID]; old != nil {
		err := protocol.Errorf(protocol.AlreadyExists, "CA certificate %q is registered already", in.ID)
		err.ResourceID, err.ResourceARN = string(in.ID), t.arn(protocol.KindCACertificate, string(in.ID))
		return identity.Authority{}, err
	}
	if n := some(t.issuers[string(in.Subject)]).len(); n >= authoritiesOfSubject {
		return identity.Authority{}, protocol.Errorf(protocol.LimitExceeded, "there are %d CA certificates with this subject already, which is the limit", n)
	}
	if err := in.Tags.Check(); err != nil {
		return identity.Authority{}, err
	}
	a := in.Registered(t.cfg.NewID(), t.now)
	t.fileAuthority(a)
	t.putAuthority(a)
	t.tag(protocol.KindCACertificate, string(a.ID), in.Tags)
	return a, nil
}

func (t *tx) putAuthority(a identity.Authority) {
	t.put(protocol.GlobalShard, kindAuthority, string(a.ID), a)
}

// UpdateAuthority changes a CA certificate; nil members stay as they are.
type UpdateAuthority struct {
	ID           identity.CertificateID
	Status       *identity.AuthorityStatus
	AutoRegister *bool
}

func (in UpdateAuthority) step(t *tx) (identity.Authority, error) {
	a, err := t.authority(in.ID)
	if err != nil {
		return identity.Authority{}, err
	}
	next := a.Update(in.Status, in.AutoRegister, t.now)
	if next.Version != a.Version {
		*a = next
		t.putAuthority(next)
	}
	return next, nil
}

// DeleteAuthority forgets a CA certificate that is not active. The
// certificates that it signed stay.
type DeleteAuthority struct{ ID identity.CertificateID }

func (in DeleteAuthority) step(t *tx) (struct{}, error) {
	a, err := t.authority(in.ID)
	if err != nil {
		return struct{}{}, err
	}
	if a.Status == identity.AuthorityActive {
		return struct{}{}, protocol.Errorf(protocol.CertificateState, "CA certificate %q is ACTIVE: move it to INACTIVE before you delete it", in.ID)
	}
	delete(t.authorities, in.ID)
	t.authorityOrder.remove(a.CreatedAt, in.ID)
	removeFrom(t.issuers, string(a.Subject), a.CreatedAt, in.ID)
	t.del(protocol.GlobalShard, kindAuthority, string(in.ID))
	t.untag(protocol.KindCACertificate, string(in.ID))
	return struct{}{}, nil
}
