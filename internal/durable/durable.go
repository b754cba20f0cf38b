// Package durable changes files so that a power cut leaves either what was
// there before or what was asked for, and never reports success before that
// holds for ever. It owns no state; it is a handful of step sequences and the
// seam through which they can be tested by cutting the power after every step.
//
// # Why there are so many steps
//
// A file system keeps writes in memory and orders them as it likes. Replacing
// a file takes four steps, and each stands for one thing that was seen to go
// wrong without it:
//
//	write .NAME.tmp     a cut while writing NAME itself leaves half of it
//	fsync .NAME.tmp     the rename may reach the disk before the bytes: NAME is empty
//	rename to NAME      readers see the old or the new file, never none
//	fsync the folder    success was reported, and after the cut NAME is the old file
//
// A symbolic link is replaced likewise, without the second step; a new folder
// needs the fsync of the folder that it is in.
//
// # Two ways in
//
// [WriteFile], [SwapSymlink], [MkdirAll] and [SyncDir] work on paths of the
// operating system. Code that must survive a cut at any step takes an [FS]
// instead, wraps it in a [Disk] for the same four operations, runs on [OpenOS]
// in production and on a [Crashable] in its tests.
//
// What a killed process wrote is visible to its successor before it is durable.
// A successor that acts upon what it reads calls SyncDir on the folder first.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Disk adds the sequences of this package to a file system. Its names are
// those of the FS below. One writer at a time may replace the same name.
type Disk struct{ FS }

// WriteFile replaces the named file. After a crash it holds the old or the new
// content, and the new one once WriteFile has returned nil. On an error it
// still holds the old content, unless only the last step failed, in which case
// it may hold either.
func (d Disk) WriteFile(name string, data []byte, perm fs.FileMode) error {
	err := d.replace(name, func(tmp string) error {
		f, err := d.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		if err == nil {
			err = f.Sync()
		}
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

// SwapSymlink makes link point to target, whatever it pointed to before. After a
// crash it points to the old or the new target, and to the new one once
// SwapSymlink has returned nil. It does not look at the target.
func (d Disk) SwapSymlink(target, link string) error {
	if err := d.replace(link, func(tmp string) error { return d.Symlink(target, tmp) }); err != nil {
		return fmt.Errorf("cannot point %s to %s: %w", link, target, err)
	}
	return nil
}

// replace puts what make creates in place of name.
func (d Disk) replace(name string, create func(tmp string) error) error {
	dir, base := filepath.Split(filepath.Clean(name))
	tmp := dir + "." + base + ".tmp"
	if err := d.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // a leftover of an earlier crash must not be reused
	}
	err := create(tmp)
	if err == nil {
		err = d.Rename(tmp, name)
	}
	if err != nil {
		_ = d.Remove(tmp) // the next try removes it anyway
		return err
	}
	return d.SyncDir(filepath.Clean(dir))
}

// MkdirAll makes the named folder and its missing parents, and returns when they
// survive a power cut. A folder that exists already may be the unfinished
// work of a killed process, so its entry is synced once more.
func (d Disk) MkdirAll(name string, perm fs.FileMode) error {
	if err := d.mkdirAll(filepath.Clean(name), perm); err != nil {
		return fmt.Errorf("cannot make folder %s: %w", name, err)
	}
	return nil
}

func (d Disk) mkdirAll(name string, perm fs.FileMode) error {
	parent := filepath.Dir(name)
	if parent == name { // "." or "/"
		return nil
	}
	info, err := d.Stat(name)
	switch {
	case err == nil && !info.IsDir():
		return errors.New("a file of that name is in the way")
	case err == nil:
		if err := d.SyncDir(parent); !errors.Is(err, fs.ErrPermission) {
			return err
		}
		return nil // who may not even read the parent did not make the folder
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := d.mkdirAll(parent, perm); err != nil {
		return err
	}
	if err := d.Mkdir(name, perm); err != nil {
		return err
	}
	return d.SyncDir(parent)
}

// WriteFile is [Disk.WriteFile] on a path of the operating system.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return Disk{paths{}}.WriteFile(path, data, perm)
}

// SwapSymlink is [Disk.SwapSymlink] on a path of the operating system.
func SwapSymlink(target, link string) error { return Disk{paths{}}.SwapSymlink(target, link) }

// MkdirAll is [Disk.MkdirAll] on a path of the operating system.
func MkdirAll(path string, perm fs.FileMode) error { return Disk{paths{}}.MkdirAll(path, perm) }

// SyncDir makes durable which names a folder holds: files made, renamed or
// removed in it. What the files hold is their own Sync's work.
func SyncDir(path string) error { return paths{}.SyncDir(path) }
