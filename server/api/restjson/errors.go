package restjson

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/sigv4"
)

const internalFailure = "InternalFailureException"

// failure is an error as it stands on the wire. It is an error itself, for
// what only this package can say.
type failure struct {
	exception string
	status    int
	message   string
	// resourceID and resourceARN accompany ResourceAlreadyExistsException.
	resourceID, resourceARN string
}

func (f failure) Error() string { return f.message }

// fail answers an exchange with an error.
func (x *exchange) fail(err error) {
	if f, ok := errors.AsType[failure](err); ok {
		x.writeFailure(f)
		return
	}
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		x.writeFailure(failure{exception: e.Type, status: http.StatusForbidden, message: e.Message})
		return
	}
	known, ok := errors.AsType[*protocol.Error](err)
	if !ok {
		known = x.unexpected(err)
	}
	x.writeFailure(x.exception(known))
}

// unexpected hides an error that was not made for users, and logs it.
func (x *exchange) unexpected(err error) *protocol.Error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return protocol.Errorf(protocol.Unavailable, "the request was given up before it was done: it may or may not have taken effect")
	}
	x.handler.cfg.Logger.Error("cannot serve", "method", x.r.Method, "path", x.r.URL.Path, "request", x.id, "err", err)
	return protocol.Errorf(protocol.Internal, "%s", internalMessage(x.id))
}

func internalMessage(id string) string {
	return "internal failure: the server's log tells more about request " + id
}

// exception picks the exception for a code: the first that the operation's
// model has, else the first that its service has, else the first of all.
func (x *exchange) exception(e *protocol.Error) failure {
	names := exceptionNames(e.Code)
	name := names[0]
	var service *awsmodel.Service
	if rt := x.found.route; rt != nil {
		service = x.found.routes.service
		inService := func(n string) bool { return service.ErrorStatus[n] != 0 }
		inOperation := func(n string) bool { return slices.Contains(rt.op.Errors, n) }
		if i := slices.IndexFunc(names, inOperation); i >= 0 {
			name = names[i]
		} else if i := slices.IndexFunc(names, inService); i >= 0 {
			name = names[i]
		}
	}
	f := failure{exception: name, status: statusOf(service, name), message: e.Message, resourceID: e.ResourceID}
	if arn, err := protocol.ParseARN(e.ResourceARN); err == nil {
		arn.Region = x.region()
		f.resourceARN = arn.String()
	}
	return f
}

// exceptionNames lists the exceptions that a code can become, the most
// common first (AWS IoT reference 1.3 and appendix A).
func exceptionNames(code protocol.Code) []string {
	switch code {
	case protocol.InvalidRequest:
		return []string{"InvalidRequestException", "ValidationException"}
	case protocol.VersionConflict:
		return []string{"VersionConflictException", "ConflictException", "InvalidStateTransitionException"}
	case protocol.Conflict:
		return []string{"ConflictException", "VersionConflictException"}
	case protocol.AlreadyExists:
		return []string{"ResourceAlreadyExistsException", "ConflictException"}
	case protocol.TerminalState:
		return []string{"TerminalStateException", "InvalidStateTransitionException"}
	case protocol.LimitExceeded:
		return []string{"LimitExceededException", "ServiceQuotaExceededException", "InvalidRequestException"}
	case protocol.Internal:
		return []string{internalFailure, "InternalException", "InternalServerException"}
	default:
		return []string{string(code) + "Exception"}
	}
}

// statusOf is the status that the service's model gives an exception, else
// the usual one.
func statusOf(service *awsmodel.Service, exception string) int {
	if service != nil && service.ErrorStatus[exception] != 0 {
		return service.ErrorStatus[exception]
	}
	switch exception {
	case "UnauthorizedException":
		return http.StatusUnauthorized
	case "ForbiddenException":
		return http.StatusForbidden
	case "ResourceNotFoundException":
		return http.StatusNotFound
	case "ResourceAlreadyExistsException", "VersionConflictException", "ConflictException", "InvalidStateTransitionException":
		return http.StatusConflict
	case "LimitExceededException", "TerminalStateException":
		return http.StatusGone
	case "RequestEntityTooLargeException":
		return http.StatusRequestEntityTooLarge
	case "UnsupportedDocumentEncodingException":
		return http.StatusUnsupportedMediaType
	case "ServiceUnavailableException":
		return http.StatusServiceUnavailable
	case internalFailure:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

func (x *exchange) writeFailure(f failure) {
	body, err := encode(struct {
		Message     string `json:"message"`
		ResourceID  string `json:"resourceId,omitempty"`
		ResourceARN string `json:"resourceArn,omitempty"`
	}{f.message, f.resourceID, f.resourceARN})
	if err != nil {
		body = []byte("{}") // a structure of strings always marshals
	}
	x.w.Header().Set("x-amzn-ErrorType", f.exception)
	x.write(f.status, body)
}
