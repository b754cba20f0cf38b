// Package operate answers what AWS has no operation for, under /muster/v1/:
// which rules are in force, and what a job makes of a thing. It reads the
// engine and owns nothing. The firmware repository answers for itself.
package operate

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
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

// New returns the handler:
//
//	GET /muster/v1/rules                        the profile and its rules
//	GET /muster/v1/jobs/{job}/things/{thing}    what a job makes of a thing, and what that waits for
func New(cfg Config) (http.Handler, error) {
	if cfg.Engine == nil || cfg.Logger == nil {
		return nil, errors.New("operate needs an engine and a logger")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /muster/v1/rules", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, show(cfg.Rules)) })
	mux.HandleFunc("GET /muster/v1/jobs/{job}/things/{thing}", cfg.explain)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, failure{"there is nothing at " + r.Method + " " + r.URL.Path})
	})
	return mux, nil
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
	var x engine.Explanation
	err := engine.Read(r.Context(), c.Engine, func(v *engine.View) (err error) {
		x, err = v.Explain(protocol.ThingName(r.PathValue("thing")), protocol.JobID(r.PathValue("job")))
		return err
	})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	e := explanation{Target: x.Target, Reason: x.Reason, Until: x.Until.UTC(), Entries: x.Entries}
	if x.Latest != nil {
		e.Latest = &execution{x.Latest.Number, x.Latest.Status}
	}
	answer(w, http.StatusOK, e)
}

type failure struct {
	Message string `json:"message"`
}

func (c Config) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	switch protocol.CodeOf(err) {
	case protocol.NotFound:
		status = http.StatusNotFound
	case protocol.Unavailable:
		status = http.StatusServiceUnavailable
	case protocol.Internal:
		c.Logger.Error("a request failed", "path", r.URL.Path, "error", err)
	}
	answer(w, status, failure{err.Error()})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone, or it has got it
}
