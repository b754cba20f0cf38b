package engine

import (
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/identity"
)

func certificateNotFound(id identity.CertificateID) error {
	return protocol.Errorf(protocol.NotFound, "certificate %q does not exist", id)
}

// certificate returns a registered certificate, or a NotFound.
func (s *state) certificate(id identity.CertificateID) (*identity.Certificate, error) {
	if c := s.certificates[id]; c != nil {
		return c, nil
	}
	return nil, certificateNotFound(id)
}

// RegisterCertificate files a device's certificate (AWS IoT reference 2.5),
// which was made by the server or came from a client; who hands it in has
// checked it, and that its CA signed it. Its id is that of its bytes, so the
// same certificate exists once.
type RegisterCertificate struct{ identity.Certificate }

func (in RegisterCertificate) step(t *tx) (identity.Certificate, error) {
	if old := t.certificates[in.ID]; old != nil {
		err := protocol.Errorf(protocol.AlreadyExists, "certificate %q is registered already", in.ID)
		err.ResourceID, err.ResourceARN = string(in.ID), t.arn(protocol.KindCertificate, string(in.ID))
		return identity.Certificate{}, err
	}
	if in.CA != "" {
		// It may have changed since its signature was checked.
		switch ca := t.authorities[in.CA]; {
		case ca == nil:
			return identity.Certificate{}, protocol.Errorf(protocol.CertificateValidation, "the CA certificate %q that signed this certificate is not registered", in.CA)
		case ca.Status != identity.AuthorityActive:
			return identity.Certificate{}, protocol.Errorf(protocol.CertificateState, "the CA certificate %q that signed this certificate is %s: activate it first", in.CA, ca.Status)
		}
	}
	c := in.Registered(t.cfg.NewID(), t.now)
	t.fileCertificate(c)
	t.putCertificate(c)
	return c, nil
}

func (t *tx) putCertificate(c identity.Certificate) {
	t.put(protocol.GlobalShard, kindCertificate, string(c.ID), c)
}

// UpdateCertificate moves a certificate to another status, as the table of
// package identity allows.
type UpdateCertificate struct {
	ID     identity.CertificateID
	Status identity.Status
}

func (in UpdateCertificate) step(t *tx) (identity.Certificate, error) {
	c, err := t.certificate(in.ID)
	if err != nil {
		return identity.Certificate{}, err
	}
	next, err := c.Move(in.Status, t.now)
	if err != nil {
		return identity.Certificate{}, err
	}
	if next.Version != c.Version {
		*c = next
		t.putCertificate(next)
	}
	return next, nil
}

// DeleteCertificate forgets a certificate that is not active and not attached
// to a thing. Force takes its policies off first.
type DeleteCertificate struct {
	ID    identity.CertificateID
	Force bool
}

func (in DeleteCertificate) step(t *tx) (struct{}, error) {
	c, err := t.certificate(in.ID)
	if err != nil {
		return struct{}{}, err
	}
	self := resource{protocol.KindCertificate, string(in.ID)}.target()
	if err := c.CheckDelete(t.principals.with(in.ID).len(), t.attachments.with(self).len(), in.Force); err != nil {
		return struct{}{}, err
	}
	t.detachAll(self)
	delete(t.certificates, in.ID)
	t.certificateOrder.remove(c.CreatedAt, in.ID)
	if c.CA != "" {
		removeFrom(t.issued, c.CA, c.CreatedAt, in.ID)
	}
	t.del(protocol.GlobalShard, kindCertificate, string(in.ID))
	return struct{}{}, nil
}
