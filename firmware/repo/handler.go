package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/ownapi"
)

// Serve returns the read-only repository under /tuf/. It needs no
// authentication: devices believe signatures, not the server.
//
//	GET /tuf/timestamp.json                      the entry, cacheable for a minute
//	GET /tuf/3.root.json, 17.targets.json, ...   versioned metadata, for ever
//	GET /tuf/targets/app/<sha256>.app-6.tar.zst  artifacts, for ever, with Range
func (r *Repository) Serve() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /tuf/targets/{path...}", r.serveArtifact)
	mux.HandleFunc("GET /tuf/{name}", r.serveMetadata)
	mux.HandleFunc("/", notFound)
	return mux
}

var versionedForm = regexp.MustCompile(`^[1-9][0-9]{0,18}\.(root|snapshot|targets)\.json$`)

const (
	cacheForEver = "public, max-age=31536000, immutable"
	cacheShort   = "public, max-age=60"
)

func (r *Repository) serveMetadata(w http.ResponseWriter, req *http.Request) {
	name, cache := req.PathValue("name"), cacheForEver
	switch {
	case name == "timestamp.json":
		cache = cacheShort
	case !versionedForm.MatchString(name):
		notFound(w, req)
		return
	}
	data, err := r.read(name)
	if err != nil {
		missing(w, req, err)
		return
	}
	sum := sha256.Sum256(data)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", cache)
	h.Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
	http.ServeContent(w, req, "", time.Time{}, strings.NewReader(string(data)))
}

// serveArtifact finds an artifact by the digest in its name; the rest of the
// path only has to look like a target's.
func (r *Repository) serveArtifact(w http.ResponseWriter, req *http.Request) {
	dir, base := path.Split(req.PathValue("path"))
	sum, name, ok := strings.Cut(base, ".")
	digest, err := firmware.ParseDigest(sum)
	if !ok || err != nil || firmware.CheckPath(dir+name) != nil {
		notFound(w, req)
		return
	}
	f, err := r.dir.Open(artifactName(digest))
	if err != nil {
		missing(w, req, err)
		return
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", cacheForEver)
	h.Set("ETag", `"`+digest.String()+`"`)
	http.ServeContent(w, req, "", time.Time{}, f)
}

func notFound(w http.ResponseWriter, req *http.Request) {
	fail(w, protocol.Errorf(protocol.NotFound, "the firmware repository has no %s", req.URL.Path))
}

// missing answers for a file that cannot be opened.
func missing(w http.ResponseWriter, req *http.Request, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		notFound(w, req)
		return
	}
	fail(w, err)
}

// fail answers with an error as JSON. What is not meant for users becomes an
// internal failure without details.
func fail(w http.ResponseWriter, err error) {
	p := ownapi.Failure{Code: protocol.Internal, Message: "the firmware repository failed; see the server's log"}
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		p = ownapi.Failure{Code: e.Code, Message: e.Message}
	}
	w.Header().Set("Cache-Control", "no-store")
	answer(w, statusOf(p.Code), p)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the peer is gone if it fails
}

func statusOf(code protocol.Code) int {
	switch code {
	case protocol.InvalidRequest:
		return http.StatusBadRequest
	case protocol.Forbidden:
		return http.StatusForbidden
	case protocol.NotFound:
		return http.StatusNotFound
	case protocol.Conflict, protocol.VersionConflict, protocol.AlreadyExists:
		return http.StatusConflict
	case protocol.TooLarge:
		return http.StatusRequestEntityTooLarge
	case protocol.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
