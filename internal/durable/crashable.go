package durable

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrCut is what every operation of a [Crashable] answers once its power is cut.
var ErrCut = errors.New("the power was cut")

// Crashable is a file system in memory that keeps apart what is synced and
// what is not: only synced bytes and synced names survive [Crashable.Crash].
// A test sweeps the cut over all operations of what it tests:
//
//	for n := 1; ; n++ {
//		disk := prepared()
//		disk.CutAt(n)
//		err := operation(disk)
//		after := disk.Crash(nil)
//		... recover on after and check ...
//		if err == nil { break } // n was beyond the last operation
//	}
//
// Make one with [NewCrashable]. All methods may be called concurrently.
type Crashable struct {
	mu    sync.Mutex
	root  *node
	ops   int
	fault fault
}

// fault is an operation that is to fail.
type fault struct {
	at  int // number of the operation, counted from the first; 0 is none
	err error
	all bool // so do all that follow
}

// node is a file, a folder or a symbolic link: exactly one of entries and
// target is set, or none for a file.
type node struct {
	perm fs.FileMode
	// bytes are the content of a file, synced those that survive a crash.
	bytes, synced []byte
	// entries are the names in a folder, durable those that survive a crash.
	entries, durable map[string]*node
	target           string // of a symbolic link; survives with the link's name
}

// NewCrashable makes an empty file system.
func NewCrashable() *Crashable { return &Crashable{root: newFolder(0o755)} }

func newFolder(perm fs.FileMode) *node {
	return &node{perm: perm | fs.ModeDir, entries: map[string]*node{}, durable: map[string]*node{}}
}

// Ops is how many operations there were, those on open files included.
func (c *Crashable) Ops() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ops
}

// FailAt lets the n-th operation from now fail with err. It has no effect but
// that a failing Write may write a part; a failing Sync syncs nothing.
// It takes the place of what was planned before; n = 0 only forgets that, and
// so gives the power back.
func (c *Crashable) FailAt(n int, err error) { c.plan(n, err, false) }

// CutAt lets the n-th operation from now and all after it fail with [ErrCut].
func (c *Crashable) CutAt(n int) { c.plan(n, ErrCut, true) }

func (c *Crashable) plan(n int, err error, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = fault{}
	if n > 0 {
		c.fault = fault{at: c.ops + n, err: err, all: all}
	}
}

// step counts an operation and returns the error that it is to fail with.
// The caller holds mu.
func (c *Crashable) step() error {
	c.ops++
	f := c.fault
	if f.at > 0 && (c.ops == f.at || f.all && c.ops > f.at) {
		return f.err
	}
	return nil
}

// Crash returns the file system as it is after a power cut now; c itself is
// left as it is, and shares nothing with the result. What is not synced is lost, or,
// since a kernel may have written any of it in any order, kept where keep says
// so: it is asked for each name and each file's content that is not synced.
// Nil keeps nothing.
func (c *Crashable) Crash(keep func() bool) *Crashable {
	c.mu.Lock()
	defer c.mu.Unlock()
	if keep == nil {
		keep = func() bool { return false }
	}
	return &Crashable{root: c.root.afterCrash(keep, map[*node]*node{})}
}

// afterCrash copies a node; done maps those copied already, since between two
// syncs a renamed file may be found under both names.
func (n *node) afterCrash(keep func() bool, done map[*node]*node) *node {
	if out, ok := done[n]; ok {
		return out
	}
	out := &node{perm: n.perm, target: n.target}
	done[n] = out
	if n.entries == nil {
		out.synced = slices.Clone(n.synced)
		if string(n.bytes) != string(n.synced) && keep() {
			out.synced = slices.Clone(n.bytes)
		}
		out.bytes = slices.Clone(out.synced)
		return out
	}
	out.durable = map[string]*node{}
	for _, name := range n.names() {
		child := n.durable[name]
		if now := n.entries[name]; now != child && keep() {
			child = now
		}
		if child != nil {
			out.durable[name] = child.afterCrash(keep, done)
		}
	}
	out.entries = maps.Clone(out.durable)
	return out
}

// names lists the names that a folder has or had, in order.
func (n *node) names() []string {
	all := maps.Clone(n.entries)
	maps.Copy(all, n.durable)
	return slices.Sorted(maps.Keys(all))
}

// find resolves a name to its folder, the last element and the node there,
// which is nil if there is none. The last element is followed if it is a link and follow says so.
func (c *Crashable) find(name string, follow bool) (dir *node, base string, n *node, err error) {
	return c.walk(name, follow, 0)
}

func (c *Crashable) walk(name string, follow bool, links int) (dir *node, base string, n *node, err error) {
	name = path.Clean(name)
	if !fs.ValidPath(name) {
		return nil, "", nil, errors.New("path leads out of the root")
	}
	if links > 40 {
		return nil, "", nil, syscall.ELOOP
	}
	dir, base, n = c.root, ".", c.root
	elements := strings.Split(name, "/")
	for i, element := range elements {
		if name == "." {
			break
		}
		if n == nil {
			return nil, "", nil, fs.ErrNotExist
		}
		if n.entries == nil {
			return nil, "", nil, syscall.ENOTDIR
		}
		dir, base, n = n, element, n.entries[element]
		last := i == len(elements)-1
		if n != nil && n.target != "" && (follow || !last) {
			to := path.Join(append([]string{path.Join(elements[:i]...), n.target}, elements[i+1:]...)...)
			if path.IsAbs(n.target) {
				to = n.target // refused above
			}
			return c.walk(to, follow, links+1)
		}
	}
	return dir, base, n, nil
}

// info describes a node.
type info struct {
	name string
	node *node
	size int64
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.size }
func (i info) Mode() fs.FileMode          { return i.node.perm }
func (i info) Type() fs.FileMode          { return i.node.perm.Type() }
func (i info) ModTime() time.Time         { return time.Time{} }
func (i info) IsDir() bool                { return i.node.entries != nil }
func (i info) Sys() any                   { return nil }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
