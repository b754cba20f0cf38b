package identity

import (
	"crypto/x509"
	"time"

	"github.com/muster-iot/muster/protocol"
)

// AuthorityStatus is the status of a CA certificate.
type AuthorityStatus string

// The statuses of a CA certificate: each leads to the other. Device
// certificates can be registered while it is active; one that is active cannot be
// deleted.
const (
	AuthorityActive   AuthorityStatus = "ACTIVE"
	AuthorityInactive AuthorityStatus = "INACTIVE"
)

// Authority is the record of a CA certificate that signs devices' certificates.
type Authority struct {
	ID     CertificateID   `json:"id"`
	PEM    string          `json:"pem"`
	Status AuthorityStatus `json:"status"`
	Mode   Mode            `json:"mode"`
	// Subject is the DER of its subject, as its certificates name their issuer.
	Subject []byte `json:"subject"`
	// AutoRegister lets certificates that it signed register themselves when
	// they first connect.
	AutoRegister bool      `json:"autoRegister,omitempty"`
	Validity     Validity  `json:"validity"`
	Version      int64     `json:"version"`
	GenerationID string    `json:"generationId"`
	CreatedAt    time.Time `json:"createdAt"`
	ModifiedAt   time.Time `json:"modifiedAt"`
}

// NewAuthority makes the record of a CA certificate. One that may not sign
// certificates, or is not valid now, is a CertificateValidation.
func NewAuthority(cert *x509.Certificate, status AuthorityStatus, mode Mode, autoRegister bool, now time.Time) (Authority, error) {
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return Authority{}, protocol.Errorf(protocol.CertificateValidation, "the certificate of %q is not that of a CA: its basic constraints do not say CA:TRUE", cert.Subject)
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return Authority{}, protocol.Errorf(protocol.CertificateValidation, "the certificate of %q may not sign certificates: its key usage lacks keyCertSign", cert.Subject)
	case now.Before(cert.NotBefore) || now.After(cert.NotAfter):
		return Authority{}, protocol.Errorf(protocol.CertificateValidation, "the certificate of %q is valid from %s to %s, not now", cert.Subject, cert.NotBefore.Format(time.RFC3339), cert.NotAfter.Format(time.RFC3339))
	}
	if err := CheckKey(cert.PublicKey); err != nil {
		return Authority{}, protocol.Errorf(protocol.CertificateValidation, "the certificate of %q: %v", cert.Subject, err)
	}
	return Authority{
		ID: IDOf(cert.Raw), PEM: EncodePEM(cert.Raw), Status: status, Mode: mode, Subject: cert.RawSubject,
		AutoRegister: autoRegister, Validity: Validity{cert.NotBefore, cert.NotAfter},
	}, nil
}

// Registered returns the record as it is filed first.
func (a Authority) Registered(generation string, now time.Time) Authority {
	a.Version, a.GenerationID, a.CreatedAt, a.ModifiedAt = 1, generation, now, now
	return a
}

// Update returns the record with what is not nil changed.
func (a Authority) Update(status *AuthorityStatus, autoRegister *bool, now time.Time) Authority {
	next := a
	if status != nil {
		next.Status = *status
	}
	if autoRegister != nil {
		next.AutoRegister = *autoRegister
	}
	if next.Status != a.Status || next.AutoRegister != a.AutoRegister {
		next.Version, next.ModifiedAt = a.Version+1, now
	}
	return next
}

// CheckVerification checks a verification certificate, which proves that its
// sender holds the key of a CA: that CA must have signed it, for the common name
// that the caller compares with the registration code.
func CheckVerification(ca, verification *x509.Certificate) (commonName string, err error) {
	if err := verification.CheckSignatureFrom(ca); err != nil {
		return "", protocol.Errorf(protocol.CertificateValidation, "the verification certificate is not signed by the CA of %q: %v", ca.Subject, err)
	}
	return verification.Subject.CommonName, nil
}

// SignedBy refuses a device's certificate that a CA did not sign.
func SignedBy(cert, ca *x509.Certificate) error {
	if err := cert.CheckSignatureFrom(ca); err != nil {
		return protocol.Errorf(protocol.CertificateValidation, "the certificate of %q is not signed by the CA of %q: %v", cert.Subject, ca.Subject, err)
	}
	return nil
}
