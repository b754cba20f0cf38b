// Package repo is the server's firmware repository: it takes artifacts and
// metadata that the operator signed, verifies both, publishes them as a TUF
// repository with consistent snapshots and serves that over HTTP.
//
// It owns one folder and the online key in it, which may sign only snapshot
// and timestamp: which of the operator's releases are current, and that they
// still are. It can never make a release, so whoever captures the server cannot.
//
// Read on in publish.go (what is verified and in which order it is written),
// resign.go (the daily signature), handler.go and upload.go (HTTP), client.go
// (the operator's end of it).
package repo

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuf"
	"github.com/muster-iot/muster/internal/durable"
)

// Folders and files of a repository.
const (
	keyFile      = "online.key"
	metadataDir  = "metadata"
	artifactsDir = "artifacts"
	incomingDir  = "incoming"
)

// Config describes a repository. Zero fields take their defaults.
type Config struct {
	// Dir is the repository's folder; it is created with mode 0700.
	Dir string
	// NotBefore returns a time known to have passed, such as that of the last
	// commit: with a clock below it nothing is signed. Nil is none.
	NotBefore func() time.Time
	// Metadata is used in place of Dir/metadata when it is set.
	Metadata durable.FS
	// MaxArtifact bounds an uploaded artifact in bytes; default 4 GiB.
	MaxArtifact int64
}

// Repository serves and updates one folder. All methods may be called from
// any goroutine.
type Repository struct {
	dir         *os.Root     // artifacts, uploads, key
	disk        durable.Disk // metadata
	key         ed25519.PrivateKey
	notBefore   func() time.Time
	maxArtifact int64

	mu    sync.Mutex            // serialises what writes metadata
	state atomic.Pointer[state] // what is published; replaced whole

	close []func() error
}

// state is the metadata in force. Before the first publication only zero values.
type state struct {
	root        *metadata.Metadata[metadata.RootType]
	targets     *metadata.Metadata[metadata.TargetsType]
	targetsFile []byte
	snapshot    *metadata.Metadata[metadata.SnapshotType]
	timestamp   *metadata.Metadata[metadata.TimestampType]
	issued      time.Time // when timestamp was signed
	list        []firmware.Target
}

// Open opens or creates the repository in cfg.Dir and makes its online key at
// the first start. A publication that a crash cut short is finished when the
// next signature is made: call [Repository.Resign] or Run after Open.
func Open(cfg Config) (*Repository, error) {
	if cfg.NotBefore == nil {
		cfg.NotBefore = func() time.Time { return time.Time{} }
	}
	if cfg.MaxArtifact == 0 {
		cfg.MaxArtifact = 4 << 30
	}
	for _, sub := range []string{metadataDir, artifactsDir, incomingDir} {
		if err := durable.MkdirAll(filepath.Join(cfg.Dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("cannot create the firmware repository: %w", err)
		}
	}
	dir, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the firmware repository: %w", err)
	}
	r := &Repository{dir: dir, notBefore: cfg.NotBefore, maxArtifact: cfg.MaxArtifact, close: []func() error{dir.Close}}
	r.disk.FS = cfg.Metadata
	if err := r.load(filepath.Join(cfg.Dir, metadataDir)); err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("cannot open the firmware repository %s: %w", cfg.Dir, err)
	}
	return r, nil
}

// Close releases the folder.
func (r *Repository) Close() (err error) {
	for _, c := range r.close {
		err = errors.Join(err, c())
	}
	return err
}

func (r *Repository) load(metadataPath string) (err error) {
	if r.disk.FS == nil {
		folder, err := durable.OpenOS(metadataPath)
		if err != nil {
			return err
		}
		r.disk.FS = folder
		r.close = append(r.close, folder.Close)
	}
	if err := r.clearIncoming(); err != nil {
		return err
	}
	if r.key, err = onlineKey(r.dir); err != nil {
		return err
	}
	s, err := r.loadState()
	if err != nil {
		return err
	}
	r.state.Store(s)
	return nil
}

// clearIncoming removes uploads that an earlier run left unfinished.
func (r *Repository) clearIncoming() error {
	entries, err := fs.ReadDir(r.dir.FS(), incomingDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := r.dir.Remove(incomingDir + "/" + e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// OnlineKey returns the public half of the key that signs snapshot and
// timestamp. The operator's root has to list it for both.
func (r *Repository) OnlineKey() (p firmware.PublicKey) {
	copy(p[:], r.key.Public().(ed25519.PublicKey))
	return p
}

// Targets lists what is published, by product and seq.
func (r *Repository) Targets() []firmware.Target { return r.state.Load().list }

// Status describes the published roles; it is empty before the first
// publication.
type Status struct {
	OnlineKey firmware.PublicKey    `json:"onlineKey"`
	Roles     []firmware.RoleStatus `json:"roles"`
	// Issued is when the timestamp was signed.
	Issued time.Time `json:"issued,omitzero"`
	// Targets is the number of published targets.
	Targets int `json:"targets"`
}

// Status says which version of each role is in force and until when.
func (r *Repository) Status() Status {
	s := r.state.Load()
	out := Status{OnlineKey: r.OnlineKey(), Issued: s.issued, Targets: len(s.list), Roles: []firmware.RoleStatus{}}
	if s.root == nil {
		return out
	}
	role := func(name string, version int64, expires time.Time) {
		st := tuf.Status(&s.root.Signed, name)
		st.Version, st.Expires = version, expires
		out.Roles = append(out.Roles, st)
	}
	role(metadata.ROOT, s.root.Signed.Version, s.root.Signed.Expires)
	if s.targets != nil {
		role(metadata.TARGETS, s.targets.Signed.Version, s.targets.Signed.Expires)
	}
	if s.snapshot != nil {
		role(metadata.SNAPSHOT, s.snapshot.Signed.Version, s.snapshot.Signed.Expires)
	}
	if s.timestamp != nil {
		role(metadata.TIMESTAMP, s.timestamp.Signed.Version, s.timestamp.Signed.Expires)
	}
	return out
}

// HasArtifact reports whether an artifact is stored.
func (r *Repository) HasArtifact(d firmware.Digest) bool {
	info, err := r.dir.Lstat(artifactName(d))
	return err == nil && info.Mode().IsRegular()
}

func artifactName(d firmware.Digest) string { return artifactsDir + "/" + d.String() }

// checkArtifact says whether the stored artifact of a target is complete. Its
// digest was verified when it was stored under it.
func (r *Repository) checkArtifact(t firmware.Target) error {
	info, err := r.dir.Lstat(artifactName(t.SHA256))
	if errors.Is(err, fs.ErrNotExist) {
		return invalid("target %s: its artifact %s is not uploaded", t.Path, t.SHA256)
	}
	if err != nil {
		return fmt.Errorf("cannot read artifact of %s: %w", t.Path, err)
	}
	if info.Size() != t.Length {
		return invalid("target %s: its artifact has %d bytes, signed are %d", t.Path, info.Size(), t.Length)
	}
	return nil
}
