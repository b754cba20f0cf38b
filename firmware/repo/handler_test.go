package repo_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuftest"
	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/protocol"
)

// serve runs a repository on a loopback port.
func serve(t testing.TB, r *repo.Repository) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/tuf/", r.Serve())
	operate := r.Operate(slog.New(slog.NewTextHandler(io.Discard, nil)))
	mux.Handle("/muster/v1/repository", operate)
	mux.Handle("/muster/v1/repository/", operate)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

type answer struct {
	*http.Response
	body string
}

func do(t testing.TB, method, url string, body io.Reader, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(data)}
}

func published(t testing.TB) (*repo.Repository, *httptest.Server, firmware.Target) {
	t.Helper()
	r := open(t, repo.Config{MaxArtifact: 1000})
	o := operator(t, r)
	store(t, r, 5)
	publish(t, r, start, o.Bundle())
	return r, serve(t, r), r.Targets()[0]
}

func TestServeArtifactWithRanges(t *testing.T) {
	_, s, target := published(t)
	url := s.URL + "/tuf/" + target.File()
	content := string(tuftest.Content(tuftest.Custom(5)))
	whole := do(t, "GET", url, nil)
	etag := whole.Header.Get("ETag")
	if whole.body != content || etag != `"`+target.SHA256.String()+`"` || !strings.Contains(whole.Header.Get("Cache-Control"), "immutable") {
		t.Fatalf("%s %v", whole.body, whole.Header)
	}
	rows := []struct {
		name   string
		header []string
		status int
		body   string
	}{
		{"the rest", []string{"Range", "bytes=9-"}, 206, content[9:]},
		{"if unchanged", []string{"Range", "bytes=9-", "If-Range", etag}, 206, content[9:]},
		{"if another", []string{"Range", "bytes=9-", "If-Range", `"other"`}, 200, content},
		{"beyond the end", []string{"Range", "bytes=99999-"}, 416, ""},
		{"known already", []string{"If-None-Match", etag}, 304, ""},
	}
	for _, row := range rows {
		got := do(t, "GET", url, nil, row.header...)
		if got.StatusCode != row.status || row.body != "" && got.body != row.body {
			t.Errorf("%s: %d %q", row.name, got.StatusCode, got.body)
		}
	}
	if head := do(t, "HEAD", url, nil); head.StatusCode != 200 || head.ContentLength != target.Length {
		t.Errorf("HEAD: %d, %d bytes", head.StatusCode, head.ContentLength)
	}
}

func TestServeMetadata(t *testing.T) {
	_, s, _ := published(t)
	for name, cache := range map[string]string{"timestamp.json": "max-age=60", "1.root.json": "immutable", "1.targets.json": "immutable"} {
		got := do(t, "GET", s.URL+"/tuf/"+name, nil)
		if got.StatusCode != 200 || !strings.Contains(got.Header.Get("Cache-Control"), cache) || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", name, got.StatusCode, got.Header)
		}
		again := do(t, "GET", s.URL+"/tuf/"+name, nil, "If-None-Match", got.Header.Get("ETag"))
		if again.StatusCode != 304 {
			t.Errorf("%s again: %d", name, again.StatusCode)
		}
	}
}

