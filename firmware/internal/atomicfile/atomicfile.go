// Package atomicfile writes files that a power cut leaves either old or new:
// write, fsync, rename, fsync of the folder. It owns nothing and never
// reports success before the bytes are durable.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// Write replaces the named file in root. The temporary file beside it is
// "<name>.tmp"; a leftover of an earlier crash is overwritten.
func Write(root *os.Root, name string, data []byte, perm fs.FileMode) error {
	tmp := name + ".tmp"
	if err := root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		_ = root.Remove(tmp)
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return SyncDir(root, path.Dir(name))
}

// SyncDir makes renames and new names in a folder durable.
func SyncDir(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("cannot sync folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("cannot sync folder %s: %w", d.Name(), err)
	}
	return nil
}
