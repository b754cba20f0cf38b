package pack_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/muster-iot/muster/firmware/pack"
)

var fileTime = time.Unix(1e9, 0)

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }

// archive writes headers and contents as they are, good or bad.
func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		if h.Size == 0 {
			h.Size = int64(len(e.data))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(e.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return compress(t, b.Bytes())
}

type entry struct {
	tar.Header
	data string
}

func compress(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func file(name, data string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg}, data}
}

func dir(name string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}, ""}
}

func link(name, target string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}, ""}
}

func special(name string, kind byte) entry {
	return entry{tar.Header{Name: name, Typeflag: kind, Linkname: "a"}, ""}
}

func TestUnpackRefuses(t *testing.T) {
	good := archive(t, file("a", "12345"))
	many := make([]entry, 21)
	for i := range many {
		many[i] = file(fmt.Sprint(i), "")
	}
	var half bytes.Buffer
	tw := tar.NewWriter(&half)
	_ = tw.WriteHeader(&tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 100, Mode: 0o644})
	_, _ = tw.Write([]byte("only this"))
	rows := []struct {
		name string
		data []byte
		want string
	}{
		{"absolute name", archive(t, file("/etc/passwd", "x")), "not a clean relative name"},
		{"dot dot", archive(t, file("../x", "x")), "not a clean relative name"},
		{"dot dot inside", archive(t, dir("a/"), file("a/../../x", "x")), "not a clean relative name"},
		{"dot dot alone", archive(t, dir("../")), "not a clean relative name"},
		{"empty name", archive(t, file("", "x")), "not a name"},
		{"dot inside", archive(t, dir("a/"), file("a/./x", "x")), "not a clean relative name"},
		{"double slash", archive(t, dir("a/"), file("a//x", "x")), "not a clean relative name"},
		{"control character", archive(t, file("a\x1bb", "x")), "not a name"},
		{"name not UTF-8", archive(t, entry{tar.Header{Name: "a\xff", Typeflag: tar.TypeReg, Format: tar.FormatGNU}, "x"}), "not a name"},
		{"very long name", archive(t, file(strings.Repeat("a", 300), "x")), "not a clean relative name"},
		{"the same file twice", archive(t, file("a", "1"), file("a", "2")), "twice"},
		{"file over folder", archive(t, dir("a/"), file("a", "2")), "twice"},
		{"file in a file", archive(t, file("a", "1"), file("a/b", "2")), "before its folder"},
		{"file in no folder", archive(t, file("a/b", "2")), "before its folder"},
		{"absolute link", archive(t, link("a", "/etc")), "absolute"},
		{"link out", archive(t, link("a", "../x")), "leaves the folder"},
		{"link out through a link", archive(t, dir("d/"), dir("d/e/"), link("d/e/up", "../.."), link("l", "d/e/up/../x")), "leaves the folder"},
		{"file through a link", archive(t, link("a", "."), file("a/b", "2")), "before its folder"},
		{"link over folder, then a file in it", archive(t, dir("d/"), link("d", ".."), file("d/x", "1")), "twice"},
		{"links in a circle", archive(t, link("a", "b/c"), link("b", "a")), "circle"},
		{"empty link", archive(t, entry{tar.Header{Name: "a", Typeflag: tar.TypeSymlink}, ""}), "bad target"},
		{"hard link", archive(t, file("a", ""), special("b", tar.TypeLink)), "neither"},
		{"character device", archive(t, special("null", tar.TypeChar)), "neither"},
		{"block device", archive(t, special("sda", tar.TypeBlock)), "neither"},
		{"fifo", archive(t, special("fifo", tar.TypeFifo)), "neither"},
		{"set-user-id", archive(t, entry{tar.Header{Name: "su", Typeflag: tar.TypeReg, Mode: 0o4755}, "x"}), "permission bits"},
		{"sticky folder", archive(t, entry{tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o1777}, ""}), "permission bits"},
		{"one byte too many", archive(t, file("a", "123456789"), file("b", "12")), "more than 10 bytes"},
		{"declared far too large", archive(t, file("a", strings.Repeat("x", 4096))), "more than 10 bytes"},
		{"too many entries", archive(t, many...), "more than 20 entries"},
		{"not zstd", []byte("PK\x03\x04 a zip file"), "damaged"},
		{"empty", nil, ""},
		{"not tar", compress(t, []byte(strings.Repeat("no tar ", 100))), "damaged"},
		{"half an entry", compress(t, half.Bytes()), "a"},
		{"cut", good[:len(good)-6], "damaged"},
		{"garbage after it", append(bytes.Clone(good), "garbage"...), "damaged"},
		{"bomb after it", append(bytes.Clone(good), compress(t, make([]byte, 200<<10))...), "followed by other data"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			outer := t.TempDir()
			dst := filepath.Join(outer, "in", "dst")
			if err := os.Mkdir(filepath.Dir(dst), 0o755); err != nil {
				t.Fatal(err)
			}
			err := pack.Unpack(bytes.NewReader(row.data), dst, pack.Limits{Bytes: 10, Entries: 20})
			if row.name == "empty" {
				if err != nil && !strings.Contains(err.Error(), "damaged") {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("got %v, want %q", err, row.want)
			}
			wantNothingOutside(t, outer)
		})
	}
}

