package trust

import (
	"errors"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Reason says why an update is refused. Its text is reported to the fleet and
// stays the same between releases.
type Reason string

// Reasons about metadata: what the repository served is not acceptable.
const (
	// ReasonExpired: a role is past its signed expiry.
	ReasonExpired Reason = "metadata-expired"
	// ReasonSignature: a role is not signed by enough of its keys.
	ReasonSignature Reason = "metadata-signature"
	// ReasonRollback: a role is older than one already trusted, or does not
	// have the version that the role above it names.
	ReasonRollback Reason = "metadata-rollback"
	// ReasonMismatch: a file differs from the hash or length that the role
	// above it names.
	ReasonMismatch Reason = "metadata-mismatch"
	// ReasonTooLarge: a file is larger than its signed length or the cap of its role.
	ReasonTooLarge Reason = "metadata-too-large"
	// ReasonMalformed: a file is not metadata of its role.
	ReasonMalformed Reason = "metadata-malformed"
)

// Reasons about a target: it is signed, but not for this device or this time.
const (
	// ReasonUnknownTarget: the signed release list does not have the path.
	ReasonUnknownTarget Reason = "target-unknown"
	// ReasonBadTarget: its signed fields are missing or out of range.
	ReasonBadTarget Reason = "target-invalid"
	// ReasonDocument: the job document names another product, version or seq
	// than the signed target has.
	ReasonDocument Reason = "document-differs"
	// ReasonProduct: the device does not manage the product.
	ReasonProduct Reason = "product-not-managed"
	// ReasonHardware: the target is made for other hardware.
	ReasonHardware Reason = "wrong-hardware"
	// ReasonOlder: the device has committed a higher seq of the product.
	ReasonOlder Reason = "older-than-committed"
	// ReasonFloor: the target lies below a signed roll-back floor.
	ReasonFloor Reason = "below-rollback-floor"
	// ReasonFormat: the device cannot install the target's format.
	ReasonFormat Reason = "format-unknown"
	// ReasonAgent: the target needs a newer agent.
	ReasonAgent Reason = "agent-too-old"
)

// Refusal is the error for everything that is refused by rule, in contrast to
// a network or disk that failed: trying again does not help until the fleet's
// operator changes something.
type Refusal struct {
	Reason Reason
	// Detail is one line for people: what was found and what was expected.
	Detail string
}

func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

// ReasonOf returns the reason of the first [Refusal] in err's chain, or "".
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return ""
}

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// refusalOf turns an error of go-tuf's rules over a role into a refusal.
func refusalOf(role string, err error) error {
	if err == nil {
		return nil
	}
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	return refuse(reasonOf(err), "%s: %v", role, err)
}

func reasonOf(err error) Reason {
	if _, ok := errors.AsType[*metadata.ErrExpiredMetadata](err); ok {
		return ReasonExpired
	}
	if _, ok := errors.AsType[*metadata.ErrUnsignedMetadata](err); ok {
		return ReasonSignature
	}
	if _, ok := errors.AsType[*metadata.ErrBadVersionNumber](err); ok {
		return ReasonRollback
	}
	if _, ok := errors.AsType[*metadata.ErrLengthOrHashMismatch](err); ok {
		return ReasonMismatch
	}
	return ReasonMalformed
}
