package durable

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// OpenFile implements [FS].
func (c *Crashable) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir, base, n, err := c.begin(name, true)
	switch {
	case err != nil:
	case n == nil && flag&os.O_CREATE == 0:
		err = fs.ErrNotExist
	case n != nil && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		err = fs.ErrExist
	case n != nil && n.entries != nil && flag&(os.O_WRONLY|os.O_RDWR) != 0:
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, failed("open", name, err)
	}
	if n == nil {
		n = &node{perm: perm.Perm()}
		dir.entries[base] = n
	}
	if flag&os.O_TRUNC != 0 {
		n.bytes = nil
	}
	return &memFile{disk: c, node: n, name: name, flag: flag}, nil
}

// ReadFile implements [FS].
func (c *Crashable) ReadFile(name string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.existing(name, true)
	if err == nil && n.entries != nil {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, failed("read", name, err)
	}
	return slices.Clone(n.bytes), nil
}

// ReadDir implements [FS].
func (c *Crashable) ReadDir(name string) ([]fs.DirEntry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.existing(name, true)
	if err == nil && n.entries == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, failed("readdir", name, err)
	}
	var out []fs.DirEntry
	for _, base := range slices.Sorted(maps.Keys(n.entries)) {
		child := n.entries[base]
		out = append(out, info{name: base, node: child, size: int64(len(child.bytes))})
	}
	return out, nil
}

// Stat implements [FS]. There are no times.
func (c *Crashable) Stat(name string) (fs.FileInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.existing(name, true)
	if err != nil {
		return nil, failed("stat", name, err)
	}
	return info{name: path.Base(name), node: n, size: int64(len(n.bytes))}, nil
}

// Mkdir implements [FS].
func (c *Crashable) Mkdir(name string, perm fs.FileMode) error {
	return c.make("mkdir", name, newFolder(perm.Perm()))
}

// Symlink implements [FS].
func (c *Crashable) Symlink(target, link string) error {
	if target == "" {
		return failed("symlink", link, fs.ErrNotExist)
	}
	return c.make("symlink", link, &node{perm: 0o777 | fs.ModeSymlink, target: target})
}

func (c *Crashable) make(op, name string, made *node) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir, base, n, err := c.begin(name, false)
	if err == nil && n != nil {
		err = fs.ErrExist
	}
	if err != nil {
		return failed(op, name, err)
	}
	dir.entries[base] = made
	return nil
}

// Readlink implements [FS].
func (c *Crashable) Readlink(link string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.existing(link, false)
	if err == nil && n.target == "" {
		err = fs.ErrInvalid
	}
	if err != nil {
		return "", failed("readlink", link, err)
	}
	return n.target, nil
}

// Rename implements [FS].
func (c *Crashable) Rename(from, to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	oldDir, oldBase, n, err := c.begin(from, false)
	if err == nil && n == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return failed("rename", from, err)
	}
	newDir, newBase, there, err := c.find(to, false)
	switch {
	case err != nil:
	case n == c.root || there == c.root || n.entries != nil && within(to, from):
		err = fs.ErrInvalid
	case there == nil || there == n:
	case n.entries == nil && there.entries != nil, n.entries != nil && there.entries == nil:
		err = fs.ErrExist
	case len(there.entries) > 0:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return failed("rename", to, err)
	}
	delete(oldDir.entries, oldBase)
	newDir.entries[newBase] = n
	return nil
}

// within reports whether a name lies below a folder.
func within(name, folder string) bool {
	return strings.HasPrefix(path.Clean(name)+"/", path.Clean(folder)+"/") && path.Clean(name) != path.Clean(folder)
}

// Remove implements [FS].
func (c *Crashable) Remove(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir, base, n, err := c.begin(name, false)
	switch {
	case err != nil:
	case n == nil:
		err = fs.ErrNotExist
	case n == c.root:
		err = fs.ErrInvalid
	case len(n.entries) > 0:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return failed("remove", name, err)
	}
	delete(dir.entries, base)
	return nil
}

// RemoveAll implements [FS]. It is one operation, but a crash before the sync
// may find it done in part.
func (c *Crashable) RemoveAll(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir, base, n, err := c.begin(name, false)
	if errors.Is(err, fs.ErrNotExist) || err == nil && n == nil {
		return nil
	}
	if err == nil && n == c.root {
		err = fs.ErrInvalid
	}
	if err != nil {
		return failed("removeall", name, err)
	}
	n.empty()
	delete(dir.entries, base)
	return nil
}

func (n *node) empty() {
	for name, child := range n.entries {
		child.empty()
		delete(n.entries, name)
	}
}

// SyncDir implements [FS].
func (c *Crashable) SyncDir(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.existing(name, true)
	if err == nil && n.entries == nil {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return failed("syncdir", name, err)
	}
	n.durable = maps.Clone(n.entries)
	return nil
}

// begin counts an operation and resolves the name it is about. The caller holds mu.
func (c *Crashable) begin(name string, follow bool) (dir *node, base string, n *node, err error) {
	if err := c.step(); err != nil {
		return nil, "", nil, err
	}
	return c.find(name, follow)
}

// existing is begin for a name that must be there.
func (c *Crashable) existing(name string, follow bool) (*node, error) {
	_, _, n, err := c.begin(name, follow)
	if err == nil && n == nil {
		err = fs.ErrNotExist
	}
	return n, err
}

func failed(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// memFile is an open file of a Crashable.
type memFile struct {
	disk   *Crashable
	node   *node
	name   string
	flag   int
	offset int
	closed bool
}

func (f *memFile) Read(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.begin("read", f.flag&os.O_WRONLY == 0); err != nil {
		return 0, err
	}
	if f.offset >= len(f.node.bytes) {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, f.node.bytes[f.offset:])
	f.offset += n
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	err := f.begin("write", f.flag&(os.O_WRONLY|os.O_RDWR) != 0)
	if errors.Is(err, fs.ErrClosed) || errors.Is(err, fs.ErrPermission) {
		return 0, err
	}
	if err != nil {
		p = p[:len(p)/2] // a disk that fills up takes a part
	}
	if f.flag&os.O_APPEND != 0 {
		f.offset = len(f.node.bytes)
	}
	if gap := f.offset + len(p) - len(f.node.bytes); gap > 0 {
		f.node.bytes = append(f.node.bytes, make([]byte, gap)...)
	}
	copy(f.node.bytes[f.offset:], p)
	f.offset += len(p)
	return len(p), err
}

func (f *memFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.begin("sync", true); err != nil {
		return err
	}
	f.node.synced = slices.Clone(f.node.bytes)
	return nil
}

func (f *memFile) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	err := f.begin("close", true)
	f.closed = true
	return err
}

// begin counts an operation on the file. The caller holds the disk's mu.
func (f *memFile) begin(op string, allowed bool) error {
	err := f.disk.step()
	switch {
	case f.closed:
		err = fs.ErrClosed
	case !allowed:
		err = fs.ErrPermission
	}
	if err != nil {
		return failed(op, f.name, err)
	}
	return nil
}
