package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/agent/fetch"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/agent/verify"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/trust"
	document "github.com/muster-iot/muster/protocol/update"
)

// repository stands for a trust.Verifier that has one signed target.
type repository struct {
	target     firmware.Target
	refresh    error
	refreshed  int
	refreshNow time.Time
}

func (r *repository) Refresh(_ context.Context, now time.Time) error {
	r.refreshed++
	r.refreshNow = now
	return r.refresh
}

func (r *repository) Target(path string) (firmware.Target, error) {
	if path != r.target.Path {
		return firmware.Target{}, &trust.Refusal{Reason: trust.ReasonUnknownTarget, Detail: "not in the signed release list"}
	}
	return r.target, nil
}

func six() firmware.Target {
	return firmware.Target{Path: "app/app-6.tar.zst", Length: 1, Custom: firmware.Custom{
		Product: "app", Version: "6", Seq: 60000, HardwareIDs: []string{"rpi4"}, TargetFormat: firmware.FormatAppDir,
	}}
}

func TestResolve(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(r *repository, trust *verify.Trust, doc *document.Document, committed *update.Release)
		// refused, waits and want are the three kinds of bad news; all zero is none.
		refused, waits bool
		want           string
	}{
		{"fits", func(*repository, *verify.Trust, *document.Document, *update.Release) {}, false, false, ""},
		{"same seq again", func(_ *repository, _ *verify.Trust, _ *document.Document, c *update.Release) { c.Seq = 60000 }, false, false, ""},
		{"older seq", func(_ *repository, _ *verify.Trust, _ *document.Document, c *update.Release) { c.Seq = 60001 }, true, false, "older-than-committed"},
		{"below a floor that was seen", func(_ *repository, _ *verify.Trust, _ *document.Document, c *update.Release) { c.Floor = 60001 }, true, false, "below-rollback-floor"},
		{"other hardware", func(_ *repository, v *verify.Trust, _ *document.Document, _ *update.Release) { v.HardwareID = "rpi5" }, true, false, "wrong-hardware"},
		{"other product", func(_ *repository, v *verify.Trust, _ *document.Document, _ *update.Release) {
			v.Products = []string{"tv"}
		}, true, false, "product-not-managed"},
		{"other format", func(_ *repository, v *verify.Trust, _ *document.Document, _ *update.Release) {
			v.Formats = []string{"rauc"}
		}, true, false, "format-unknown"},
		{"old agent", func(r *repository, _ *verify.Trust, _ *document.Document, _ *update.Release) {
			r.target.Custom.MinAgent = "9.0"
		}, true, false, "agent-too-old"},
		{"unknown target", func(_ *repository, _ *verify.Trust, d *document.Document, _ *update.Release) { d.Target = "app/x" }, true, false, "target-unknown"},
		{"document that is not true", func(_ *repository, _ *verify.Trust, d *document.Document, _ *update.Release) { d.Version = "7" }, true, false, "document-differs"},
		{"metadata that is not trusted", func(r *repository, _ *verify.Trust, _ *document.Document, _ *update.Release) {
			r.refresh = &trust.Refusal{Reason: trust.ReasonSignature, Detail: "timestamp"}
		}, false, false, "metadata-signature: timestamp"},
		{"expired metadata", func(r *repository, _ *verify.Trust, _ *document.Document, _ *update.Release) {
			r.refresh = &trust.Refusal{Reason: trust.ReasonExpired, Detail: "targets"}
		}, false, false, "metadata-expired: targets"},
		{"no server", func(r *repository, _ *verify.Trust, _ *document.Document, _ *update.Release) {
			r.refresh = fmt.Errorf("cannot fetch timestamp.json: %w", update.ErrUnavailable)
		}, false, true, "the server is not available"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, doc, committed := &repository{target: six()}, six().Document(), update.Release{Version: "5", Seq: 50000}
			v := verify.Trust{Verifier: r, Products: []string{"app"}, HardwareID: "rpi4", Formats: []string{firmware.FormatAppDir}, AgentVersion: "1.0.0"}
			row.change(r, &v, &doc, &committed)
			now := time.Unix(1_740_830_400, 0)
			target, err := v.Resolve(t.Context(), now, doc, committed)
			if row.want == "" && (err != nil || target.Path != r.target.Path) {
				t.Errorf("%+v, %v", target, err)
			}
			if row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("error %v, want %q", err, row.want)
			}
			if _, refused := errors.AsType[*update.Refusal](err); refused != row.refused || errors.Is(err, update.ErrUnavailable) != row.waits {
				t.Errorf("refused %v, waits %v: %v", refused, errors.Is(err, update.ErrUnavailable), err)
			}
			if r.refreshed != 1 || !r.refreshNow.Equal(now) {
				t.Errorf("refreshed %d times, at %s", r.refreshed, r.refreshNow)
			}
		})
	}
}

// TestMetadata: what is missing is told from what cannot be had now, or a
// missing next root would stop every update.
func TestMetadata(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/tuf/timestamp.json":
			_, _ = w.Write([]byte("{}"))
		case "/tuf/broken.json":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	f, err := fetch.New(fetch.Config{BaseURL: s.URL + "/tuf/", Dir: t.TempDir(), Client: s.Client(), Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	m := verify.Metadata{Fetcher: f}
	if data, err := m.Fetch(t.Context(), "timestamp.json", 10); err != nil || string(data) != "{}" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := m.Fetch(t.Context(), "2.root.json", 10); !errors.Is(err, trust.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
	if _, err := m.Fetch(t.Context(), "broken.json", 10); !errors.Is(err, update.ErrUnavailable) || errors.Is(err, trust.ErrNotFound) {
		t.Errorf("broken: %v", err)
	}
}
