package repo

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuf"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/protocol"
)

// Paths of the operator's side, below the server's URL.
const (
	apiPath       = "/muster/v1/repository"
	artifactsPath = apiPath + "/artifacts/"
	publishPath   = apiPath + "/publish"
)

// maxBundle bounds the JSON of a publication: roots and targets in base64.
const maxBundle = (tuf.MaxTargets + 8*tuf.MaxRoot) * 4 / 3

// stall is how long an upload may send nothing.
const stall = time.Minute

// Operate returns the operator's side under /muster/v1/repository. Who may
// reach it is the caller's business; what is published is decided by
// signatures all the same. Failures that are not the caller's go to log.
//
//	GET  /muster/v1/repository                      [Status]
//	HEAD /muster/v1/repository/artifacts/{sha256}   200 or 404
//	POST /muster/v1/repository/artifacts/{sha256}   the bytes; 201, or 200 if there
//	POST /muster/v1/repository/publish              a [firmware.Bundle]; 200 with [Status]
func (r *Repository) Operate(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			err := f(w, req)
			if err == nil {
				return
			}
			if protocol.CodeOf(err) == protocol.Internal {
				log.Error("firmware repository failed", "path", req.URL.Path, "error", err)
			}
			fail(w, err)
		})
	}
	handle("GET "+apiPath, r.getStatus)
	handle("GET "+artifactsPath+"{sha256}", r.getArtifact)
	handle("POST "+artifactsPath+"{sha256}", r.postArtifact)
	handle("POST "+publishPath, r.postBundle)
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) { notFound(w, req) })
	return mux
}

func (r *Repository) getStatus(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, r.Status())
	return nil
}

// stored answers about an artifact.
type stored struct {
	SHA256 firmware.Digest `json:"sha256"`
}

func (r *Repository) getArtifact(w http.ResponseWriter, req *http.Request) error {
	d, err := digestOf(req)
	if err != nil {
		return err
	}
	if !r.HasArtifact(d) {
		return protocol.Errorf(protocol.NotFound, "artifact %s is not uploaded", d)
	}
	answer(w, http.StatusOK, stored{d})
	return nil
}

func digestOf(req *http.Request) (firmware.Digest, error) {
	d, err := firmware.ParseDigest(req.PathValue("sha256"))
	if err != nil {
		return d, invalid("%v", err)
	}
	return d, nil
}

func (r *Repository) postArtifact(w http.ResponseWriter, req *http.Request) error {
	d, err := digestOf(req)
	if err != nil {
		return err
	}
	if r.HasArtifact(d) {
		answer(w, http.StatusOK, stored{d})
		return nil
	}
	if req.ContentLength > r.maxArtifact {
		return tooLarge(d, r.maxArtifact)
	}
	body := &moving{ctl: http.NewResponseController(w), body: req.Body}
	if err := r.Store(d, body); err != nil {
		return err
	}
	answer(w, http.StatusCreated, stored{d})
	return nil
}

// moving is an upload that must keep moving: each read gets its own deadline.
type moving struct {
	ctl  *http.ResponseController
	body io.Reader
}

func (m *moving) Read(p []byte) (int, error) {
	_ = m.ctl.SetReadDeadline(time.Now().Add(stall)) // not every server can
	n, err := m.body.Read(p)
	if err != nil && err != io.EOF {
		err = invalid("the upload ended early: %v", err)
	}
	return n, err
}

// Store keeps an artifact under its digest, which it verifies while it
// writes: nothing is ever stored under a digest that is not its own.
func (r *Repository) Store(d firmware.Digest, body io.Reader) (err error) {
	tmp := incomingDir + "/" + rand.Text()
	f, err := r.dir.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("cannot store artifact: %w", err)
	}
	defer func() {
		if err != nil {
			_ = r.dir.Remove(tmp)
		}
	}()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(body, r.maxArtifact+1))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	switch {
	case err != nil:
		return fmt.Errorf("cannot store artifact %s: %w", d, err)
	case n > r.maxArtifact:
		return tooLarge(d, r.maxArtifact)
	}
	if got := firmware.Digest(h.Sum(nil)); got != d {
		return invalid("artifact %s arrived with SHA-256 %s: damaged on the way, or not the right file", d, got)
	}
	if err := r.dir.Rename(tmp, artifactName(d)); err != nil {
		return fmt.Errorf("cannot store artifact %s: %w", d, err)
	}
	return durable.SyncDir(filepath.Join(r.dir.Name(), artifactsDir))
}

func tooLarge(d firmware.Digest, limit int64) error {
	return protocol.Errorf(protocol.TooLarge, "artifact %s is larger than the server's limit of %d bytes", d, limit)
}

func (r *Repository) postBundle(w http.ResponseWriter, req *http.Request) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBundle))
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return protocol.Errorf(protocol.TooLarge, "the bundle is larger than %d bytes", int64(maxBundle))
	}
	if err != nil {
		return invalid("cannot read the bundle: %v", err)
	}
	var b firmware.Bundle
	if err := json.Unmarshal(data, &b); err != nil {
		return invalid("not a bundle: %v", err)
	}
	if err := r.Publish(time.Now(), b); err != nil {
		return err
	}
	answer(w, http.StatusOK, r.Status())
	return nil
}
