// Package trust decides on the device whether an update is what its owner
// signed. It keeps the trusted metadata of a repository in a folder, refreshes
// it by the rules of The Update Framework, answers which artifact a target
// name stands for, and checks the signed fields against the device.
//
// It never downloads artifacts, never installs, never reads a clock, and never
// stops a device that runs: expired or refused metadata only means that
// nothing new is installed.
//
// Read on in refresh.go (the order of the rules), then check.go (the device's
// own rules over signed fields).
package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuf"
	"github.com/muster-iot/muster/internal/durable"
)

// ErrNotFound is what a [Fetcher] wraps when the repository does not have a
// file or does not show it (HTTP 403, 404, 410).
var ErrNotFound = errors.New("not in the repository")

// ErrNotRefreshed is returned by [Verifier.Target] when the last refresh
// failed or none was made: there is no set of metadata to answer from.
var ErrNotRefreshed = errors.New("firmware metadata is not refreshed")

// Fetcher reads a file of the repository. name is relative to the repository's
// URL, as "timestamp.json" or "3.root.json". A file larger than maxBytes must
// end in an error after at most maxBytes+1 bytes have been read.
type Fetcher interface {
	Fetch(ctx context.Context, name string, maxBytes int64) ([]byte, error)
}

// Config says where trust is kept and where metadata comes from.
type Config struct {
	// Dir keeps the trusted metadata; it is created with mode 0700.
	Dir string
	// FS is used in place of Dir when it is set.
	FS durable.FS
	// Root is the initial root metadata that came with the device. It is used
	// only while Dir has none.
	Root []byte
	// Fetch reads the repository.
	Fetch Fetcher
	// BuildTime is a time known to have passed, such as that of the program's
	// build; zero is none. [Verifier.Floor] never lies below it.
	BuildTime time.Time
}

// Verifier is the trusted view of one repository. Refresh and Target may be
// called from any goroutine; refreshes run one after the other. Close it when
// it is no longer needed.
type Verifier struct {
	fetch     Fetcher
	buildTime time.Time

	// mu serialises refreshes and owns what follows.
	mu   sync.Mutex
	disk durable.Disk
	root []byte // newest trusted root metadata, as stored

	floor   atomic.Pointer[floor]
	targets atomic.Pointer[metadata.TargetsType] // nil until a refresh succeeds

	close func() error
}

// Open loads the trusted root of cfg.Dir, or takes and stores cfg.Root when
// the folder has none. A stored root that is damaged is an error, never a
// reason to fall back to an older one.
func Open(cfg Config) (*Verifier, error) {
	if cfg.Fetch == nil {
		return nil, errors.New("trust needs a fetcher")
	}
	v := &Verifier{fetch: cfg.Fetch, buildTime: cfg.BuildTime.UTC(), close: func() error { return nil }}
	v.disk.FS = cfg.FS
	if cfg.FS == nil {
		if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("cannot create the trust folder: %w", err)
		}
		dir, err := durable.OpenOS(cfg.Dir)
		if err != nil {
			return nil, fmt.Errorf("cannot open the trust folder: %w", err)
		}
		v.disk.FS, v.close = dir, dir.Close
	}
	if err := v.loadRoot(cfg); err != nil {
		_ = v.close()
		return nil, err
	}
	v.floor.Store(loadFloor(v.disk))
	return v, nil
}

// Close releases the folder.
func (v *Verifier) Close() error { return v.close() }

func (v *Verifier) loadRoot(cfg Config) error {
	data, err := v.disk.ReadFile(rootFile)
	if errors.Is(err, fs.ErrNotExist) {
		return v.firstRoot(cfg)
	}
	if err != nil {
		return fmt.Errorf("cannot read the trusted root: %w", err)
	}
	if _, err := newSet(data); err != nil {
		return fmt.Errorf("trusted root %s/%s is damaged: %w; empty the folder and start with the root that the device was enrolled with",
			cfg.Dir, rootFile, err)
	}
	v.root = data
	return nil
}

func (v *Verifier) firstRoot(cfg Config) error {
	if len(cfg.Root) == 0 {
		return fmt.Errorf("no firmware root: %s has none and none was given; enrol the device with the root.json of muster firmware init", cfg.Dir)
	}
	if _, err := newSet(cfg.Root); err != nil {
		return fmt.Errorf("the given firmware root cannot be trusted: %w", err)
	}
	if err := v.disk.WriteFile(rootFile, cfg.Root, 0o600); err != nil {
		return err
	}
	v.root = cfg.Root
	return nil
}

// RootVersion returns the version of the trusted root.
func (v *Verifier) RootVersion() int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	root, err := tuf.ParseRoot(v.root)
	if err != nil {
		return 0
	}
	return root.Signed.Version
}

// Target returns the signed target of the given path, from the metadata of the
// last successful refresh. A path that is not listed, or is listed with fields
// that no device may act on, is a [*Refusal].
func (v *Verifier) Target(path string) (firmware.Target, error) {
	set := v.targets.Load()
	if set == nil {
		return firmware.Target{}, ErrNotRefreshed
	}
	if err := firmware.CheckPath(path); err != nil {
		return firmware.Target{}, &Refusal{Reason: ReasonUnknownTarget, Detail: err.Error()}
	}
	file := set.Targets[path]
	if file == nil {
		return firmware.Target{}, refuse(ReasonUnknownTarget, "target %s is not in the signed release list", path)
	}
	t, err := tuf.Target(path, file)
	if err != nil {
		return firmware.Target{}, &Refusal{Reason: ReasonBadTarget, Detail: err.Error()}
	}
	return t, nil
}

// Floor is a time that has certainly passed: the newest verified signing time
// of the repository's timestamp, or the build time if that is later. It
// survives restarts. Devices without a battery clock take
// max(system clock, Floor) as their time.
func (v *Verifier) Floor() time.Time {
	if f := v.floor.Load(); f.issued.After(v.buildTime) {
		return f.issued
	}
	return v.buildTime
}
