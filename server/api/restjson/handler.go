package restjson

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
	"github.com/muster-iot/muster/server/api/sigv4"
)

const (
	// maxBody bounds the body of a request, in bytes.
	maxBody = 1 << 20
	// bodyTime bounds how long a body may take to arrive.
	bodyTime = 30 * time.Second
)

// Credentials finds the secret of an access key; ok is false for a key that
// does not exist.
type Credentials interface {
	Secret(ctx context.Context, accessKey string) (secret string, ok bool, err error)
}

// Config says what a [Handler] serves.
type Config struct {
	// Services describe the operations that may be called.
	Services []awsmodel.Service
	// Operations serve them, by "service.Operation" such as "iot.CreateThing".
	// What is described but not served is answered as unknown.
	Operations map[string]Operation
	// Unsigned names the services that a request without a signature may
	// reach, in the order in which they are searched for its path. None: every
	// request must be signed.
	Unsigned []string
	// Credentials verify signatures. AcceptAny takes any signature instead, and
	// what is none counts as unsigned.
	Credentials Credentials
	AcceptAny   bool
	// Region stands in for that of the credential scope; Account is the
	// account of every ARN.
	Region, Account string
	Logger          *slog.Logger
}

// Handler answers the requests of AWS clients.
type Handler struct {
	cfg        Config
	bySigning  map[string]*routes
	byName     map[string]*routes
	unsigned   []*routes
	regionForm *regexp.Regexp
}

// New checks that every operation served is described and that its Go types
// are those of the description.
func New(cfg Config) (*Handler, error) {
	if cfg.Credentials == nil && !cfg.AcceptAny {
		return nil, errors.New("api needs credentials to verify signatures with")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{
		cfg: cfg, bySigning: map[string]*routes{}, byName: map[string]*routes{},
		regionForm: regexp.MustCompile(`^[a-z0-9-]{1,32}$`),
	}
	left := len(cfg.Operations)
	for i := range cfg.Services {
		served, err := newRoutes(&cfg.Services[i], cfg.Operations)
		if err != nil {
			return nil, err
		}
		h.bySigning[cfg.Services[i].SigningName] = served
		h.byName[cfg.Services[i].Name] = served
		left -= served.served
	}
	if left != 0 {
		return nil, fmt.Errorf("%d operations are served but not described", left)
	}
	for _, name := range cfg.Unsigned {
		if h.byName[name] == nil {
			return nil, fmt.Errorf("unsigned service %q is not described", name)
		}
		h.unsigned = append(h.unsigned, h.byName[name])
	}
	return h, nil
}

// ServeHTTP answers one request. A panic becomes an InternalFailureException.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{handler: h, w: w, r: r, id: uuid.NewString(), start: time.Now()}
	w.Header().Set("x-amzn-RequestId", x.id)
	defer x.recover()
	if err := x.serve(); err != nil {
		x.fail(err)
	}
}

// exchange is one request and its answer.
type exchange struct {
	handler *Handler
	w       http.ResponseWriter
	r       *http.Request
	id      string
	start   time.Time
	written bool

	signature *sigv4.Signature // nil when unsigned
	body      []byte
	found     match
}

func (x *exchange) serve() error {
	if err := x.readBody(); err != nil {
		return err
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	if err := x.route(); err != nil {
		return err
	}
	call := Call{
		Operation: x.found.route.op.Name, Region: x.region(),
		Account: x.handler.cfg.Account, RequestID: x.id,
	}
	in, err := x.decode(&call)
	if err != nil {
		return err
	}
	out, err := x.found.route.serve.call(x.r.Context(), call, in)
	if err != nil {
		return err
	}
	return x.respond(out)
}

func (x *exchange) readBody() error {
	if x.r.ContentLength > maxBody {
		return tooLarge()
	}
	connection := http.NewResponseController(x.w) // a recorder in a test has no deadlines
	_ = connection.SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		x.w.Header().Set("Connection", "close")
		return protocol.Errorf(protocol.InvalidRequest, "the body of the request did not arrive within %v", bodyTime)
	}
	_ = connection.SetReadDeadline(time.Time{})
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return tooLarge()
	}
	if err != nil {
		return protocol.Errorf(protocol.InvalidRequest, "cannot read the body of the request: %v", err)
	}
	x.body = body
	return nil
}

func tooLarge() error {
	return protocol.Errorf(protocol.TooLarge, "the body of a request may have at most %d bytes", maxBody)
}

func (x *exchange) authenticate() error {
	cfg := &x.handler.cfg
	signature, err := sigv4.Parse(x.r)
	if err != nil && !cfg.AcceptAny {
		return err
	}
	if err != nil || signature == nil {
		return nil // unsigned: the route decides whether that will do
	}
	x.signature = signature
	if cfg.AcceptAny {
		return nil
	}
	secret, ok, err := cfg.Credentials.Secret(x.r.Context(), signature.AccessKey)
	if err != nil {
		return fmt.Errorf("cannot look up access key %s: %w", signature.AccessKey, err)
	}
	if !ok {
		return &sigv4.Error{Type: sigv4.UnrecognizedClient, Message: fmt.Sprintf("access key %q does not exist", signature.AccessKey)}
	}
	return signature.Verify(x.r, x.body, secret, time.Now())
}

// region is that of the credential scope, if it can stand in an ARN.
func (x *exchange) region() string {
	if x.signature != nil && x.handler.regionForm.MatchString(x.signature.Scope.Region) {
		return x.signature.Scope.Region
	}
	return x.handler.cfg.Region
}

func (x *exchange) recover() {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
		panic(cause)
	}
	x.handler.cfg.Logger.Error("panic while serving", "path", x.r.URL.Path, "request", x.id,
		"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	if x.written {
		panic(http.ErrAbortHandler) // too late for an answer: cut the connection
	}
	x.writeFailure(failure{exception: internalFailure, status: http.StatusInternalServerError, message: internalMessage(x.id)})
}
