package protocol

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an [Error] is. Its value is the name of the
// AWS IoT exception without the suffix "Exception"; the REST and MQTT surfaces
// map it to their own codes, each in one place (AWS IoT reference 1.3 and 7.2).
type Code string

// The codes that the fleet side answers with.
const (
	InvalidRequest         Code = "InvalidRequest"
	InvalidQuery           Code = "InvalidQuery"
	InvalidAggregation     Code = "InvalidAggregation"
	IndexNotReady          Code = "IndexNotReady"
	NotFound               Code = "ResourceNotFound"
	AlreadyExists          Code = "ResourceAlreadyExists"
	VersionConflict        Code = "VersionConflict"
	Conflict               Code = "Conflict"
	InvalidStateTransition Code = "InvalidStateTransition"
	TerminalState          Code = "TerminalState"
	LimitExceeded          Code = "LimitExceeded"
	TooLarge               Code = "RequestEntityTooLarge"
	UnsupportedEncoding    Code = "UnsupportedDocumentEncoding"
	Unauthorized           Code = "Unauthorized"
	Forbidden              Code = "Forbidden"
	Throttling             Code = "Throttling"
	Unavailable            Code = "ServiceUnavailable"
	Internal               Code = "InternalFailure"

	// Those of certificates and policies.
	CertificateState           Code = "CertificateState"
	CertificateConflict        Code = "CertificateConflict"
	CertificateValidation      Code = "CertificateValidation"
	RegistrationCodeValidation Code = "RegistrationCodeValidation"
	DeleteConflict             Code = "DeleteConflict"
	MalformedPolicy            Code = "MalformedPolicy"
	VersionsLimitExceeded      Code = "VersionsLimitExceeded"
)

// Error is a failure that a user or a device may see. Message names the
// user's thing, group or job and what to do about it.
type Error struct {
	Code    Code
	Message string
	// ResourceID and ResourceARN identify what already exists; set with AlreadyExists.
	ResourceID, ResourceARN string
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an [Error] of the given code.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the first [Error] in err's chain, or [Internal].
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// Clip shortens a user's or a device's text for a message to so many
// characters.
func Clip(s string, most int) string {
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
