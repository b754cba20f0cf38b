package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuf"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/protocol"
)

// SoloConfig says what [InitSolo] makes.
type SoloConfig struct {
	// Dir is the workspace's folder; it is created with mode 0700.
	Dir string
	// Settings are remembered in the workspace.
	Settings Settings
	// OnlineKey is the server's key: it alone signs snapshot and timestamp.
	OnlineKey firmware.PublicKey
	// Passphrase seals the key; at least [MinPassphrase] bytes.
	Passphrase []byte
	// Now is the time of signing; what is signed lasts ten years from it.
	Now time.Time
}

// InitSolo makes a workspace for one person: one sealed key is root and
// targets key, each with threshold 1, and a second root key is returned as
// text. That recovery key is stored nowhere: it is what remains when the first
// is lost.
func InitSolo(cfg SoloConfig) (w *Workspace, recovery string, err error) {
	if cfg.OnlineKey == (firmware.PublicKey{}) {
		return nil, "", errors.New("cannot make a firmware root without the server's online key")
	}
	key, err := NewKey()
	if err != nil {
		return nil, "", err
	}
	spare, err := NewKey()
	if err != nil {
		return nil, "", err
	}
	files, err := soloFiles(cfg, key, spare)
	if err != nil {
		return nil, "", err
	}
	if err := writeNew(cfg.Dir, files); err != nil {
		return nil, "", err
	}
	w, err = Open(cfg.Dir)
	return w, spare.Recovery(), err
}

// newFile is a file of a new workspace.
type newFile struct {
	name string
	data []byte
	perm fs.FileMode
}

// soloFiles makes everything in memory; the settings come last, because a
// folder without them is no workspace yet.
func soloFiles(cfg SoloConfig, key, spare Key) ([]newFile, error) {
	sealed, err := key.Seal(cfg.Passphrase)
	if err != nil {
		return nil, err
	}
	root, err := soloRoot(cfg, key, spare)
	if err != nil {
		return nil, err
	}
	targets, err := tuf.Sign(metadata.Targets(soloExpiry(cfg.Now)), key.private)
	if err != nil {
		return nil, err
	}
	settings, err := json.MarshalIndent(cfg.Settings, "", "  ")
	if err != nil {
		return nil, err
	}
	return []newFile{
		{keyFile, sealed, 0o600},
		{rootsDir + "/" + tuf.FileName(metadata.ROOT, 1), root, 0o644},
		{rootFile, root, 0o644},
		{targetsFile, targets, 0o644},
		{settingsFile, settings, 0o644},
	}, nil
}

func soloRoot(cfg SoloConfig, key, spare Key) ([]byte, error) {
	root := metadata.Root(soloExpiry(cfg.Now))
	roles := []struct {
		role string
		key  firmware.PublicKey
	}{
		{metadata.ROOT, key.Public()},
		{metadata.ROOT, spare.Public()},
		{metadata.TARGETS, key.Public()},
		{metadata.SNAPSHOT, cfg.OnlineKey},
		{metadata.TIMESTAMP, cfg.OnlineKey},
	}
	for _, r := range roles {
		k, _, err := tuf.Key(r.key)
		if err != nil {
			return nil, err
		}
		if err := root.Signed.AddKey(k, r.role); err != nil {
			return nil, fmt.Errorf("cannot make the firmware root: %w", err)
		}
	}
	return tuf.Sign(root, key.private)
}

// writeNew writes the files of a new workspace, and refuses a folder that
// holds a key: devices may trust it.
func writeNew(dir string, files []newFile) error {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot create the firmware workspace: %w", err)
	}
	folder, err := durable.OpenOS(dir)
	if err != nil {
		return fmt.Errorf("cannot create the firmware workspace: %w", err)
	}
	defer folder.Close()
	if _, err := folder.Stat(keyFile); !errors.Is(err, fs.ErrNotExist) {
		return protocol.Errorf(protocol.AlreadyExists, "%s already holds a firmware key, which devices may trust; use it, or give another --dir", dir)
	}
	disk := durable.Disk{FS: folder}
	for _, sub := range []string{rootsDir, artifactsDir} {
		if err := disk.MkdirAll(sub, 0o700); err != nil {
			return fmt.Errorf("cannot create the firmware workspace: %w", err)
		}
	}
	for _, f := range files {
		if err := disk.WriteFile(f.name, f.data, f.perm); err != nil {
			return err
		}
	}
	return nil
}
