// Package pack makes and unpacks the archive of an application folder: a tar
// compressed with zstd. Packing is deterministic (the same folder gives the
// same bytes on every machine), and unpacking trusts nothing in the archive,
// signed or not: sizes and counts are bounded, nothing is written outside the
// destination, and everything is fsynced before it returns.
//
// An archive holds folders, regular files and relative symbolic links that
// stay inside; owner and times are not kept. It never holds devices, hard
// links, set-user-id bits or absolute names.
package pack

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
)

// windowSize bounds the memory that unpacking needs on the device.
const windowSize = 4 << 20

// Summary says what an archive holds.
type Summary struct {
	// Bytes is the sum of the sizes of all regular files.
	Bytes int64
	// MaxFile is the size of the largest one.
	MaxFile int64
	// Entries counts files, folders and links.
	Entries int
}

// Pack writes the archive of a folder to w. It refuses a folder that is empty
// or holds something an archive cannot keep, and names it.
func Pack(w io.Writer, dir string) (Summary, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Summary{}, fmt.Errorf("cannot pack %s: %w", dir, err)
	}
	defer root.Close()
	zw, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowSize),
		zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		return Summary{}, fmt.Errorf("cannot pack %s: %w", dir, err)
	}
	p := &packer{root: root, tar: tar.NewWriter(zw), tree: newTree()}
	err = p.run()
	if cerr := zw.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return Summary{}, fmt.Errorf("cannot pack %s: %w", dir, err)
	}
	return p.sum, nil
}

type packer struct {
	root *os.Root
	tar  *tar.Writer
	tree *tree
	sum  Summary
}

func (p *packer) run() error {
	if err := fs.WalkDir(p.root.FS(), ".", p.visit); err != nil {
		return err
	}
	if p.sum.Entries == 0 {
		return fmt.Errorf("the folder is empty")
	}
	if err := p.tree.checkLinks(); err != nil {
		return err
	}
	return p.tar.Close()
}

func (p *packer) visit(name string, d fs.DirEntry, err error) error {
	if err != nil || name == "." {
		return err
	}
	info, err := p.root.Lstat(name)
	if err != nil {
		return err
	}
	if special := info.Mode() & (fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky); special != 0 && !info.IsDir() {
		return fmt.Errorf("%s has set-user-id, set-group-id or sticky bits (%s); remove them", name, info.Mode())
	}
	p.sum.Entries++
	switch mode := info.Mode(); {
	case mode.IsDir():
		return p.folder(name, info)
	case mode.IsRegular():
		return p.file(name)
	case mode&fs.ModeSymlink != 0:
		return p.link(name)
	default:
		return fmt.Errorf("%s is neither file, folder nor symbolic link (%s)", name, mode)
	}
}

func (p *packer) folder(name string, info fs.FileInfo) error {
	if err := p.tree.addDir(name); err != nil {
		return err
	}
	return p.tar.WriteHeader(header(name+"/", tar.TypeDir, info.Mode()))
}

func (p *packer) link(name string) error {
	target, err := p.root.Readlink(name)
	if err != nil {
		return err
	}
	if err := p.tree.addLink(name, target); err != nil {
		return err
	}
	h := header(name, tar.TypeSymlink, 0o777)
	h.Linkname = target
	return p.tar.WriteHeader(h)
}

func (p *packer) file(name string) error {
	if err := p.tree.addFile(name); err != nil {
		return err
	}
	f, err := p.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := header(name, tar.TypeReg, info.Mode())
	h.Size = info.Size()
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	if n, err := io.Copy(p.tar, f); err != nil || n != h.Size {
		return fmt.Errorf("%s changed or failed while it was read: %d of %d bytes: %v", name, n, h.Size, err)
	}
	p.sum.Bytes += h.Size
	p.sum.MaxFile = max(p.sum.MaxFile, h.Size)
	return nil
}

// header keeps only what an archive carries, so that the same folder gives
// the same bytes whoever packs it.
func header(name string, kind byte, mode fs.FileMode) *tar.Header {
	return &tar.Header{
		Name:     name,
		Typeflag: kind,
		Mode:     int64(mode.Perm()),
		ModTime:  time.Unix(0, 0),
		Format:   tar.FormatPAX,
	}
}
