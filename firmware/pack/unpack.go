package pack

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxTrailer is what may follow the end of an archive: tar's own padding.
const maxTrailer = 64 << 10

// DefaultEntries is the number of entries that [Limits] allow by default.
const DefaultEntries = 100_000

// Limits bound what unpacking may write.
type Limits struct {
	// Bytes bounds the sum of all file sizes: the signed unpackedSize. It has
	// no default: 0 allows empty files only.
	Bytes int64
	// Entries bounds files, folders and links; 0 means [DefaultEntries].
	Entries int
}

// Unpack writes the archive in r to the new folder dst, whose parent must
// exist. It reads r to its end, so that a hash taken on the way covers all of
// it. When it returns nil every file, every folder and dst itself are
// fsynced. On an error dst may be left half written; the caller removes it.
func Unpack(r io.Reader, dst string, limits Limits) error {
	if limits.Entries == 0 {
		limits.Entries = DefaultEntries
	}
	if err := os.Mkdir(dst, 0o700); err != nil {
		return fmt.Errorf("cannot unpack: %w", err)
	}
	root, err := os.OpenRoot(dst)
	if err != nil {
		return fmt.Errorf("cannot unpack to %s: %w", dst, err)
	}
	defer root.Close()
	zr, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(2*windowSize))
	if err != nil {
		return fmt.Errorf("cannot unpack: %w", err)
	}
	defer zr.Close()
	u := &unpacker{root: root, limits: limits, tree: newTree(), modes: map[string]fs.FileMode{".": 0o755}}
	if err := u.run(zr); err != nil {
		return fmt.Errorf("cannot unpack: %w", err)
	}
	return syncParent(dst)
}

type unpacker struct {
	root    *os.Root
	limits  Limits
	tree    *tree
	modes   map[string]fs.FileMode // of folders, applied last
	bytes   int64
	entries int
}

func (u *unpacker) run(zr io.Reader) error {
	tr := tar.NewReader(zr)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("archive is damaged: %w", err)
		}
		if err := u.entry(h, tr); err != nil {
			return err
		}
	}
	if err := drain(zr); err != nil {
		return err
	}
	if err := u.makeLinks(); err != nil {
		return err
	}
	return u.finishDirs()
}

func (u *unpacker) entry(h *tar.Header, body io.Reader) error {
	name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
	if h.Typeflag == tar.TypeDir && (name == "" || name == ".") {
		return nil // the folder itself, as "tar -C dir ." writes it
	}
	if u.entries++; u.entries > u.limits.Entries {
		return fmt.Errorf("archive has more than %d entries", u.limits.Entries)
	}
	if h.Mode&^0o777 != 0 && h.Typeflag != tar.TypeSymlink {
		return fmt.Errorf("%.200q has mode %o; only permission bits are allowed", name, h.Mode)
	}
	mode := fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		return u.folder(name, mode)
	case tar.TypeReg:
		return u.file(name, mode, h.Size, body)
	case tar.TypeSymlink:
		return u.tree.addLink(name, h.Linkname)
	default:
		return fmt.Errorf("%.200q is neither file, folder nor symbolic link (type %q)", name, h.Typeflag)
	}
}

func (u *unpacker) folder(name string, mode fs.FileMode) error {
	if err := u.tree.addDir(name); err != nil {
		return err
	}
	u.modes[name] = mode
	return u.root.Mkdir(name, 0o700)
}

func (u *unpacker) file(name string, mode fs.FileMode, size int64, body io.Reader) error {
	if err := u.tree.addFile(name); err != nil {
		return err
	}
	if size < 0 || size > u.limits.Bytes-u.bytes {
		return fmt.Errorf("archive unpacks to more than %d bytes (at %s)", u.limits.Bytes, name)
	}
	u.bytes += size
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, body, size)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

// makeLinks comes after all files, so that nothing is ever written through one.
func (u *unpacker) makeLinks() error {
	if err := u.tree.checkLinks(); err != nil {
		return err
	}
	for name, target := range u.tree.links {
		if err := u.root.Symlink(target, name); err != nil {
			return err
		}
	}
	return nil
}

// finishDirs gives folders their modes and fsyncs them, deepest first.
func (u *unpacker) finishDirs() error {
	dirs := make([]string, 0, len(u.modes))
	for name := range u.modes {
		dirs = append(dirs, name)
	}
	slices.SortFunc(dirs, func(a, b string) int { return depth(b) - depth(a) })
	for _, name := range dirs {
		if err := finishDir(u.root, name, u.modes[name]); err != nil {
			return fmt.Errorf("cannot finish folder %s: %w", name, err)
		}
	}
	return nil
}

func depth(name string) int {
	if name == "." {
		return 0
	}
	return strings.Count(name, "/") + 1
}

func finishDir(root *os.Root, name string, mode fs.FileMode) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Chmod(mode); err != nil {
		return err
	}
	return d.Sync()
}

// drain reads what follows the archive: padding, and not much of it.
func drain(r io.Reader) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, maxTrailer+1))
	if err != nil {
		return fmt.Errorf("archive is damaged: %w", err)
	}
	if n > maxTrailer {
		return errors.New("archive is followed by other data")
	}
	return nil
}

func syncParent(dst string) error {
	parent, err := os.Open(filepath.Dir(path.Clean(dst)))
	if err != nil {
		return fmt.Errorf("cannot sync folder: %w", err)
	}
	defer parent.Close()
	if err := parent.Sync(); err != nil {
		return fmt.Errorf("cannot sync folder %s: %w", parent.Name(), err)
	}
	return nil
}
