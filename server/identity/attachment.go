package identity

import "github.com/muster-iot/muster/protocol"

// PrincipalType says whether a certificate is that of one thing alone.
type PrincipalType string

const (
	// Exclusive certificates belong to one thing and can have no other.
	Exclusive PrincipalType = "EXCLUSIVE_THING"
	// Shared is the default: several things may use the certificate.
	Shared PrincipalType = "NON_EXCLUSIVE_THING"
)

// CheckAttach refuses an attachment of a certificate to a thing beside those
// that it has: others is how many other things it is attached to, exclusive
// that one of them has it alone.
func CheckAttach(id CertificateID, thing protocol.ThingName, as PrincipalType, others int, exclusive bool) error {
	switch {
	case exclusive:
		return protocol.Errorf(protocol.InvalidRequest, "certificate %q is attached to another thing exclusively: it cannot be attached to thing %q too", id, thing)
	case as == Exclusive && others > 0:
		return protocol.Errorf(protocol.InvalidRequest, "certificate %q is attached to other things (%d): it cannot be attached to thing %q exclusively", id, others, thing)
	}
	return nil
}
