package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/server"
	"github.com/muster-iot/muster/server/rules"
)

// get returns status and body of a page of the server.
func (f fleet) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + f.HTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestClock is rule 17: a server whose clock is before the time of its build
// serves, but says that it is not ready, and why; under both profiles.
func TestClock(t *testing.T) {
	for _, r := range []rules.Rules{rules.Safe(), rules.AWS()} {
		t.Run(string(r.Profile), func(t *testing.T) {
			built := time.Now().Add(time.Hour)
			f := start(t, func(c *server.Config) { c.Rules, c.Built = &r, built })
			status, body := f.get(t, "/readyz")
			if status != http.StatusServiceUnavailable || !strings.Contains(body, built.UTC().Format(time.RFC3339)) {
				t.Errorf("readyz: %d %s", status, body)
			}
			if status, body := f.get(t, "/things"); status != http.StatusOK {
				t.Errorf("ListThings: %d %s", status, body)
			}
		})
	}
	f := start(t, func(c *server.Config) { c.Built = time.Now() })
	if status, body := f.get(t, "/readyz"); status != http.StatusOK {
		t.Errorf("readyz with a clock: %d %s", status, body)
	}
}

// TestRulesAreShown: which profile is in force can be asked.
func TestRulesAreShown(t *testing.T) {
	for _, r := range []rules.Rules{rules.Safe(), rules.AWS()} {
		f := start(t, func(c *server.Config) { c.Rules = &r })
		if status, body := f.get(t, "/muster/v1/rules"); status != http.StatusOK || !strings.Contains(body, `"Profile":"`+string(r.Profile)+`"`) {
			t.Errorf("rules of %s: %d %s", r.Profile, status, body)
		}
	}
}
