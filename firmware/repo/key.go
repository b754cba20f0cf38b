package repo

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/muster-iot/muster/internal/durable"
)

// keyRecord is the file form of the online key. It is not encrypted: the
// server signs unattended. Mode 0600 is checked at every start.
type keyRecord struct {
	Format string `json:"format"`
	Seed   []byte `json:"seed"`
}

const keyFormat = "muster-online-key-1"

// onlineKey reads the online key, or makes it when there is none.
func onlineKey(dir *os.Root) (ed25519.PrivateKey, error) {
	info, err := dir.Lstat(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return newOnlineKey(dir)
	}
	if err != nil {
		return nil, err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %o: others can read the key; run chmod 600 on it and consider it stolen", keyFile, perm)
	}
	data, err := dir.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	var rec keyRecord
	if err := json.Unmarshal(data, &rec); err != nil || rec.Format != keyFormat || len(rec.Seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s is damaged; restore it from a backup", keyFile)
	}
	return ed25519.NewKeyFromSeed(rec.Seed), nil
}

func newOnlineKey(dir *os.Root) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make the online key: %w", err)
	}
	data, err := json.Marshal(keyRecord{Format: keyFormat, Seed: key.Seed()})
	if err != nil {
		return nil, err
	}
	return key, durable.WriteFile(filepath.Join(dir.Name(), keyFile), data, 0o600)
}
