package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/muster-iot/muster/agent/journal"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
)

// Names in an install folder.
const (
	currentLink    = "current"
	previousLink   = "previous"
	incomingPrefix = ".incoming-"
	trashPrefix    = ".trash-"
	releasePrefix  = ".release-"
)

func (a *AppDir) versions() string { return filepath.Join(a.cfg.Dir, "versions") }

// link returns the folder name that a symlink names; "" when there is none.
func (a *AppDir) link(which string) (string, error) {
	target, err := os.Readlink(filepath.Join(a.cfg.Dir, which))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("%s of product %s is not a symlink to a version: %w", which, a.cfg.Product, err)
	}
	return filepath.Base(target), nil
}

// point replaces a symlink in one rename, durably.
func (a *AppDir) point(which, name string) error {
	link := filepath.Join(a.cfg.Dir, which)
	tmp := filepath.Join(a.cfg.Dir, "."+which+".tmp")
	err := os.Remove(tmp)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.Symlink(filepath.Join("versions", name), tmp)
	}
	if err == nil {
		err = os.Rename(tmp, link)
	}
	if err == nil {
		err = syncDir(a.cfg.Dir)
	}
	if err != nil {
		return fmt.Errorf("cannot point %s of product %s at version folder %s: %w", which, a.cfg.Product, name, err)
	}
	return nil
}

func (a *AppDir) unlink(which string) error {
	if err := os.Remove(filepath.Join(a.cfg.Dir, which)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s of product %s: %w", which, a.cfg.Product, err)
	}
	return syncDir(a.cfg.Dir)
}

// release reads which target a version folder is.
func (a *AppDir) release(name string) (r update.Release, ok bool) {
	data, err := os.ReadFile(filepath.Join(a.versions(), releasePrefix+name+".json"))
	return r, err == nil && json.Unmarshal(data, &r) == nil && r.Version != ""
}

func (a *AppDir) saveRelease(name string, t firmware.Target) error {
	data, err := json.Marshal(update.ReleaseOf(t))
	if err == nil {
		err = journal.OS{}.WriteFile(filepath.Join(a.versions(), releasePrefix+name+".json"), data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot record version %s: %w", t.Custom.Version, err)
	}
	return nil
}

// holds reports whether a version folder is a certain target. A folder that
// was not made here has no record and only its name to go by.
func (a *AppDir) holds(name, sha256 string) bool {
	r, ok := a.release(name)
	return ok && r.SHA256 == sha256
}

// find returns the folder of a release: by what is recorded for it, or by its
// name alone when the release has no known hash.
func (a *AppDir) find(sha256 string, names ...string) (string, error) {
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(a.versions(), name)); name == "" || err != nil || !info.IsDir() {
			continue
		}
		if sha256 == "" || a.holds(name, sha256) {
			return name, nil
		}
	}
	return "", fmt.Errorf("version %s of product %s is not in %s", names[0], a.cfg.Product, a.versions())
}

// discard removes a version: out of sight in one rename, then bit by bit.
func (a *AppDir) discard(name string) error {
	trash := filepath.Join(a.versions(), trashPrefix+name)
	err := os.RemoveAll(trash)
	if err == nil {
		err = os.Rename(filepath.Join(a.versions(), name), trash)
	}
	if err == nil {
		err = syncDir(a.versions())
	}
	if err == nil {
		err = errors.Join(os.RemoveAll(trash), ignoreMissing(os.Remove(filepath.Join(a.versions(), releasePrefix+name+".json"))))
	}
	if err != nil {
		return fmt.Errorf("cannot remove version folder %s of product %s: %w", name, a.cfg.Product, err)
	}
	return nil
}

// sweep removes what an interrupted install or removal left.
func (a *AppDir) sweep() error {
	entries, err := os.ReadDir(a.versions())
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(a.versions(), 0o755)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), incomingPrefix) || strings.HasPrefix(e.Name(), trashPrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(a.versions(), e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot tidy up the install folder of product %s: %w", a.cfg.Product, err)
	}
	return nil
}

// collect removes every version that is neither current nor previous.
func (a *AppDir) collect() error {
	current, err1 := a.link(currentLink)
	previous, err2 := a.link(previousLink)
	entries, err3 := os.ReadDir(a.versions())
	err := errors.Join(err1, err2, err3)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != current && e.Name() != previous {
			err = errors.Join(err, a.discard(e.Name()))
		}
	}
	return err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncDir(dir string) error { return journal.SyncDir(dir) }

// reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
