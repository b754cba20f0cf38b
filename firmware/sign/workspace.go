// Package sign is the operator's side of firmware: the keys, the offline roles
// root and targets, and the folder they live in, the [Workspace]. A release is
// packed and signed here; package repo publishes it.
//
// It never holds the server's online key and never talks to a network. What a
// captured server can do is therefore bounded: it can withhold releases, but
// not make one.
//
// Read on in init.go (the solo path), release.go and seal.go (the key file).
package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuf"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/protocol"
)

// Files of a workspace.
const (
	settingsFile = "workspace.json"
	keyFile      = "solo.key"
	rootFile     = "root.json"
	targetsFile  = "targets.json"
	rootsDir     = "roots"
	artifactsDir = "artifacts"
)

// Settings are what a workspace remembers between commands.
type Settings struct {
	// Server is the URL of the server whose online key the root lists.
	Server string `json:"server"`
}

// Workspace is the operator's firmware folder: the sealed key, the signed
// metadata and the packed artifacts. Several programs may use one folder;
// those that change it take turns.
type Workspace struct {
	path     string
	dir      *durable.OS
	disk     durable.Disk
	settings Settings
}

// Open opens the workspace in a folder.
func Open(dir string) (*Workspace, error) {
	folder, err := durable.OpenOS(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noWorkspace(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", dir, err)
	}
	w := &Workspace{path: dir, dir: folder, disk: durable.Disk{FS: folder}}
	data, err := folder.ReadFile(settingsFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = noWorkspace(dir)
	case err == nil:
		err = json.Unmarshal(data, &w.settings)
	}
	if err != nil {
		folder.Close()
		return nil, fmt.Errorf("cannot open firmware workspace: %w", err)
	}
	return w, nil
}

func noWorkspace(dir string) error {
	return protocol.Errorf(protocol.NotFound, "%s has no firmware key; make one with: muster firmware init --solo", dir)
}

// Close releases the folder.
func (w *Workspace) Close() error { return w.dir.Close() }

// Settings returns what the workspace remembers.
func (w *Workspace) Settings() Settings { return w.settings }

// RootPath is the file to ship with devices: the newest root metadata.
func (w *Workspace) RootPath() string { return filepath.Join(w.path, rootFile) }

// Root returns the newest root metadata.
func (w *Workspace) Root() ([]byte, error) {
	data, err := w.dir.ReadFile(rootFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read the firmware root: %w", err)
	}
	return data, nil
}

// Releases lists the signed targets, by product and seq.
func (w *Workspace) Releases() ([]firmware.Target, error) {
	s, err := w.load()
	if err != nil {
		return nil, err
	}
	return s.list, nil
}

// Find returns the newest release of a product, or the newest of the given
// version when there is one.
func (w *Workspace) Find(product, version string) (firmware.Target, error) {
	list, err := w.Releases()
	if err != nil {
		return firmware.Target{}, err
	}
	var found *firmware.Target
	for _, t := range list {
		if t.Custom.Product == product && (version == "" || t.Custom.Version == version) {
			found = &t
		}
	}
	if found == nil {
		what := "release"
		if version != "" {
			what += " " + version
		}
		return firmware.Target{}, protocol.Errorf(protocol.NotFound, "there is no %s of product %q; muster release list shows what there is", what, product)
	}
	return *found, nil
}

// OpenArtifact opens the packed artifact of a target.
func (w *Workspace) OpenArtifact(t firmware.Target) (io.ReadCloser, error) {
	f, err := w.dir.OpenFile(artifactsDir+"/"+t.SHA256.String(), os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open the artifact of %s: %w", t.Path, err)
	}
	return f, nil
}

// Bundle returns the signed metadata to publish.
func (w *Workspace) Bundle() (firmware.Bundle, error) {
	s, err := w.load()
	if err != nil {
		return firmware.Bundle{}, err
	}
	b := firmware.Bundle{Targets: s.targetsFile}
	for v := int64(1); v <= s.root.Signed.Version; v++ {
		data, err := w.dir.ReadFile(rootsDir + "/" + tuf.FileName(metadata.ROOT, v))
		if err != nil {
			return firmware.Bundle{}, fmt.Errorf("cannot read the firmware root: %w", err)
		}
		b.Roots = append(b.Roots, data)
	}
	return b, nil
}

// Status describes the offline roles.
func (w *Workspace) Status() ([]firmware.RoleStatus, error) {
	s, err := w.load()
	if err != nil {
		return nil, err
	}
	targets := tuf.Status(&s.root.Signed, metadata.TARGETS)
	targets.Version, targets.Expires = s.targets.Signed.Version, s.targets.Signed.Expires
	return []firmware.RoleStatus{tuf.Status(&s.root.Signed, metadata.ROOT), targets}, nil
}

// signed is the workspace's metadata, verified.
type signed struct {
	root        *metadata.Metadata[metadata.RootType]
	targets     *metadata.Metadata[metadata.TargetsType]
	targetsFile []byte
	list        []firmware.Target
}

// load reads the metadata and verifies it by the root's own keys, so that
// whoever can write to the folder but not sign cannot slip a release in.
func (w *Workspace) load() (*signed, error) {
	data, err := w.Root()
	if err != nil {
		return nil, err
	}
	s := &signed{}
	if s.root, err = tuf.ParseRoot(data); err == nil {
		err = tuf.Verify(s.root, metadata.ROOT, s.root)
	}
	if err != nil {
		return nil, fmt.Errorf("firmware root %s is damaged: %w", w.RootPath(), err)
	}
	if s.targetsFile, err = w.dir.ReadFile(targetsFile); err != nil {
		return nil, fmt.Errorf("cannot read the signed releases: %w", err)
	}
	if s.targets, s.list, err = tuf.ParseTargets(s.targetsFile); err == nil {
		err = tuf.Verify(s.root, metadata.TARGETS, s.targets)
	}
	if err != nil {
		return nil, fmt.Errorf("signed releases in %s are damaged: %w", filepath.Join(w.path, targetsFile), err)
	}
	return s, nil
}

// key opens the operator's key.
func (w *Workspace) key(passphrase []byte) (Key, error) {
	path := filepath.Join(w.path, keyFile)
	data, err := w.dir.ReadFile(keyFile)
	if err != nil {
		return Key{}, fmt.Errorf("cannot read the firmware key: %w", err)
	}
	key, err := OpenKey(data, passphrase)
	if err != nil {
		return Key{}, fmt.Errorf("cannot open the firmware key %s: %w", path, err)
	}
	return key, nil
}

// lifetime of what the solo path signs offline.
func soloExpiry(now time.Time) time.Time { return now.UTC().AddDate(10, 0, 0).Truncate(time.Second) }

func (w *Workspace) write(name string, data []byte, perm fs.FileMode) error {
	return w.disk.WriteFile(name, data, perm)
}
