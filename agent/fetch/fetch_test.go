package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/agent/fetch"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
)

const size = 1 << 20

// artifact returns reproducible bytes with their signed target.
func artifact(seed uint64) ([]byte, firmware.Target) {
	content := make([]byte, size)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	return content, firmware.Target{Path: "app/app-6.tar.zst", Length: size, SHA256: sha256.Sum256(content)}
}

// server serves an artifact and counts what it is asked.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []http.Header
	content  []byte
	etag     string
}

// serve starts a server; how answers in place of the plain one.
func serve(t *testing.T, content []byte, how func(s *server, n int, w http.ResponseWriter, r *http.Request)) *server {
	t.Helper()
	s := &server{content: content, etag: `"v1"`}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Header.Clone())
		n := len(s.requests)
		s.mu.Unlock()
		if how == nil {
			how = func(s *server, _ int, w http.ResponseWriter, r *http.Request) { s.plain(w, r) }
		}
		how(s, n, w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) plain(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", s.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// cutter sends some bytes and then breaks the connection.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		p = p[:c.left]
	}
	n, err := c.ResponseWriter.Write(p)
	if c.left -= n; c.left <= 0 {
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func fetcher(t *testing.T, s *server) *fetch.Fetcher {
	t.Helper()
	f, err := fetch.New(fetch.Config{
		BaseURL: s.URL + "/tuf", Dir: filepath.Join(t.TempDir(), "downloads"), Client: s.Client(),
		Retries: 1, RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond, Stall: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// complete checks that the target is there, whole, and alone.
func complete(t *testing.T, f *fetch.Fetcher, target firmware.Target, content []byte) {
	t.Helper()
	got, err := os.ReadFile(f.File(target))
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("file: %d bytes, %v", len(got), err)
	}
	if err := f.Verify(t.Context(), target); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(filepath.Dir(f.File(target)))
	if err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v, %v", entries, err)
	}
}

func TestFetch(t *testing.T) {
	content, target := artifact(1)
	other, _ := artifact(2)
	const piece = 150 << 10
	for _, row := range []struct {
		name string
		how  func(s *server, n int, w http.ResponseWriter, r *http.Request)
		// requests is how many there may be.
		requests int
	}{
		{"in one piece", nil, 1},
		{"cut again and again", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			s.plain(&cutter{w, piece}, r)
		}, 8},
		{"replaced by another file in the middle, and back", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				s.plain(&cutter{w, piece}, r)
			case 2: // If-Range does not hold: another file from its beginning
				w.Header().Set("ETag", `"v2"`)
				http.ServeContent(&cutter{w, piece}, r, "", time.Time{}, bytes.NewReader(other))
			default:
				s.plain(w, r)
			}
		}, 3},
		{"server that knows no ranges", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			if n == 1 {
				w = &cutter{w, piece}
			}
			s.plain(w, r)
		}, 2},
		{"server without an etag", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				t.Error("a range is asked for that nothing guards")
			}
			if n == 1 {
				w = &cutter{w, piece}
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
		}, 2},
		{"weak etag", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				t.Error("a weak etag guards a range")
			}
			w.Header().Set("ETag", `W/"v1"`)
			if n == 1 {
				w = &cutter{w, piece}
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
		}, 2},
		{"another range than asked for", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				s.plain(&cutter{w, piece}, r)
			case 2:
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", size-1, size))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(s.content)
			default:
				s.plain(w, r)
			}
		}, 3},
		{"range not satisfiable", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			switch n {
			case 1:
				s.plain(&cutter{w, piece}, r)
			case 2:
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			default:
				s.plain(w, r)
			}
		}, 3},
		{"unavailable for a moment", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			s.plain(w, r)
		}, 2},
		{"stalls in the middle", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				s.plain(w, r)
				return
			}
			w.Header().Set("ETag", s.etag)
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = w.Write(s.content[:piece])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, content, row.how)
			f := fetcher(t, s)
			if err := f.Fetch(t.Context(), target); err != nil {
				t.Fatal(err)
			}
			complete(t, f, target, content)
			if s.count() > row.requests {
				t.Errorf("%d requests, want at most %d", s.count(), row.requests)
			}
		})
	}
}

