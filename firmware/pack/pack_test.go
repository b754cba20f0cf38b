package pack_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/muster-iot/muster/firmware/pack"
)

// node is a file, folder or link of a tree: mode bits, content or link target.
type node struct {
	Mode fs.FileMode
	Data string
}

// write makes a tree in a new folder; names end with / for folders.
func write(t testing.TB, tree map[string]node) string {
	t.Helper()
	dir := t.TempDir()
	if err := writeTo(dir, tree); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeTo(dir string, tree map[string]node) error {
	for name, n := range tree {
		path := filepath.Join(dir, filepath.FromSlash(name))
		parent := filepath.Dir(path)
		if n.Mode.IsDir() {
			parent = path
		}
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	for name, n := range tree {
		path := filepath.Join(dir, filepath.FromSlash(name))
		switch {
		case n.Mode.IsDir():
			continue
		case n.Mode&fs.ModeSymlink != 0:
			if err := os.Symlink(n.Data, path); err != nil {
				return err
			}
		default:
			if err := os.WriteFile(path, []byte(n.Data), 0o600); err != nil {
				return err
			}
			if err := os.Chmod(path, n.Mode); err != nil {
				return err
			}
		}
	}
	for name, n := range tree {
		if n.Mode.IsDir() {
			if err := os.Chmod(filepath.Join(dir, filepath.FromSlash(name)), n.Mode.Perm()); err != nil {
				return err
			}
		}
	}
	return nil
}

// read lists a folder as write takes it.
func read(dir string) (map[string]node, error) {
	tree := map[string]node{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		n := node{Mode: info.Mode()}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			n.Mode = fs.ModeSymlink
			n.Data, err = os.Readlink(path)
		case info.Mode().IsRegular():
			var data []byte
			data, err = os.ReadFile(path)
			n.Data = string(data)
		}
		tree[name] = n
		return err
	})
	return tree, err
}

func packed(t testing.TB, dir string) ([]byte, pack.Summary) {
	t.Helper()
	var b bytes.Buffer
	sum, err := pack.Pack(&b, dir)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), sum
}

var app = map[string]node{
	"bin":          {Mode: fs.ModeDir | 0o755},
	"bin/app":      {Mode: 0o755, Data: strings.Repeat("#!/bin/sh\n", 500)},
	"bin/app-link": {Mode: fs.ModeSymlink, Data: "app"},
	"etc":          {Mode: fs.ModeDir | 0o750},
	"etc/conf":     {Mode: 0o640, Data: "a=b"},
	"etc/empty":    {Mode: 0o600},
	"up":           {Mode: fs.ModeDir | 0o700},
	"up/link":      {Mode: fs.ModeSymlink, Data: "../etc/conf"},
	"up/dangling":  {Mode: fs.ModeSymlink, Data: "../data/later"},
	"VERSION":      {Mode: 0o644, Data: "6\n"},
	"größe ☃.txt":  {Mode: 0o644, Data: "unicode"},
}

func TestRoundTrip(t *testing.T) {
	data, sum := packed(t, write(t, app))
	want := pack.Summary{Bytes: 5000 + 3 + 2 + 7, MaxFile: 5000, Entries: len(app)}
	if sum != want {
		t.Fatalf("summary %+v, want %+v", sum, want)
	}
	dst := filepath.Join(t.TempDir(), "v6")
	if err := pack.Unpack(bytes.NewReader(data), dst, pack.Limits{Bytes: sum.Bytes, Entries: sum.Entries}); err != nil {
		t.Fatal(err)
	}
	got, err := read(dst)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(app, got); diff != "" {
		t.Fatal(diff)
	}
	if info, err := os.Stat(dst); err != nil || info.Mode().Perm() != 0o755 {
		t.Fatalf("folder itself: %v %v", info.Mode(), err)
	}
}

func TestSameFolderSameBytes(t *testing.T) {
	one, _ := packed(t, write(t, app))
	dir := write(t, app)
	if err := os.Chtimes(filepath.Join(dir, "VERSION"), fileTime, fileTime); err != nil {
		t.Fatal(err)
	}
	two, _ := packed(t, dir)
	if !bytes.Equal(one, two) {
		t.Fatal("two packings of the same folder differ")
	}
}

func TestRoundTripOfAnyTree(t *testing.T) {
	base := t.TempDir()
	name := rapid.StringMatching(`[a-c]{1,2}(/[a-c]{1,2}){0,2}`)
	rapid.Check(t, func(rt *rapid.T) {
		tree := map[string]node{}
		for n, data := range rapid.MapOfN(name, rapid.SliceOfN(rapid.Byte(), 0, 3000), 1, 8).Draw(rt, "files") {
			tree[n] = node{Mode: rapid.SampledFrom([]fs.FileMode{0o600, 0o644, 0o755}).Draw(rt, "mode"), Data: string(data)}
		}
		work, err := os.MkdirTemp(base, "")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(work)
		src, dst := filepath.Join(work, "src"), filepath.Join(work, "dst")
		if err := writeTo(src, tree); err != nil {
			rt.Skip("a name is both file and folder")
		}
		want, err := read(src)
		if err != nil {
			rt.Fatal(err)
		}
		var b bytes.Buffer
		sum, err := pack.Pack(&b, src)
		if err == nil {
			err = pack.Unpack(&b, dst, pack.Limits{Bytes: sum.Bytes})
		}
		if err != nil {
			rt.Fatal(err)
		}
		got, err := read(dst)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestPackRefuses(t *testing.T) {
	rows := []struct {
		name string
		tree map[string]node
		want string
	}{
		{"empty folder", nil, "empty"},
		{"absolute link", map[string]node{"l": {fs.ModeSymlink, "/etc/passwd"}}, "l points to the absolute path /etc/passwd"},
		{"link out", map[string]node{"d/l": {fs.ModeSymlink, "../../x"}}, "d/l"},
		{"link out through a link", map[string]node{
			"a/b/up": {fs.ModeSymlink, "../.."}, "a/b/l": {fs.ModeSymlink, "up/../x"},
		}, "leaves the folder"},
		{"links in a circle", map[string]node{"a": {fs.ModeSymlink, "b"}, "b": {fs.ModeSymlink, "a"}}, "circle"},
		{"set-user-id", map[string]node{"su": {fs.ModeSetuid | 0o755, "x"}}, "set-user-id"},
		{"control character", map[string]node{"a\nb": {0o644, ""}}, "not a name"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := pack.Pack(io.Discard, write(t, row.tree))
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("got %v, want %q", err, row.want)
			}
		})
	}
	if _, err := pack.Pack(io.Discard, filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestPackRefusesDevices(t *testing.T) {
	dir := t.TempDir()
	if err := mkfifo(filepath.Join(dir, "fifo")); err != nil {
		t.Skip(err)
	}
	if _, err := pack.Pack(io.Discard, dir); err == nil || !strings.Contains(err.Error(), "fifo is neither") {
		t.Fatalf("got %v", err)
	}
}

func TestPackReportsAFullDisk(t *testing.T) {
	full := errors.New("no space left on device")
	if _, err := pack.Pack(failing{full}, write(t, app)); !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
