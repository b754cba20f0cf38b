package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/muster-iot/muster/firmware/internal/tuf"
)

// Names of the files in the trust folder.
const (
	rootFile      = "root.json"
	timestampFile = "timestamp.json"
	snapshotFile  = "snapshot.json"
	targetsFile   = "targets.json"
	floorFile     = "floor.json"
)

// maxRotations bounds the new roots that one refresh follows.
const maxRotations = 256

// Refresh brings the trusted metadata up to date: the chain of roots, then
// timestamp, snapshot and targets, each verified against the one before and
// only then stored. now is the device's clock; the refresh counts with
// max(now, Floor). A [*Refusal] says that the repository serves something
// unacceptable; other errors are the network's or the disk's. After any error
// [Verifier.Target] answers nothing, and what was verified so far is kept.
func (v *Verifier) Refresh(ctx context.Context, now time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.targets.Store(nil)
	r := &refresh{Verifier: v, now: now.UTC()}
	for _, step := range []func(context.Context) error{r.roots, r.timestamp, r.snapshot, r.targetsRole} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	v.targets.Store(&r.set.Targets[metadata.TARGETS].Signed)
	return nil
}

// refresh is one run through the rules; go-tuf's set enforces their order.
type refresh struct {
	*Verifier
	now time.Time
	set *trustedmetadata.TrustedMetadata
}

// newSet starts go-tuf's rules from a root that we accept.
func newSet(root []byte) (set *trustedmetadata.TrustedMetadata, err error) {
	if _, err := tuf.ParseRoot(root); err != nil {
		return nil, err
	}
	err = tuf.Guard(func() error {
		set, err = trustedmetadata.New(root)
		return err
	})
	return set, err
}

// roots follows the chain of roots: each next one must be signed by the keys
// of the one before and by its own.
func (r *refresh) roots(ctx context.Context) (err error) {
	if r.set, err = newSet(r.root); err != nil {
		return fmt.Errorf("trusted root is damaged: %w", err)
	}
	for range maxRotations {
		more, err := r.nextRoot(ctx)
		if err != nil {
			return err
		}
		if !more {
			return r.bindFloor(&r.set.Root.Signed)
		}
	}
	return fmt.Errorf("repository has more than %d new roots; refresh again to go on", maxRotations)
}

func (r *refresh) nextRoot(ctx context.Context) (more bool, err error) {
	name := tuf.FileName(metadata.ROOT, r.set.Root.Signed.Version+1)
	data, err := r.read(ctx, name, tuf.MaxRoot)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := tuf.ParseRoot(data); err != nil {
		return false, refuse(ReasonMalformed, "%s: %v", name, err)
	}
	if err := tuf.Guard(func() error { _, err := r.set.UpdateRoot(data); return err }); err != nil {
		return false, refusalOf(name, err)
	}
	if err := r.disk.WriteFile(rootFile, data, 0o600); err != nil {
		return false, err
	}
	r.root = data
	return true, nil
}

// timestamp loads the stored timestamp, which guards against older ones, then
// the repository's, and raises the time floor by it.
func (r *refresh) timestamp(ctx context.Context) error {
	r.set.RefTime = r.reference()
	if r.set.Root.Signed.IsExpired(r.set.RefTime) {
		return r.expired(metadata.ROOT, r.set.Root.Signed.Expires)
	}
	if err := r.stored(timestampFile, func(data []byte) error {
		_, err := r.set.UpdateTimestamp(data)
		return err
	}); err != nil {
		return err
	}
	data, err := r.read(ctx, tuf.FileName(metadata.TIMESTAMP, 0), tuf.MaxTimestamp)
	if err != nil {
		return err
	}
	if err := r.newTimestamp(data); err != nil {
		return err
	}
	if err := r.issued(); err != nil {
		return err
	}
	// The floor may just have risen: judge what was judged before again.
	r.set.RefTime = r.reference()
	if r.set.Root.Signed.IsExpired(r.set.RefTime) {
		return r.expired(metadata.ROOT, r.set.Root.Signed.Expires)
	}
	if r.set.Timestamp.Signed.IsExpired(r.set.RefTime) {
		return r.expired(metadata.TIMESTAMP, r.set.Timestamp.Signed.Expires)
	}
	return nil
}

