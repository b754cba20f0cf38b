package repo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware/internal/tuf"
)

// loadState reads what is published: the newest root, the newest targets that
// it allows, and the snapshot and timestamp if they are whole. Whatever is
// missing of the last two is signed anew; a damaged root is an error.
func (r *Repository) loadState() (*state, error) {
	s := &state{}
	roots, err := r.versions(metadata.ROOT)
	if err != nil || len(roots) == 0 {
		return s, err
	}
	newest := tuf.FileName(metadata.ROOT, roots[len(roots)-1])
	data, err := r.read(newest)
	if err != nil {
		return nil, err
	}
	if s.root, err = tuf.ParseRoot(data); err == nil {
		err = tuf.Verify(s.root, metadata.ROOT, s.root)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; restore it from a backup or from the operator's workspace", newest, err)
	}
	if err := r.loadTargets(s); err != nil {
		return nil, err
	}
	r.loadOnline(s)
	return s, nil
}

// loadTargets takes the newest targets metadata that the root allows. One that
// it does not allow is left over from a publication that did not come to its end.
func (r *Repository) loadTargets(s *state) error {
	versions, err := r.versions(metadata.TARGETS)
	if err != nil {
		return err
	}
	for _, v := range slices.Backward(versions) {
		data, err := r.read(tuf.FileName(metadata.TARGETS, v))
		if err != nil {
			return err
		}
		m, list, err := tuf.ParseTargets(data)
		if err == nil && tuf.Verify(s.root, metadata.TARGETS, m) == nil {
			s.targets, s.targetsFile, s.list = m, data, list
			return nil
		}
	}
	return nil
}

// loadOnline reads timestamp and the snapshot it names; what is not whole
// stays nil.
func (r *Repository) loadOnline(s *state) {
	data, err := r.read(tuf.FileName(metadata.TIMESTAMP, 0))
	if err != nil {
		return
	}
	var ts *metadata.Metadata[metadata.TimestampType]
	if err := tuf.Guard(func() error { ts, err = metadata.Timestamp().FromBytes(data); return err }); err != nil {
		return
	}
	if tuf.Verify(s.root, metadata.TIMESTAMP, ts) != nil {
		return
	}
	s.timestamp = ts
	s.issued, _, _ = tuf.Issued(&ts.Signed)
	meta := ts.Signed.Meta["snapshot.json"]
	if meta == nil {
		return
	}
	data, err = r.read(tuf.FileName(metadata.SNAPSHOT, meta.Version))
	if err != nil {
		return
	}
	var snap *metadata.Metadata[metadata.SnapshotType]
	err = tuf.Guard(func() error {
		if err := meta.VerifyLengthHashes(data); err != nil {
			return err
		}
		snap, err = metadata.Snapshot().FromBytes(data)
		return err
	})
	if err == nil && tuf.Verify(s.root, metadata.SNAPSHOT, snap) == nil {
		s.snapshot = snap
	}
}

func (r *Repository) read(name string) ([]byte, error) {
	data, err := r.disk.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return data, nil
}

// versions lists the stored versions of a role, ascending.
func (r *Repository) versions(role string) ([]int64, error) {
	entries, err := r.disk.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("cannot list metadata: %w", err)
	}
	var out []int64
	for _, e := range entries {
		num, ok := strings.CutSuffix(e.Name(), "."+role+".json")
		if !ok {
			continue
		}
		if v, err := strconv.ParseInt(num, 10, 64); err == nil && v > 0 && tuf.FileName(role, v) == e.Name() {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out, nil
}
