package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// FS is a file system as far as code that survives power cuts needs one. Names
// are relative to its root, with slashes; a final symbolic link is followed by
// OpenFile, ReadFile, ReadDir, Stat and SyncDir only. Errors are those of
// package os: [fs.ErrNotExist] and its kin can be asked for.
//
// Nothing is durable by itself: the bytes of a file are after File.Sync, its
// name is after SyncDir of its folder.
type FS interface {
	// OpenFile opens or makes a file as os.OpenFile does.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	ReadFile(name string) ([]byte, error)
	// ReadDir lists a folder by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	Stat(name string) (fs.FileInfo, error)
	Mkdir(name string, perm fs.FileMode) error
	// Rename replaces a file or link at the new name.
	Rename(from, to string) error
	// Remove removes a file, a link or an empty folder.
	Remove(name string) error
	// RemoveAll removes a folder with all that is in it; none is no error.
	// A crash meanwhile may leave any part of it.
	RemoveAll(name string) error
	Symlink(target, link string) error
	Readlink(link string) (target string, err error)
	SyncDir(name string) error
}

// File is an open file.
type File interface {
	io.Reader
	io.Writer
	io.Closer
	// Sync makes the bytes written so far durable.
	Sync() error
}

// OS is a folder of the operating system as an FS. No name and no symbolic
// link leads out of it, so it may be used with names from an archive.
type OS struct{ root *os.Root }

// OpenOS opens a folder, which must exist; MkdirAll of this package makes one.
func OpenOS(dir string) (*OS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open folder: %w", err)
	}
	return &OS{root: root}, nil
}

// Close gives the folder back. Files opened from it stay open.
func (o *OS) Close() error { return o.root.Close() }

// OpenFile implements [FS].
func (o *OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := o.root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // and not an interface around a nil *os.File
	}
	return f, nil
}

// ReadFile implements [FS].
func (o *OS) ReadFile(name string) ([]byte, error) { return o.root.ReadFile(name) }

// ReadDir implements [FS].
func (o *OS) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(o.root.FS(), name) }

// Stat implements [FS].
func (o *OS) Stat(name string) (fs.FileInfo, error) { return o.root.Stat(name) }

// Mkdir implements [FS].
func (o *OS) Mkdir(name string, perm fs.FileMode) error { return o.root.Mkdir(name, perm) }

// Rename implements [FS].
func (o *OS) Rename(from, to string) error { return o.root.Rename(from, to) }

// Remove implements [FS].
func (o *OS) Remove(name string) error { return o.root.Remove(name) }

// RemoveAll implements [FS].
func (o *OS) RemoveAll(name string) error { return o.root.RemoveAll(name) }

// Symlink implements [FS].
func (o *OS) Symlink(target, link string) error { return o.root.Symlink(target, link) }

// Readlink implements [FS].
func (o *OS) Readlink(link string) (string, error) { return o.root.Readlink(link) }

// SyncDir implements [FS].
func (o *OS) SyncDir(name string) error {
	d, err := o.root.Open(name)
	return syncDir(d, err)
}

// paths is the whole file system, by paths as the process sees them.
type paths struct{}

func (paths) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}
func (paths) ReadFile(name string) ([]byte, error)       { return os.ReadFile(name) }
func (paths) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (paths) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }
func (paths) Mkdir(name string, perm fs.FileMode) error  { return os.Mkdir(name, perm) }
func (paths) Rename(from, to string) error               { return os.Rename(from, to) }
func (paths) Remove(name string) error                   { return os.Remove(name) }
func (paths) RemoveAll(name string) error                { return os.RemoveAll(name) }
func (paths) Symlink(target, link string) error          { return os.Symlink(target, link) }
func (paths) Readlink(link string) (string, error)       { return os.Readlink(link) }
func (paths) SyncDir(name string) error {
	d, err := os.Open(name)
	return syncDir(d, err)
}

func syncDir(d *os.File, err error) error {
	if err != nil {
		return fmt.Errorf("cannot sync folder: %w", err)
	}
	info, err := d.Stat()
	switch {
	case err != nil:
	case !info.IsDir():
		err = &fs.PathError{Op: "sync", Path: d.Name(), Err: syscall.ENOTDIR}
	default:
		err = d.Sync()
	}
	if err := errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("cannot sync folder: %w", err)
	}
	return nil
}
