package repo

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuf"
	"github.com/muster-iot/muster/protocol"
)

// Publish makes the operator's signed metadata the current one. Before
// anything is written, all of it is verified: every new root by the keys of
// the one before (the first one is taken as it is, and only while there is
// none), the targets by the root, expiry, versions, and every artifact by
// length and digest. Then targets, roots, snapshot and, last, timestamp are
// written; a crash in between leaves the old repository or is completed by
// the next signature (if the targets key changed, devices refuse both until
// then). Publishing the same bundle again changes nothing.
func (r *Repository) Publish(now time.Time, b firmware.Bundle) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := *r.state.Load()
	roots, err := r.verifyRoots(&next, b.Roots, now)
	if err != nil {
		return err
	}
	fresh, err := r.verifyTargets(&next, b.Targets, now)
	if err != nil {
		return err
	}
	if _, err := r.signingTime(&next, now); err != nil {
		return err
	}
	if !fresh && len(roots) == 0 && !next.pending() {
		return nil
	}
	if fresh {
		if err := r.write(tuf.FileName(metadata.TARGETS, next.targets.Signed.Version), b.Targets); err != nil {
			return err
		}
	}
	for _, root := range roots {
		if err := r.write(tuf.FileName(metadata.ROOT, root.version), root.file); err != nil {
			return err
		}
	}
	return r.sign(&next, now)
}

type newRoot struct {
	version int64
	file    []byte
}

// verifyRoots walks the given chain from the repository's root on and leaves
// the newest one in s.
func (r *Repository) verifyRoots(s *state, chain [][]byte, now time.Time) ([]newRoot, error) {
	if len(chain) > maxChain {
		return nil, invalid("bundle has %d roots; at most %d are allowed", len(chain), maxChain)
	}
	var fresh []newRoot
	for _, file := range chain {
		root, err := tuf.ParseRoot(file)
		if err != nil {
			return nil, invalid("bundle: %v", err)
		}
		if s.root != nil && root.Signed.Version <= s.root.Signed.Version {
			if err := r.sameRoot(root.Signed.Version, file); err != nil {
				return nil, err
			}
			continue
		}
		if err := verifyRoot(s.root, root); err != nil {
			return nil, err
		}
		s.root = root
		fresh = append(fresh, newRoot{root.Signed.Version, file})
	}
	if s.root == nil {
		return nil, invalid("bundle has no root, and this server has none yet")
	}
	if s.root.Signed.IsExpired(now) {
		return nil, invalid("firmware root %d expired at %s", s.root.Signed.Version, s.root.Signed.Expires.Format(time.RFC3339))
	}
	return fresh, r.canSign(&s.root.Signed)
}

// maxChain bounds the roots of a bundle.
const maxChain = 256

func verifyRoot(old, root *metadata.Metadata[metadata.RootType]) error {
	want, by := int64(1), root
	if old != nil {
		want, by = old.Signed.Version+1, old
	}
	if root.Signed.Version != want {
		return invalid("bundle has firmware root %d where root %d has to follow", root.Signed.Version, want)
	}
	for _, signer := range []*metadata.Metadata[metadata.RootType]{by, root} {
		if err := tuf.Verify(signer, metadata.ROOT, root); err != nil {
			return protocol.Errorf(protocol.Forbidden, "firmware root %d is not signed by enough root keys: %v", want, err)
		}
	}
	return nil
}

// sameRoot refuses a root that differs from the stored one of its version.
func (r *Repository) sameRoot(version int64, file []byte) error {
	stored, err := r.read(tuf.FileName(metadata.ROOT, version))
	if err != nil {
		return err
	}
	if !bytes.Equal(stored, file) {
		return protocol.Errorf(protocol.Conflict,
			"this server's devices trust another firmware root %d than the one given: the key is not this fleet's; use the workspace that was made for this server", version)
	}
	return nil
}

// verifyTargets checks the targets metadata by the root in s and leaves it
// there. fresh is false when it is what is published already.
func (r *Repository) verifyTargets(s *state, file []byte, now time.Time) (fresh bool, err error) {
	m, list, err := tuf.ParseTargets(file)
	if err != nil {
		return false, invalid("bundle: %v", err)
	}
	if err := tuf.Verify(s.root, metadata.TARGETS, m); err != nil {
		return false, protocol.Errorf(protocol.Forbidden, "targets metadata is not signed by the targets key of firmware root %d: %v", s.root.Signed.Version, err)
	}
	switch {
	case m.Signed.Version < 1:
		return false, invalid("targets metadata has version %d", m.Signed.Version)
	case m.Signed.IsExpired(now):
		return false, invalid("targets metadata expired at %s; sign it again", m.Signed.Expires.Format(time.RFC3339))
	case m.Signed.Delegations != nil:
		return false, invalid("targets metadata delegates roles, which this server does not publish yet")
	}
	if s.targets != nil {
		old := s.targets.Signed.Version
		same := bytes.Equal(file, s.targetsFile)
		switch {
		case same:
			return false, nil
		case m.Signed.Version < old:
			return false, protocol.Errorf(protocol.VersionConflict, "targets metadata has version %d, but %d is published already", m.Signed.Version, old)
		case m.Signed.Version == old:
			return false, protocol.Errorf(protocol.VersionConflict, "another targets metadata of version %d is published already", old)
		}
	}
	if err := r.verifyArtifacts(s.list, list); err != nil {
		return false, err
	}
	s.targets, s.targetsFile, s.list = m, file, list
	return true, nil
}

// verifyArtifacts checks length and digest of every artifact that was not
// published before, and the presence of the others.
func (r *Repository) verifyArtifacts(published, list []firmware.Target) error {
	for _, t := range list {
		if err := r.checkArtifact(t); err != nil {
			return err
		}
		known := slices.ContainsFunc(published, func(o firmware.Target) bool { return o.SHA256 == t.SHA256 })
		if known {
			continue
		}
		if err := r.hashArtifact(t); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository) hashArtifact(t firmware.Target) error {
	f, err := r.dir.Open(artifactName(t.SHA256))
	if err != nil {
		return fmt.Errorf("cannot read artifact of %s: %w", t.Path, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("cannot read artifact of %s: %w", t.Path, err)
	}
	if got := firmware.Digest(h.Sum(nil)); got != t.SHA256 {
		return invalid("target %s: its stored artifact is damaged (SHA-256 %s); upload it again", t.Path, got)
	}
	return nil
}

func invalid(format string, args ...any) *protocol.Error {
	return protocol.Errorf(protocol.InvalidRequest, format, args...)
}