func TestServeNothingElse(t *testing.T) {
	r, s, target := published(t)
	extra := []byte("uploaded, but in no release")
	if err := r.Store(sha256.Sum256(extra), bytes.NewReader(extra)); err != nil {
		t.Fatal(err)
	}
	sum := target.SHA256.String()
	for _, path := range []string{
		"/tuf/", "/tuf/2.root.json", "/tuf/root.json", "/tuf/0.root.json", "/tuf/01.root.json", "/tuf/.timestamp.json.tmp",
		"/tuf/online.key", "/tuf/..%2fonline.key", "/tuf/targets/..%2f..%2fonline.key", "/tuf/targets/%2e%2e/%2e%2e/online.key",
		"/tuf/targets/", "/tuf/targets/" + sum, "/tuf/targets/app/" + sum, "/tuf/targets/" + sum + ".x", "/tuf/targets/app/app-5.tar.zst",
		"/tuf/targets/app/" + strings.ToUpper(sum) + ".x", "/tuf/targets/app/../app/" + strings.Repeat("0", 64) + ".x",
		"/tuf/targets/app/" + strings.Repeat("0", 64) + ".x", "/tuf/9999999999999999999999.root.json", "/tuf/targets/" + strings.Repeat("a/", 500) + sum + ".x",
	} {
		got := do(t, "GET", s.URL+path, nil)
		if got.StatusCode != 404 && got.StatusCode != 307 && got.StatusCode != 301 {
			t.Errorf("%s: %d %q", path, got.StatusCode, got.body)
		}
		if strings.Contains(got.body, "seed") {
			t.Errorf("%s gave the key", path)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		if got := do(t, method, s.URL+"/tuf/timestamp.json", nil); got.StatusCode < 400 {
			t.Errorf("%s: %d", method, got.StatusCode)
		}
	}
}

// operatorNow is an operator whose signatures last whatever the date is: over
// HTTP the repository takes the system's clock.
func operatorNow(t testing.TB, r *repo.Repository) *tuftest.Repo {
	t.Helper()
	o := operator(t, r)
	o.Root.Signed.Expires = time.Now().AddDate(5, 0, 0).UTC()
	o.Targets.Signed.Expires = time.Now().AddDate(1, 0, 0).UTC()
	o.SignRoot(o.RootKey)
	o.SignTargets(o.TargetsKey)
	return o
}

func problemOf(t testing.TB, a answer) (code, message string) {
	t.Helper()
	var p struct{ Code, Message string }
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Message == "" {
		t.Fatalf("%d answer is no problem: %q", a.StatusCode, a.body)
	}
	return p.Code, p.Message
}

func TestUpload(t *testing.T) {
	dir := t.TempDir()
	r := open(t, repo.Config{Dir: dir, MaxArtifact: 1000})
	s := serve(t, r)
	data := "some bytes"
	sum := firmware.Digest(sha256.Sum256([]byte(data))).String()
	at := s.URL + "/muster/v1/repository/artifacts/"
	long := strings.Repeat("x", 1001)
	longSum := firmware.Digest(sha256.Sum256([]byte(long))).String()
	rows := []struct {
		name, sum string
		body      io.Reader
		status    int
		text      string
	}{
		{"other bytes", sum, strings.NewReader("other bytes"), 400, "arrived with SHA-256"},
		{"no bytes", sum, nil, 400, "arrived with SHA-256"},
		{"no digest", "abc", strings.NewReader(data), 400, "not a SHA-256"},
		{"digest in capitals", strings.ToUpper(sum), strings.NewReader(data), 400, "not a SHA-256"},
		{"digest that leaves", "..%2f..%2fonline.key", strings.NewReader(data), 400, "not a SHA-256"},
		{"too large by its length", longSum, strings.NewReader(long), 413, "larger than"},
		{"too large without a length", longSum, io.MultiReader(strings.NewReader(long)), 413, "larger than"},
		{"good", sum, strings.NewReader(data), 201, ""},
		{"again", sum, strings.NewReader("whatever"), 200, ""},
	}
	for _, row := range rows {
		got := do(t, "POST", at+row.sum, row.body)
		if got.StatusCode != row.status {
			t.Errorf("%s: %d %s", row.name, got.StatusCode, got.body)
			continue
		}
		if row.status < 300 {
			continue
		}
		if _, message := problemOf(t, got); !strings.Contains(message, row.text) {
			t.Errorf("%s: %s", row.name, message)
		}
	}
	if got := do(t, "GET", at+sum, nil); got.StatusCode != 200 {
		t.Errorf("stored: %d", got.StatusCode)
	}
	if got := do(t, "GET", at+longSum, nil); got.StatusCode != 404 {
		t.Errorf("not stored: %d", got.StatusCode)
	}
	left, err := os.ReadDir(filepath.Join(dir, "incoming"))
	if err != nil || len(left) != 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	stored, err := os.ReadFile(filepath.Join(dir, "artifacts", sum))
	if err != nil || string(stored) != data {
		t.Errorf("stored %q %v", stored, err)
	}
}

func TestUploadCutInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	r := open(t, repo.Config{Dir: dir})
	s := serve(t, r)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("a", 64)
	_, err = io.WriteString(conn, "POST /muster/v1/repository/artifacts/"+sum+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	s.Close() // waits for the handler
	if r.HasArtifact(firmware.Digest{}) {
		t.Error("stored")
	}
	for _, sub := range []string{"incoming", "artifacts"} {
		left, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil || len(left) != 0 {
			t.Errorf("%s holds %v (%v)", sub, left, err)
		}
	}
}

func TestLeftoverUploadsGoAtStart(t *testing.T) {
	dir := t.TempDir()
	open(t, repo.Config{Dir: dir})
	if err := os.WriteFile(filepath.Join(dir, "incoming", "half"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, repo.Config{Dir: dir})
	if left, err := os.ReadDir(filepath.Join(dir, "incoming")); err != nil || len(left) != 0 {
		t.Fatalf("%v %v", left, err)
	}
}

func TestPublishOverHTTP(t *testing.T) {
	r := open(t, repo.Config{})
	s := serve(t, r)
	at := s.URL + "/muster/v1/repository/publish"
	for name, row := range map[string]struct {
		body   string
		status int
	}{
		"no JSON":        {"<xml/>", 400},
		"empty":          {"", 400},
		"null":           {"null", 400},
		"empty bundle":   {"{}", 400},
		"not base64":     {`{"targets":"%%%"}`, 400},
		"roots not list": {`{"roots":7}`, 400},
		"deep":           {strings.Repeat(`{"roots":[`, 20000), 400},
		"too large":      {strings.Repeat(" ", 13<<20), 413},
	} {
		got := do(t, "POST", at, strings.NewReader(row.body))
		if got.StatusCode != row.status {
			t.Errorf("%s: %d %.200s", name, got.StatusCode, got.body)
		}
		problemOf(t, got)
	}
	o := operatorNow(t, r)
	body, err := json.Marshal(o.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	got := do(t, "POST", at, bytes.NewReader(body))
	if code, message := problemOf(t, got); got.StatusCode != 400 || code != string(protocol.InvalidRequest) || !strings.Contains(message, "not uploaded") {
		t.Errorf("without artifact: %d %s", got.StatusCode, got.body)
	}
	store(t, r, 5)
	if got := do(t, "POST", at, bytes.NewReader(body)); got.StatusCode != 200 || !strings.Contains(got.body, `"timestamp"`) {
		t.Errorf("good: %d %s", got.StatusCode, got.body)
	}
	if got := do(t, "GET", s.URL+"/muster/v1/repository", nil); got.StatusCode != 200 || !strings.Contains(got.body, r.OnlineKey().String()) {
		t.Errorf("status: %d %s", got.StatusCode, got.body)
	}
}

func TestClientErrorsNameTheServer(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/repository") {
			_, _ = io.WriteString(w, "<html>hello</html>")
			return
		}
		http.Error(w, "bad gateway", http.StatusBadGateway)
	}))
	defer web.Close()
	for server, want := range map[string]string{
		web.URL:              "does not answer like a Muster server",
		"http://127.0.0.1:1": "cannot reach the server",
		"127.0.0.1:8080":     "is not a URL",
		"ftp://host":         "is not a URL",
		"":                   "is not a URL",
	} {
		_, err := repo.Client{URL: server}.Status(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", server, err)
		}
	}
}

// FuzzPublish takes any bytes as a publication: it ends in an answer, and
// nothing is published that was not signed.
func FuzzPublish(f *testing.F) {
	r := open(f, repo.Config{Dir: filepath.Join(f.TempDir(), "firmware")})
	o := operatorNow(f, r)
	store(f, r, 5)
	publish(f, r, time.Now(), o.Bundle())
	f.Add(o.Bundle().Roots[0], o.Bundle().Targets)
	f.Add([]byte(`{"signed":{"_type":"root","keys":{"a":null},"roles":{"root":null}},"signatures":null}`), []byte(`{"signed":{"_type":"targets","targets":{"a":null}},"signatures":null}`))
	f.Fuzz(func(t *testing.T, root, targets []byte) {
		_ = r.Publish(time.Now(), firmware.Bundle{Roots: [][]byte{root}, Targets: targets})
		if list := r.Targets(); len(list) != 1 || list[0].Path != tuftest.Path(5) {
			t.Fatalf("published %+v", list)
		}
	})
}