// TestResumeAfterRestart: another fetcher goes on where one was killed, also
// when what it finds is not what was written.
func TestResumeAfterRestart(t *testing.T) {
	content, target := artifact(1)
	for _, row := range []struct {
		name     string
		damage   func(t *testing.T, part string)
		requests int
	}{
		{"as it was left", func(*testing.T, string) {}, 1},
		{"corrupt part", func(t *testing.T, part string) { patch(t, part, 1000) }, 2},
		{"part longer than the file", func(t *testing.T, part string) {
			if err := os.WriteFile(part, make([]byte, size+1), 0o600); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"etag lost", func(t *testing.T, part string) {
			if err := os.Remove(strings.TrimSuffix(part, ".part") + ".etag"); err != nil {
				t.Fatal(err)
			}
		}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, kill := context.WithCancel(t.Context())
			first := serve(t, content, func(s *server, n int, w http.ResponseWriter, r *http.Request) {
				if n == 2 {
					kill()
				}
				s.plain(&cutter{w, size / 2}, r)
			})
			dir := t.TempDir()
			f, err := fetch.New(fetch.Config{BaseURL: first.URL, Dir: dir, Client: first.Client(), RetryMin: time.Millisecond, RetryMax: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Fetch(ctx, target); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			row.damage(t, f.File(target)+".part")
			second := serve(t, content, nil)
			f, err = fetch.New(fetch.Config{BaseURL: second.URL, Dir: dir, Client: second.Client(), RetryMin: time.Millisecond, RetryMax: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Fetch(t.Context(), target); err != nil {
				t.Fatal(err)
			}
			complete(t, f, target, content)
			if second.count() != row.requests {
				t.Errorf("%d requests, want %d", second.count(), row.requests)
			}
		})
	}
}

func patch(t *testing.T, name string, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("corrupt"), at); err != nil {
		t.Fatal(err)
	}
}

func TestFetchFails(t *testing.T) {
	content, target := artifact(1)
	other, _ := artifact(2)
	for _, row := range []struct {
		name        string
		how         func(s *server, n int, w http.ResponseWriter, r *http.Request)
		want        string
		unavailable bool
	}{
		{"other bytes", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(other))
		}, "not the signed file", false},
		{"longer file", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(append(bytes.Clone(content), 'x')))
		}, "more than the signed length", false},
		{"shorter file", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content[1:]))
		}, "the signed one 1048576", false},
		{"endless body", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := w.Write(content); err != nil {
					return
				}
			}
		}, "more than the signed length", false},
		{"not there", func(s *server, n int, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "404 Not Found", false},
		{"always unavailable", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}, "503 Service Unavailable", true},
		{"empty bodies", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
		}, "", true},
		{"forbidden for now", func(s *server, n int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
		}, "403 Forbidden", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, content, row.how)
			f := fetcher(t, s)
			err := f.Fetch(t.Context(), target)
			if err == nil || !strings.Contains(err.Error(), row.want) || errors.Is(err, update.ErrUnavailable) != row.unavailable {
				t.Errorf("error %v, want %q, unavailable %v", err, row.want, row.unavailable)
			}
			if _, err := os.Stat(f.File(target)); err == nil {
				t.Error("a failed download counts as complete")
			}
			if info, err := os.Stat(f.File(target) + ".part"); err == nil && info.Size() > size {
				t.Errorf("%d bytes were written", info.Size())
			}
			if err := f.Remove(target); err != nil {
				t.Error(err)
			}
			if left, _ := os.ReadDir(filepath.Dir(f.File(target))); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestServerGone(t *testing.T) {
	_, target := artifact(1)
	s := serve(t, nil, nil)
	f := fetcher(t, s)
	s.Close()
	if err := f.Fetch(t.Context(), target); !errors.Is(err, update.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := f.Get(t.Context(), "timestamp.json", 100); !errors.Is(err, update.ErrUnavailable) {
		t.Error(err)
	}
}

func TestVerifyFindsChangedFile(t *testing.T) {
	content, target := artifact(1)
	f := fetcher(t, serve(t, content, nil))
	if err := f.Fetch(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	patch(t, f.File(target), 7)
	if err := f.Verify(t.Context(), target); err == nil || !strings.Contains(err.Error(), "not the signed one") {
		t.Error(err)
	}
	if _, err := os.Stat(f.File(target)); err == nil {
		t.Error("the changed file is still there")
	}
}

func TestGet(t *testing.T) {
	s := serve(t, []byte("0123456789"), func(s *server, _ int, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/tuf/timestamp.json":
			s.plain(w, r)
		case "/tuf/broken.json":
			w.WriteHeader(http.StatusBadGateway)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	f := fetcher(t, s)
	if data, err := f.Get(t.Context(), "timestamp.json", 10); err != nil || string(data) != "0123456789" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := f.Get(t.Context(), "timestamp.json", 9); err == nil || errors.Is(err, update.ErrUnavailable) {
		t.Errorf("too long: %v", err)
	}
	if _, err := f.Get(t.Context(), "2.root.json", 10); !errors.Is(err, fetch.ErrNotFound) {
		t.Errorf("missing: %v", err)
	}
	if _, err := f.Get(t.Context(), "broken.json", 10); !errors.Is(err, update.ErrUnavailable) {
		t.Errorf("broken: %v", err)
	}
}

func TestNew(t *testing.T) {
	for _, cfg := range []fetch.Config{
		{BaseURL: "", Dir: "x"}, {BaseURL: "ftp://x/", Dir: "x"}, {BaseURL: "http://", Dir: "x"}, {BaseURL: "http://x/"}, {BaseURL: "http://a b/", Dir: "x"},
	} {
		if _, err := fetch.New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
