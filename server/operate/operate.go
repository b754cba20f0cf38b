// Package operate answers what AWS has no operation for, under /muster/v1/:
// which rules are in force, what a job makes of a thing, why a thing is in a
// group or not, what a query would match and what a change would do. It asks
// the engine and owns nothing. The firmware
// repository answers for itself.
package operate

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/ownapi"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/rules"
)

// Config configures a handler.
type Config struct {
	Engine *engine.Engine
	// Rules are those in force.
	Rules  rules.Rules
	Logger *slog.Logger
}

// New returns the handler; docs/openapi.yaml describes what it serves.
func New(cfg Config) (http.Handler, error) {
	if cfg.Engine == nil || cfg.Logger == nil {
		return nil, errors.New("operate needs an engine and a logger")
	}
	mux := http.NewServeMux()
	for pattern, serve := range cfg.routes() {
		mux.HandleFunc(pattern, serve)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, ownapi.Failure{Code: protocol.NotFound, Message: "there is nothing at " + r.Method + " " + r.URL.Path})
	})
	return mux, nil
}

// routes says who answers what.
func (c Config) routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /muster/v1/rules":                         c.showRules,
		"GET /muster/v1/jobs/{job}/things/{thing}":     c.explain,
		"GET /muster/v1/groups/{group}":                c.describeGroup,
		"GET /muster/v1/groups/{group}/things/{thing}": c.explainMember,
		"PUT /muster/v1/groups/{group}":                c.setGroup,
		"POST /muster/v1/preview/query":                c.previewQuery,
		"POST /muster/v1/preview/change":               c.previewChange,
	}
}

func (c Config) showRules(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, show(c.Rules))
}

// show returns the rules by the names of their fields, durations in words.
func show(of any) map[string]any {
	shown := map[string]any{}
	v := reflect.ValueOf(of)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i).Interface().(type) {
		case time.Duration:
			shown[name] = f.String()
		case rules.Limits:
			shown[name] = show(f)
		default:
			shown[name] = f
		}
	}
	return shown
}

// explanation is what a job makes of a thing.
type explanation struct {
	Target bool       `json:"target"`
	Reason job.Reason `json:"reason"`
	// Until is when the wait ends, if that is known.
	Until   time.Time  `json:"until,omitzero"`
	Entries int        `json:"entriesWithinAnHour,omitempty"`
	Latest  *execution `json:"latestExecution,omitempty"`
}

type execution struct {
	Number int64                `json:"executionNumber"`
	Status jobs.ExecutionStatus `json:"status"`
}

func (c Config) explain(w http.ResponseWriter, r *http.Request) {
	c.read(w, r, func(v *engine.View) (any, error) {
		x, err := v.Explain(protocol.ThingName(r.PathValue("thing")), protocol.JobID(r.PathValue("job")))
		e := explanation{Target: x.Target, Reason: x.Reason, Until: x.Until.UTC(), Entries: x.Entries}
		if x.Latest != nil {
			e.Latest = &execution{x.Latest.Number, x.Latest.Status}
		}
		return e, err
	})
}

// read answers with what see makes of a view.
func (c Config) read(w http.ResponseWriter, r *http.Request, see func(*engine.View) (any, error)) {
	var body any
	err := engine.Read(r.Context(), c.Engine, func(v *engine.View) (err error) {
		body, err = see(v)
		return err
	})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	answer(w, http.StatusOK, body)
}

// maxBody bounds the body of a request: the longest query, or a shadow.
const maxBody = 256 << 10

// decode reads the JSON body of a request; members that are not known are
// refused by name.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	d.UseNumber()
	err := d.Decode(into)
	if err == nil {
		if _, behind := d.Token(); behind != io.EOF {
			err = errors.New("there is something behind the object")
		}
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return protocol.Errorf(protocol.TooLarge, "the body is larger than %d bytes", maxBody)
	}
	if err != nil {
		return protocol.Errorf(protocol.InvalidRequest, "the body is not what is wanted: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func (c Config) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, code := http.StatusBadRequest, protocol.CodeOf(err)
	switch code {
	case protocol.NotFound:
		status = http.StatusNotFound
	case protocol.TooLarge:
		status = http.StatusRequestEntityTooLarge
	case protocol.Unavailable:
		status = http.StatusServiceUnavailable
	case protocol.Internal:
		status = http.StatusInternalServerError
		c.Logger.Error("a request failed", "path", r.URL.Path, "error", err)
	}
	answer(w, status, ownapi.Failure{Code: code, Message: err.Error()})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(body) // the client has gone, or it has got it
}
