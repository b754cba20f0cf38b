package server

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

// Built returns the time of the sources that this program was built from, or
// zero where the build does not tell: the world is not older than that (rule 17).
func Built() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			at, err := time.Parse(time.RFC3339, s.Value)
			if err == nil {
				return at
			}
		}
	}
	return time.Time{}
}

// readyz says whether the server is of use, and if not why.
func (s *Server) readyz(checkClock func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready.Load() {
			http.Error(w, "not ready: loading the fleet, or stopping", http.StatusServiceUnavailable)
			return
		}
		if err := checkClock(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	}
}
