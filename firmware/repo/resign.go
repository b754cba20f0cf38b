package repo

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware/internal/tuf"
	"github.com/muster-iot/muster/protocol"
)

// How long the online signatures last, and when they are renewed.
const (
	timestampLife = 7 * 24 * time.Hour
	snapshotLife  = 30 * 24 * time.Hour
	resignAfter   = 24 * time.Hour
	snapshotEarly = 15 * 24 * time.Hour
	// clockSlack is how far the clock may lie behind the last signature.
	clockSlack = time.Hour
	// callTime is how old the time may be with which a signature is asked for.
	callTime = time.Minute
	// keepVersions is how many old snapshots and targets stay readable for
	// devices that are in the middle of a refresh.
	keepVersions = 8
)

// Run renews the timestamp once a day until ctx ends; it also finishes a
// publication that a crash cut short. Failures are logged and tried again.
func (r *Repository) Run(ctx context.Context, log *slog.Logger) error {
	for {
		wait := 10 * time.Minute
		if now := time.Now(); r.due(now) {
			if err := r.Resign(now); err != nil {
				log.Error("cannot sign the firmware repository", "error", err)
				wait = time.Minute
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// due reports whether a signature is missing or a day old.
func (r *Repository) due(now time.Time) bool {
	s := r.state.Load()
	return s.targets != nil && (s.pending() || now.Sub(s.issued) >= resignAfter)
}

// pending reports whether timestamp and snapshot do not name the newest targets.
func (s *state) pending() bool {
	return s.timestamp == nil || s.snapshot == nil || !names(s.snapshot, s.targets, s.targetsFile)
}

// names reports whether a snapshot names exactly these targets.
func names(snap *metadata.Metadata[metadata.SnapshotType], targets *metadata.Metadata[metadata.TargetsType], file []byte) bool {
	meta := snap.Signed.Meta["targets.json"]
	return meta != nil && meta.Version == targets.Signed.Version && meta.VerifyLengthHashes(file) == nil
}

// Resign signs a new timestamp, and a new snapshot when the old one is
// missing, outdated or past half its life. Without anything published it does
// nothing. A clock below the last signature is an error: a signature made then
// could not be told from an old one.
func (r *Repository) Resign(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := *r.state.Load()
	if s.targets == nil {
		return nil
	}
	return r.sign(&s, now)
}

// sign writes snapshot, if needed, and timestamp last: until the timestamp is
// in place devices see the repository as it was. r.mu is held.
func (r *Repository) sign(s *state, now time.Time) error {
	now, err := r.signingTime(s, now)
	if err != nil {
		return err
	}
	if err := r.canSign(&s.root.Signed); err != nil {
		return err
	}
	if s.pending() || s.snapshot.Signed.Expires.Sub(now) < snapshotEarly || tuf.Verify(s.root, metadata.SNAPSHOT, s.snapshot) != nil {
		if err := r.signSnapshot(s, now); err != nil {
			return err
		}
	}
	if err := r.signTimestamp(s, now); err != nil {
		return err
	}
	r.state.Store(s)
	r.prune()
	return nil
}

// signingTime is now in whole seconds, never before the last signature.
func (r *Repository) signingTime(s *state, now time.Time) (time.Time, error) {
	now = now.UTC().Truncate(time.Second)
	for _, floor := range []struct {
		at    time.Time
		slack time.Duration
	}{
		{s.issued, clockSlack},
		{r.notBefore().UTC().Truncate(time.Second), callTime},
	} {
		switch {
		case now.Before(floor.at.Add(-floor.slack)):
			return now, protocol.Errorf(protocol.Unavailable, "the server's clock reads %s, but it was already %s: firmware metadata is not signed until the clock is set",
				now.Format(time.RFC3339), floor.at.Format(time.RFC3339))
		case now.Before(floor.at):
			now = floor.at
		}
	}
	return now, nil
}

// canSign says whether the root lets this server sign.
func (r *Repository) canSign(root *metadata.RootType) error {
	_, id, err := tuf.Key(r.OnlineKey())
	if err != nil {
		return err
	}
	for _, name := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
		role := root.Roles[name]
		if !slices.Contains(role.KeyIDs, id) || role.Threshold != 1 {
			return protocol.Errorf(protocol.Conflict,
				"firmware root %d does not let this server's online key %s sign the %s role alone; make a root for this server", root.Version, r.OnlineKey(), name)
		}
	}
	return nil
}

func (r *Repository) signSnapshot(s *state, now time.Time) error {
	snap := metadata.Snapshot(now.Add(snapshotLife))
	previous, err := r.versions(metadata.SNAPSHOT)
	if err != nil {
		return err
	}
	last := int64(0)
	if len(previous) > 0 {
		last = previous[len(previous)-1]
	}
	if s.timestamp != nil && s.timestamp.Signed.Meta["snapshot.json"] != nil {
		last = max(last, s.timestamp.Signed.Meta["snapshot.json"].Version)
	}
	snap.Signed.Version = nextVersion(last, now)
	snap.Signed.Meta = map[string]*metadata.MetaFiles{"targets.json": metaOf(s.targets.Signed.Version, s.targetsFile)}
	data, err := tuf.Sign(snap, r.key)
	if err != nil {
		return err
	}
	s.snapshot = snap
	return r.write(tuf.FileName(metadata.SNAPSHOT, snap.Signed.Version), data)
}

func (r *Repository) signTimestamp(s *state, now time.Time) error {
	file, err := r.read(tuf.FileName(metadata.SNAPSHOT, s.snapshot.Signed.Version))
	if err != nil {
		return err
	}
	ts := metadata.Timestamp(now.Add(timestampLife))
	last := int64(0)
	if s.timestamp != nil {
		last = s.timestamp.Signed.Version
	}
	ts.Signed.Version = nextVersion(last, now)
	ts.Signed.Meta = map[string]*metadata.MetaFiles{"snapshot.json": metaOf(s.snapshot.Signed.Version, file)}
	ts.Signed.UnrecognizedFields = map[string]any{tuf.IssuedField: now.Format(time.RFC3339)}
	data, err := tuf.Sign(ts, r.key)
	if err != nil {
		return err
	}
	s.timestamp, s.issued = ts, now
	return r.write(tuf.FileName(metadata.TIMESTAMP, 0), data)
}

// nextVersion keeps versions rising even when the server is restored from a
// backup: devices have seen the newer ones, and no counter remembers them.
func nextVersion(last int64, now time.Time) int64 { return max(last+1, now.Unix()) }

func metaOf(version int64, file []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(file)
	m := metadata.MetaFile(version)
	m.Length = int64(len(file))
	m.Hashes = metadata.Hashes{"sha256": sum[:]}
	return m
}

func (r *Repository) write(name string, data []byte) error {
	if err := r.disk.WriteFile(name, data, 0o644); err != nil {
		return fmt.Errorf("cannot publish firmware metadata: %w", err)
	}
	return nil
}

// prune removes old snapshots and targets; what it cannot remove stays.
func (r *Repository) prune() {
	for _, role := range []string{metadata.SNAPSHOT, metadata.TARGETS} {
		versions, err := r.versions(role)
		if err != nil || len(versions) <= keepVersions {
			continue
		}
		for _, v := range versions[:len(versions)-keepVersions] {
			_ = r.disk.Remove(tuf.FileName(role, v))
		}
	}
}
