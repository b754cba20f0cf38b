package shadow

import (
	"errors"
	"fmt"

	"github.com/muster-iot/muster/protocol"
)

// Error is a refused shadow request, as the rejected topic shows it (AWS IoT
// reference 9.5).
type Error struct {
	Code    int    // like an HTTP status: 400, 401, 403, 404, 409, 413, 415, 429 or 500
	Message string // AWS's wording
	// ClientToken is that of the request, empty if it had none or none that
	// could be read.
	ClientToken string
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the error in the words of [protocol.Error], so that
// protocol.CodeOf and the REST surface understand it.
func (e *Error) Unwrap() error {
	code := protocol.Internal
	for _, row := range codes() {
		if row.number == e.Code {
			code = row.code
		}
	}
	return &protocol.Error{Code: code, Message: e.Message}
}

// codes pairs the numbers of the rejected topic with their meaning.
func codes() []codeRow {
	return []codeRow{
		{400, protocol.InvalidRequest},
		{401, protocol.Unauthorized},
		{403, protocol.Forbidden},
		{404, protocol.NotFound},
		{409, protocol.Conflict},
		{413, protocol.TooLarge},
		{415, protocol.UnsupportedEncoding},
		{429, protocol.Throttling},
		{500, protocol.Internal},
	}
}

type codeRow struct {
	number int
	code   protocol.Code
}

// NotFound is the answer to a get or delete of a shadow that does not exist.
// The name is that of the named shadow, or of the thing for the classic one.
func NotFound(name, clientToken string) *Error {
	return &Error{Code: 404, Message: fmt.Sprintf("No shadow exists with name: '%s'", name), ClientToken: clientToken}
}

// ErrorFrom turns any failure into one that may be sent to a device: an
// [Error] in its chain stays what it is (with the given token if it has none),
// a [protocol.Error] keeps its message, everything else becomes 500 without
// its text, which is not the device's business.
func ErrorFrom(err error, clientToken string) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		out := *e
		if out.ClientToken == "" {
			out.ClientToken = clientToken
		}
		return &out
	}
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		for _, row := range codes() {
			if row.code == e.Code && row.code != protocol.Internal {
				return &Error{Code: row.number, Message: e.Message, ClientToken: clientToken}
			}
		}
	}
	return &Error{Code: 500, Message: "Internal service failure", ClientToken: clientToken}
}

func invalid(message string) *Error { return &Error{Code: 400, Message: message} }
func tooLarge() *Error {
	return &Error{Code: 413, Message: "The payload exceeds the maximum size allowed"}
}
func conflict() *Error { return &Error{Code: 409, Message: "Version conflict"} }
func tooDeep() *Error {
	return invalid(fmt.Sprintf("JSON contains too many levels of nesting; maximum is %d", MaxDepth))
}

func invalidNode(where string) *Error {
	return invalid(fmt.Sprintf("State contains an invalid node: '%s'", where))
}
