package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
)

// Names in an install folder.
const (
	versions       = "versions"
	currentLink    = "current"
	previousLink   = "previous"
	incomingPrefix = ".incoming-"
	trashPrefix    = ".trash-"
	releasePrefix  = ".release-"
)

// folder returns the name of a version's folder.
func folder(name string) string { return path.Join(versions, name) }

// link returns the version folder that a symlink names; "" when there is none.
func (a *AppDir) link(which string) (string, error) {
	target, err := a.disk.Readlink(which)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("%s of product %s is not a symlink to a version: %w", which, a.cfg.Product, err)
	}
	return path.Base(target), nil
}

// point replaces a symlink in one rename, durably.
func (a *AppDir) point(which, name string) error {
	if err := a.disk.SwapSymlink(folder(name), which); err != nil {
		return fmt.Errorf("cannot switch product %s to version folder %s: %w", a.cfg.Product, name, err)
	}
	return nil
}

func (a *AppDir) unlink(which string) error {
	err := ignoreMissing(a.disk.Remove(which))
	if err == nil {
		err = a.disk.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s of product %s: %w", which, a.cfg.Product, err)
	}
	return nil
}

func recordOf(name string) string { return folder(releasePrefix + name + ".json") }

// release reads which target a version folder is.
func (a *AppDir) release(name string) (r update.Release, ok bool) {
	data, err := a.disk.ReadFile(recordOf(name))
	return r, err == nil && json.Unmarshal(data, &r) == nil && r.Version != ""
}

func (a *AppDir) saveRelease(name string, t firmware.Target) error {
	data, err := json.Marshal(update.ReleaseOf(t))
	if err == nil {
		err = a.disk.WriteFile(recordOf(name), data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot record version %s: %w", t.Custom.Version, err)
	}
	return nil
}

// holds reports whether a version folder is a certain target. A folder that
// was not made here has no record and is none.
func (a *AppDir) holds(name, sha256 string) bool {
	r, ok := a.release(name)
	return ok && r.SHA256 == sha256
}

// names are the folder names that a release may have: its version, or, when
// that is taken by other bytes, its version and counter.
func names(r update.Release) []string {
	return []string{r.Version, fmt.Sprintf("%s@%d", r.Version, r.Seq)}
}

// find returns the folder of a release: by what is recorded for it, or by its
// name alone when the release has no known hash.
func (a *AppDir) find(r update.Release) (string, error) {
	for _, name := range names(r) {
		if info, err := a.disk.Stat(folder(name)); r.Version == "" || err != nil || !info.IsDir() {
			continue
		}
		if r.SHA256 == "" || a.holds(name, r.SHA256) {
			return name, nil
		}
	}
	return "", fmt.Errorf("version %s of product %s is not in %s/%s", r.Version, a.cfg.Product, a.cfg.Dir, versions)
}

// discard removes a version: out of sight in one rename, then bit by bit.
func (a *AppDir) discard(name string) error {
	trash := folder(trashPrefix + name)
	err := a.disk.RemoveAll(trash)
	if err == nil {
		err = a.disk.Rename(folder(name), trash)
	}
	if err == nil {
		err = a.disk.SyncDir(versions)
	}
	if err == nil {
		err = errors.Join(a.disk.RemoveAll(trash), ignoreMissing(a.disk.Remove(recordOf(name))))
	}
	if err != nil {
		return fmt.Errorf("cannot remove version folder %s of product %s: %w", name, a.cfg.Product, err)
	}
	return nil
}

// sweep removes what an interrupted install or removal left.
func (a *AppDir) sweep() error {
	entries, err := a.disk.ReadDir(versions)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), incomingPrefix) || strings.HasPrefix(e.Name(), trashPrefix) {
			err = errors.Join(err, a.disk.RemoveAll(folder(e.Name())))
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
	entries, err3 := a.disk.ReadDir(versions)
	err := errors.Join(err1, err2, err3)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != current && e.Name() != previous {
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
