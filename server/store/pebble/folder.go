package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// makeFolder makes a folder and its missing parents, durably.
func makeFolder(disk vfs.FS, dir string) error {
	info, err := disk.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := disk.PathDir(dir)
	if parent != dir {
		if err := makeFolder(disk, parent); err != nil {
			return err
		}
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	d, err := disk.OpenDir(parent)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// unusable explains why there is no store in a folder, in one line.
func unusable(dir string, err error) error {
	var cause error = err
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		cause = path.Err // its path is the folder or lies in it
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		user := os.Geteuid()
		return fmt.Errorf("cannot open store: folder %s is not writable by user %d: %w", dir, user, cause)
	}
	return fmt.Errorf("cannot open store in folder %s: %w", dir, cause)
}

// unlockable explains why a folder cannot be taken: either its lock file cannot be
// made, or another process has it.
func unlockable(dir string, err error) error {
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return unusable(dir, err)
	}
	return fmt.Errorf("cannot open store: folder %s is in use by another process: %w", dir, err)
}
