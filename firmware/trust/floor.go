package trust

import (
	"encoding/json"
	"hash/crc32"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/internal/durable"
)

// floor is the newest verified signing time, with the keys that were allowed
// to sign it. A root that changes those keys resets it: whoever stole the
// server's key could have signed a time far ahead and frozen the device for
// ever.
type floor struct {
	issued time.Time
	keyIDs []string // of the timestamp role, sorted
}

// floorRecord is the stored form of a floor.
type floorRecord struct {
	Issued time.Time `json:"issued"`
	KeyIDs []string  `json:"keyids"`
	CRC    uint32    `json:"crc"`
}

func (r floorRecord) sum() uint32 {
	h := crc32.NewIEEE()
	h.Write([]byte(r.Issued.UTC().Format(time.RFC3339)))
	for _, id := range r.KeyIDs {
		h.Write([]byte(" " + id))
	}
	return h.Sum32()
}

// loadFloor reads the stored floor. A missing or damaged one counts as none:
// the next timestamp raises it again.
func loadFloor(disk durable.Disk) *floor {
	data, err := disk.ReadFile(floorFile)
	if err != nil {
		return &floor{}
	}
	var rec floorRecord
	if json.Unmarshal(data, &rec) != nil || rec.CRC != rec.sum() {
		return &floor{}
	}
	return &floor{issued: rec.Issued.UTC(), keyIDs: rec.KeyIDs}
}

func storeFloor(disk durable.Disk, f *floor) error {
	rec := floorRecord{Issued: f.issued, KeyIDs: f.keyIDs}
	rec.CRC = rec.sum()
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return disk.WriteFile(floorFile, data, 0o600)
}

// timestampKeys returns the sorted key ids of a root's timestamp role.
func timestampKeys(root *metadata.RootType) []string {
	return slices.Sorted(slices.Values(root.Roles[metadata.TIMESTAMP].KeyIDs))
}

// bindFloor drops a floor that other keys than the root's signed.
func (v *Verifier) bindFloor(root *metadata.RootType) error {
	keys := timestampKeys(root)
	old := v.floor.Load()
	if slices.Equal(old.keyIDs, keys) {
		return nil
	}
	f := &floor{keyIDs: keys}
	if !old.issued.IsZero() {
		if err := storeFloor(v.disk, f); err != nil {
			return err
		}
	}
	v.floor.Store(f)
	return nil
}

// raiseFloor keeps a verified signing time that is newer than the floor.
func (v *Verifier) raiseFloor(issued time.Time) error {
	old := v.floor.Load()
	if !issued.After(old.issued) {
		return nil
	}
	f := &floor{issued: issued, keyIDs: old.keyIDs}
	if err := storeFloor(v.disk, f); err != nil {
		return err
	}
	v.floor.Store(f)
	return nil
}
