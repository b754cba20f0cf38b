package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
)

// CertificateID names a certificate: the lower-case hex SHA-256 of its DER, so
// that the same certificate has the same id everywhere (AWS IoT reference 1.6).
type CertificateID string

// IDOf returns the id of a certificate's DER.
func IDOf(der []byte) CertificateID {
	sum := sha256.Sum256(der)
	return CertificateID(hex.EncodeToString(sum[:]))
}

// Status is the status of a device's certificate.
type Status string

// The statuses. A device may connect with an Active certificate only.
const (
	Active   Status = "ACTIVE"
	Inactive Status = "INACTIVE"
	// Revoked is final: nothing leads out of it.
	Revoked Status = "REVOKED"
	// PendingActivation is that of a certificate which its CA registered by
	// itself, until somebody activates it.
	PendingActivation Status = "PENDING_ACTIVATION"
	// PendingTransfer is that of a certificate on its way to another account,
	// and RegisterInactive is what Inactive was called long ago: both can be
	// written, and Muster never makes either.
	PendingTransfer  Status = "PENDING_TRANSFER"
	RegisterInactive Status = "REGISTER_INACTIVE"
)

// statuses says to which statuses a client may move a certificate.
var statuses = map[Status][]Status{
	Active:            {Active, Inactive, Revoked},
	Inactive:          {Active, Inactive, Revoked},
	Revoked:           {Revoked},
	PendingActivation: {Active, Inactive, Revoked},
	PendingTransfer:   {},
	RegisterInactive:  {Active, Inactive, Revoked},
}

// Settable reports whether a client may ask for the status at all: the others
// are the service's own.
func (s Status) Settable() bool { return s == Active || s == Inactive || s == Revoked }

// To reports whether a client may move a certificate from this status to another.
func (s Status) To(next Status) bool { return slices.Contains(statuses[s], next) }

// Deletable reports whether a certificate of this status may be deleted.
func (s Status) Deletable() bool { return s != Active && s != PendingTransfer }

// Mode says what a device must send with its certificate.
type Mode string

const (
	// Default certificates were issued here or signed by a CA of that mode.
	Default Mode = "DEFAULT"
	// SNIOnly certificates were registered without proof of who owns their
	// CA: their devices must name the server in the handshake.
	SNIOnly Mode = "SNI_ONLY"
)

// Validity is the time in which a certificate may be used.
type Validity struct {
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
}

// Certificate is the record of a device's certificate.
type Certificate struct {
	ID     CertificateID `json:"id"`
	PEM    string        `json:"pem"`
	Status Status        `json:"status"`
	Mode   Mode          `json:"mode"`
	// CA is the registered CA certificate that signed it; empty when none did.
	CA       CertificateID `json:"ca,omitempty"`
	Validity Validity      `json:"validity"`
	// Version counts the changes of the record from 1; GenerationID is new
	// when a deleted certificate is registered again.
	Version      int64     `json:"version"`
	GenerationID string    `json:"generationId"`
	CreatedAt    time.Time `json:"createdAt"`
	ModifiedAt   time.Time `json:"modifiedAt"`
}

// NewCertificate makes the record of a certificate that a client may bring:
// its key must be one that [CheckKey] allows. ca is that of a registered CA.
func NewCertificate(cert *x509.Certificate, status Status, mode Mode, ca CertificateID) (Certificate, error) {
	if !status.Settable() {
		return Certificate{}, protocol.Errorf(protocol.InvalidRequest, "a certificate cannot be given status %s: use ACTIVE, INACTIVE or REVOKED", status)
	}
	if err := CheckKey(cert.PublicKey); err != nil {
		return Certificate{}, protocol.Errorf(protocol.CertificateValidation, "the certificate of %q: %v", cert.Subject, err)
	}
	return Certificate{
		ID: IDOf(cert.Raw), PEM: EncodePEM(cert.Raw), Status: status, Mode: mode, CA: ca,
		Validity: Validity{cert.NotBefore, cert.NotAfter},
	}, nil
}

// Registered returns the record as it is filed first.
func (c Certificate) Registered(generation string, now time.Time) Certificate {
	c.Version, c.GenerationID, c.CreatedAt, c.ModifiedAt = 1, generation, now, now
	return c
}

// Move returns the record with another status, asked for by a client. Asking
// for the one that it has changes nothing.
func (c Certificate) Move(to Status, now time.Time) (Certificate, error) {
	switch {
	case !to.Settable():
		return c, protocol.Errorf(protocol.InvalidRequest, "certificate %q cannot be given status %s: use ACTIVE, INACTIVE or REVOKED", c.ID, to)
	case !c.Status.To(to):
		return c, protocol.Errorf(protocol.CertificateState, "certificate %q is %s, which does not change to %s", c.ID, c.Status, to)
	case c.Status == to:
		return c, nil
	}
	c.Status, c.Version, c.ModifiedAt = to, c.Version+1, now
	return c, nil
}

// CheckDelete refuses the deletion of a certificate that is in use: one that is
// active, or attached. force takes it off its policies, never off its things.
func (c Certificate) CheckDelete(things, policies int, force bool) error {
	switch {
	case !c.Status.Deletable():
		return protocol.Errorf(protocol.CertificateState, "certificate %q is %s: move it to INACTIVE or REVOKED before you delete it", c.ID, c.Status)
	case things > 0:
		return protocol.Errorf(protocol.DeleteConflict, "certificate %q is still attached to things (%d): detach it before you delete it", c.ID, things)
	case policies > 0 && !force:
		return protocol.Errorf(protocol.DeleteConflict, "certificate %q still has policies attached (%d): detach them before you delete it, or delete it by force", c.ID, policies)
	}
	return nil
}