// newTimestamp verifies and stores the repository's timestamp.
func (r *refresh) newTimestamp(data []byte) error {
	err := tuf.Guard(func() error { _, err := r.set.UpdateTimestamp(data); return err })
	if _, same := errors.AsType[*metadata.ErrEqualVersionNumber](err); same {
		return nil
	}
	if err != nil {
		return refusalOf(metadata.TIMESTAMP, err)
	}
	signed := &r.set.Timestamp.Signed
	if signed.Meta[snapshotFile] == nil {
		return refuse(ReasonMalformed, "timestamp names no snapshot")
	}
	return r.disk.WriteFile(timestampFile, data, 0o600)
}

// issued raises the time floor to the signing time of the timestamp in force,
// which may be the stored one: a crash can have come between the two files.
func (r *refresh) issued() error {
	issued, ok, err := tuf.Issued(&r.set.Timestamp.Signed)
	if err != nil {
		return refuse(ReasonMalformed, "timestamp: %v", err)
	}
	if !ok {
		return nil
	}
	return r.raiseFloor(issued)
}

func (r *refresh) snapshot(ctx context.Context) error {
	current := false
	if err := r.stored(snapshotFile, func(data []byte) error {
		_, err := r.set.UpdateSnapshot(data, true)
		current = err == nil
		return err
	}); err != nil || current {
		return err
	}
	meta := r.set.Timestamp.Signed.Meta[snapshotFile]
	data, err := r.readMeta(ctx, metadata.SNAPSHOT, meta, tuf.MaxSnapshot)
	if err != nil {
		return err
	}
	if err := tuf.Guard(func() error { _, err := r.set.UpdateSnapshot(data, false); return err }); err != nil {
		return refusalOf(metadata.SNAPSHOT, err)
	}
	if r.set.Snapshot.Signed.Meta[targetsFile] == nil {
		return refuse(ReasonMalformed, "snapshot names no targets")
	}
	return r.disk.WriteFile(snapshotFile, data, 0o600)
}

func (r *refresh) targetsRole(ctx context.Context) error {
	current := false
	if err := r.stored(targetsFile, func(data []byte) error {
		_, err := r.set.UpdateTargets(data)
		current = err == nil
		return err
	}); err != nil || current {
		return err
	}
	meta := r.set.Snapshot.Signed.Meta[targetsFile]
	data, err := r.readMeta(ctx, metadata.TARGETS, meta, tuf.MaxTargets)
	if err != nil {
		return err
	}
	if err := tuf.Guard(func() error { _, err := r.set.UpdateTargets(data); return err }); err != nil {
		return refusalOf(metadata.TARGETS, err)
	}
	return r.disk.WriteFile(targetsFile, data, 0o600)
}

// reference is the time that expiry is judged by.
func (r *refresh) reference() time.Time {
	if floor := r.Floor(); floor.After(r.now) {
		return floor
	}
	return r.now
}

func (r *refresh) expired(role string, at time.Time) *Refusal {
	return refuse(ReasonExpired, "%s expired at %s; the device's time is %s",
		role, at.UTC().Format(time.RFC3339), r.set.RefTime.Format(time.RFC3339))
}

// stored feeds a stored role to the rules. Stored metadata that no longer
// fits (expired, superseded, of other keys, damaged) is no failure: the rules
// keep of it what still guards against older metadata, and the repository's
// file follows. Only a disk that cannot be read is an error.
func (r *refresh) stored(name string, use func([]byte) error) error {
	data, err := r.disk.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read trusted %s: %w", name, err)
	}
	_ = tuf.Guard(func() error { return use(data) })
	return nil
}

// readMeta fetches the version of a role that the role above it names.
func (r *refresh) readMeta(ctx context.Context, role string, meta *metadata.MetaFiles, limit int64) ([]byte, error) {
	if meta == nil {
		return nil, refuse(ReasonMalformed, "no version of %s is named", role)
	}
	if meta.Length > limit {
		return nil, refuse(ReasonTooLarge, "%s has %d bytes; at most %d are allowed", role, meta.Length, limit)
	}
	if meta.Length > 0 {
		limit = meta.Length
	}
	return r.read(ctx, tuf.FileName(role, meta.Version), limit)
}

func (r *refresh) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	data, err := r.fetch.Fetch(ctx, name, limit)
	if err != nil {
		return nil, fmt.Errorf("cannot fetch %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, refuse(ReasonTooLarge, "%s is longer than %d bytes", name, limit)
	}
	return data, nil
}
