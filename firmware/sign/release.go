package sign

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuf"
	"github.com/muster-iot/muster/firmware/pack"
	"github.com/muster-iot/muster/protocol"
)

// Release is a version of a product to be packed and signed.
type Release struct {
	// Source is the folder to pack.
	Source string
	// Product and Version name the release.
	Product, Version string
	// Seq is its release counter; 0 takes [firmware.SeqOf] the version. It
	// has to exceed that of every release of the product.
	Seq int64
	// HardwareIDs lists the hardware it is made for; empty means
	// [firmware.AnyHardware].
	HardwareIDs []string
	// MinAgent, RollbackFloor and Health go into the signed fields as they are.
	MinAgent      string
	RollbackFloor int64
	Health        firmware.Health
	// Passphrase opens the key.
	Passphrase []byte
	// Now is the time of signing.
	Now time.Time
}

// Add packs a folder, lists it as a target and signs the list. Nothing is
// published by it. On an error the signed list is unchanged.
func (w *Workspace) Add(r Release) (firmware.Target, error) {
	unlock, err := w.lock()
	if err != nil {
		return firmware.Target{}, err
	}
	defer unlock()
	s, err := w.load()
	if err != nil {
		return firmware.Target{}, err
	}
	t, err := plan(r, s.list)
	if err != nil {
		return firmware.Target{}, err
	}
	key, err := w.key(r.Passphrase)
	if err != nil {
		return firmware.Target{}, err
	}
	if err := w.packInto(&t, r.Source); err != nil {
		return firmware.Target{}, err
	}
	if err := t.Custom.Validate(); err != nil {
		return firmware.Target{}, protocol.Errorf(protocol.InvalidRequest, "release %s of %s: %v", r.Version, r.Product, err)
	}
	return t, w.signTarget(s, t, key, r.Now)
}

// plan decides path and seq of a release beside those that exist.
func plan(r Release, list []firmware.Target) (firmware.Target, error) {
	c := firmware.Custom{
		Product: r.Product, Version: r.Version, Seq: r.Seq, HardwareIDs: r.HardwareIDs,
		TargetFormat: firmware.FormatAppDir, MinAgent: r.MinAgent, RollbackFloor: r.RollbackFloor, Health: r.Health,
	}
	if len(c.HardwareIDs) == 0 {
		c.HardwareIDs = []string{firmware.AnyHardware}
	}
	path := fmt.Sprintf("%s/%s-%s.tar.zst", r.Product, r.Product, r.Version)
	var last int64
	for _, t := range list {
		if t.Custom.Product == r.Product {
			last = max(last, t.Custom.Seq)
		}
	}
	if slices.ContainsFunc(list, func(t firmware.Target) bool { return t.Path == path }) {
		if r.Seq == 0 {
			return firmware.Target{}, protocol.Errorf(protocol.AlreadyExists,
				"%s %s is already released; give the new build another version, or publish it again with --seq %d or more", r.Product, r.Version, last+1)
		}
		path = fmt.Sprintf("%s/%s-%s-%d.tar.zst", r.Product, r.Product, r.Version, r.Seq)
	}
	if c.Seq == 0 {
		seq, err := firmware.SeqOf(r.Version)
		if err != nil {
			return firmware.Target{}, protocol.Errorf(protocol.InvalidRequest, "%v; give one with --seq %d or more", err, last+1)
		}
		c.Seq = seq
	}
	if c.Seq <= last {
		return firmware.Target{}, protocol.Errorf(protocol.InvalidRequest,
			"%s %s would have seq %d, but %s has a release with seq %d and devices never go back; use --seq %d or more", r.Product, r.Version, c.Seq, r.Product, last, last+1)
	}
	if err := c.Validate(); err != nil {
		return firmware.Target{}, protocol.Errorf(protocol.InvalidRequest, "release %s of %s: %v", r.Version, r.Product, err)
	}
	return firmware.Target{Path: path, Custom: c}, firmware.CheckPath(path)
}

// packInto writes the artifact under its digest and fills in what is known of it.
func (w *Workspace) packInto(t *firmware.Target, source string) error {
	const tmp = artifactsDir + "/new.tmp"
	f, err := w.dir.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the artifact: %w", err)
	}
	h := sha256.New()
	size := &counter{}
	sum, err := pack.Pack(io.MultiWriter(f, h, size), source)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		_ = w.dir.Remove(tmp)
		return err
	}
	copy(t.SHA256[:], h.Sum(nil))
	t.Length = size.n
	t.Custom.UnpackedSize, t.Custom.MaxFile = sum.Bytes, sum.MaxFile
	if err := w.dir.Rename(tmp, artifactsDir+"/"+t.SHA256.String()); err != nil {
		return fmt.Errorf("cannot keep the artifact: %w", err)
	}
	return w.dir.SyncDir(artifactsDir)
}

// counter counts the bytes written to it.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// signTarget adds the target to the list and signs the next version of it.
func (w *Workspace) signTarget(s *signed, t firmware.Target, key Key, now time.Time) error {
	_, id, err := tuf.Key(key.Public())
	if err != nil {
		return err
	}
	if !slices.Contains(s.root.Signed.Roles[metadata.TARGETS].KeyIDs, id) {
		return fmt.Errorf("the key in %s is not a targets key of %s", keyFile, w.RootPath())
	}
	custom, err := json.Marshal(t.Custom)
	if err != nil {
		return fmt.Errorf("cannot sign %s: %w", t.Path, err)
	}
	raw := json.RawMessage(custom)
	s.targets.Signed.Targets[t.Path] = &metadata.TargetFiles{
		Path: t.Path, Length: t.Length, Custom: &raw,
		Hashes: metadata.Hashes{"sha256": metadata.HexBytes(t.SHA256[:])},
	}
	s.targets.Signed.Version++
	s.targets.Signed.Expires = soloExpiry(now)
	data, err := tuf.Sign(s.targets, key.private)
	if err != nil {
		return err
	}
	if _, _, err := tuf.ParseTargets(data); err != nil {
		return fmt.Errorf("cannot sign %s: %w", t.Path, err)
	}
	return w.write(targetsFile, data, 0o644)
}