// wantNothingOutside checks that only in/dst was touched.
func wantNothingOutside(t *testing.T, outer string) {
	t.Helper()
	for path, want := range map[string]string{outer: "in", filepath.Join(outer, "in"): "dst"} {
		entries, err := os.ReadDir(path)
		if err != nil || len(entries) != 1 || entries[0].Name() != want {
			t.Fatalf("%s holds %v (%v)", path, entries, err)
		}
	}
}

func TestUnpackAcceptsOrdinaryTar(t *testing.T) {
	// As "tar -C dir ." writes it, in GNU format, with padding.
	data := archive(t, dir("./"), dir("./bin/"), file("./bin/app", "x"), link("./run", "bin/app"))
	dst := filepath.Join(t.TempDir(), "dst")
	if err := pack.Unpack(bytes.NewReader(data), dst, pack.Limits{Bytes: 1}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dst, "run"))
	if err != nil || string(got) != "x" {
		t.Fatalf("%q %v", got, err)
	}
}

func TestUnpackReadsToTheEnd(t *testing.T) {
	data := archive(t, file("a", "x"))
	r := bytes.NewReader(data)
	if err := pack.Unpack(r, filepath.Join(t.TempDir(), "dst"), pack.Limits{Bytes: 1}); err != nil {
		t.Fatal(err)
	}
	if r.Len() != 0 {
		t.Fatalf("%d bytes were not read", r.Len())
	}
}

func TestUnpackRefusesAnExistingFolder(t *testing.T) {
	dst := t.TempDir()
	err := pack.Unpack(bytes.NewReader(archive(t, file("a", "x"))), dst, pack.Limits{Bytes: 1})
	if !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v", err)
	}
}

func TestUnpackPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("link down")
	r := io.MultiReader(bytes.NewReader(archive(t, file("a", strings.Repeat("x", 100)))[:20]), errorReader{broken})
	err := pack.Unpack(r, filepath.Join(t.TempDir(), "dst"), pack.Limits{Bytes: 100})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// FuzzUnpack takes any bytes as archive: it ends, and touches only its folder.
func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, dir("d/"), file("d/a", "x"), link("l", "d/a")))
	f.Add(archive(f, link("a", "../x"), file("a/b", "x")))
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzUnpack(t, data) })
}

// FuzzUnpackTar is the same behind the decompression.
func FuzzUnpackTar(f *testing.F) {
	for _, a := range [][]byte{
		archive(f, dir("d/"), file("d/a", "x"), link("l", "d/a")),
		archive(f, dir("d/"), link("d/up", ".."), file("e", "y")),
	} {
		r, err := zstd.NewReader(nil)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := r.DecodeAll(a, nil)
		if err != nil {
			f.Fatal(err)
		}
		r.Close()
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { fuzzUnpack(t, compress(t, raw)) })
}

func fuzzUnpack(t *testing.T, data []byte) {
	outer := t.TempDir()
	dst := filepath.Join(outer, "in", "dst")
	if err := os.Mkdir(filepath.Dir(dst), 0o755); err != nil {
		t.Fatal(err)
	}
	err := pack.Unpack(bytes.NewReader(data), dst, pack.Limits{Bytes: 1 << 16, Entries: 50})
	wantNothingOutside(t, outer)
	if err != nil {
		return
	}
	// Every link that resolves stays inside.
	real, rerr := filepath.EvalSymlinks(dst)
	if rerr != nil {
		t.Fatal(rerr)
	}
	_ = filepath.WalkDir(dst, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSymlink != 0 {
			if to, err := filepath.EvalSymlinks(path); err == nil && to != real && !strings.HasPrefix(to, real+"/") {
				t.Fatalf("%s leads to %s", path, to)
			}
		}
		return nil
	})
}
