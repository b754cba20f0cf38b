package durable_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-iot/muster/internal/durable"
)

// systems are the file systems that must behave alike.
func systems(t *testing.T) map[string]durable.FS {
	t.Helper()
	disk, err := durable.OpenOS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	return map[string]durable.FS{"OS": disk, "Crashable": durable.NewCrashable()}
}

func TestWriteFile(t *testing.T) {
	for name, disk := range systems(t) {
		t.Run(name, func(t *testing.T) {
			d := durable.Disk{FS: disk}
			if err := d.MkdirAll("a/b", 0o700); err != nil {
				t.Fatal(err)
			}
			for _, content := range []string{"first, and longer", "second", ""} {
				if err := d.WriteFile("a/b/file", []byte(content), 0o640); err != nil {
					t.Fatal(err)
				}
				if got := read(t, d, "a/b/file"); got != content {
					t.Errorf("file holds %q, want %q", got, content)
				}
			}
			if info, err := d.Stat("a/b/file"); err != nil || info.Mode() != 0o640 {
				t.Errorf("mode %v, %v", info, err)
			}
			if got := list(t, d, "a/b"); got != "file" {
				t.Errorf("folder holds %q: a temporary file is left", got)
			}
			if err := d.WriteFile("none/file", nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("in a missing folder: %v", err)
			}
		})
	}
}

func TestLeftoversAreReplaced(t *testing.T) {
	for name, disk := range systems(t) {
		t.Run(name, func(t *testing.T) {
			d := durable.Disk{FS: disk}
			for _, leftover := range []string{".file.tmp", ".link.tmp"} { // of a crash, and a link that leads elsewhere
				if err := d.Symlink("victim", leftover); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(d.WriteFile("file", []byte("x"), 0o600), d.SwapSymlink("v1", "link")); err != nil {
				t.Fatal(err)
			}
			if got := list(t, d, "."); got != "file link" {
				t.Errorf("folder holds %q", got)
			}
		})
	}
}

func TestSwapSymlink(t *testing.T) {
	for name, disk := range systems(t) {
		t.Run(name, func(t *testing.T) {
			d := durable.Disk{FS: disk}
			for _, version := range []string{"versions/5", "versions/6"} {
				if err := d.MkdirAll(version, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := d.WriteFile(version+"/name", []byte(version), 0o644); err != nil {
					t.Fatal(err)
				}
				if err := d.SwapSymlink(version, "current"); err != nil {
					t.Fatal(err)
				}
				if target, err := d.Readlink("current"); target != version || err != nil {
					t.Errorf("current is %q, %v", target, err)
				}
				if got := read(t, d, "current/name"); got != version {
					t.Errorf("through the link: %q", got)
				}
			}
			if err := d.SwapSymlink("versions/5", "versions"); err == nil || !strings.Contains(err.Error(), "versions") {
				t.Errorf("a folder was replaced by a link: %v", err)
			}
			if got := list(t, d, "."); got != "current versions" {
				t.Errorf("folder holds %q", got)
			}
		})
	}
}

func TestMkdirAll(t *testing.T) {
	for name, disk := range systems(t) {
		t.Run(name, func(t *testing.T) {
			d := durable.Disk{FS: disk}
			for _, dir := range []string{".", "a", "a/b/c", "a/b/c", "a/./b/../d"} {
				if err := d.MkdirAll(dir, 0o750); err != nil {
					t.Errorf("%s: %v", dir, err)
				}
			}
			if got := list(t, d, "a"); got != "b d" {
				t.Errorf("a holds %q", got)
			}
			if err := d.WriteFile("file", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{"file", "file/below"} {
				if err := d.MkdirAll(dir, 0o750); err == nil {
					t.Errorf("%s was made", dir)
				}
			}
		})
	}
}

// TestSystemsAgree runs the same operations on both systems and compares what
// they say.
func TestSystemsAgree(t *testing.T) {
	said := map[string][]string{}
	for name, disk := range systems(t) {
		say := func(op string, err error) { said[name] = append(said[name], op+": "+kind(err)) }
		d := durable.Disk{FS: disk}
		say("mkdir", d.Mkdir("dir", 0o700))
		say("mkdir again", d.Mkdir("dir", 0o700))
		say("mkdir in none", d.Mkdir("none/dir", 0o700))
		say("write", d.WriteFile("dir/file", []byte("0123456789"), 0o600))
		say("remove full folder", d.Remove("dir"))
		say("remove none", d.Remove("none"))
		say("remove all of none", d.RemoveAll("none/below"))
		say("rename none", d.Rename("none", "x"))
		say("rename file over folder", d.Rename("dir/file", "dir"))
		say("rename folder into itself", d.Rename("dir", "dir/below"))
		say("rename to itself", d.Rename("dir/file", "dir/file"))
		say("link", d.Symlink("dir", "link"))
		say("link again", d.Symlink("dir", "link"))
		say("link to nothing", d.Symlink("nothing", "dangling"))
		say("link in a circle", errors.Join(d.Symlink("b", "a"), d.Symlink("a", "b")))
		say("link out", d.Symlink("../..", "out"))
		say("link to the root", d.Symlink("/etc", "etc"))
		for _, path := range []string{"link/file", "dangling", "a", "out", "out/etc", "etc/passwd", "dir", "dir/file/x", "../x", "/etc/passwd", "none"} {
			_, err := d.ReadFile(path)
			say("read "+path, err)
			_, err = d.Stat(path)
			say("stat "+path, err)
			say("sync "+path, d.SyncDir(path))
		}
		for path, flag := range map[string]int{"dir/file": os.O_RDWR | os.O_CREATE | os.O_EXCL, "dir": os.O_WRONLY, "new": os.O_RDONLY, "dangling/x": os.O_RDWR | os.O_CREATE} {
			_, err := d.OpenFile(path, flag, 0o600)
			if err == nil {
				t.Errorf("%s: %s was opened", name, path)
			}
		}
		_, err := d.Readlink("dir")
		say("readlink of a folder", errors.Join(err))
		say("file", writeRead(d))
		say("remove the link", d.Remove("link"))
		say("remove all", d.RemoveAll("dir"))
		say("list: "+list(t, d, "."), nil)
	}
	if a, b := said["OS"], said["Crashable"]; strings.Join(a, "\n") != strings.Join(b, "\n") {
		for i := range a {
			if i < len(b) && a[i] != b[i] {
				t.Errorf("OS says %q, Crashable %q", a[i], b[i])
			}
		}
	}
}

// writeRead uses one open file in the ways there are.
func writeRead(d durable.Disk) error {
	f, err := d.OpenFile("dir/file", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	p := make([]byte, 4)
	n, _ := f.Read(p)
	_, err = f.Write([]byte("AB"))
	m, _ := f.Read(p)
	if string(p[:m]) != "6789" || n != 4 {
		return fmt.Errorf("read %d, then %q", n, p[:m])
	}
	_, eof := f.Read(p)
	err = errors.Join(err, f.Sync(), f.Close())
	appended, _ := d.OpenFile("dir/file", os.O_WRONLY|os.O_APPEND, 0)
	_, _ = appended.Write([]byte("!"))
	err = errors.Join(err, appended.Close())
	if err == nil && appended.Close() == nil {
		return errors.New("closed twice")
	}
	data, _ := d.ReadFile("dir/file")
	truncated, _ := d.OpenFile("dir/file", os.O_WRONLY|os.O_TRUNC, 0)
	_, unreadable := truncated.Read(p)
	_ = truncated.Close()
	rest, _ := d.ReadFile("dir/file")
	if err == nil && unreadable != nil {
		err = fmt.Errorf("%s %v %q", data, eof, rest)
	}
	return err
}

// kind is what callers may ask about an error.
func kind(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case errors.Is(err, fs.ErrExist):
		return "there already"
	}
	if _, ok := errors.AsType[*fs.PathError](err); !ok && !strings.Contains(err.Error(), "cannot sync") {
		if _, ok := errors.AsType[*os.LinkError](err); !ok {
			return err.Error()
		}
	}
	return "refused"
}

func TestPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	err := errors.Join(
		durable.MkdirAll(dir, 0o700), durable.WriteFile(file, []byte("x"), 0o600),
		durable.SwapSymlink("file", link), durable.SyncDir(dir),
	)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(link); string(data) != "x" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if err := durable.SyncDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sync of no folder: %v", err)
	}
	if _, err := durable.OpenOS(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("root of no folder: %v", err)
	}
	t.Chdir(dir)
	if err := durable.WriteFile("file", []byte("y"), 0o600); err != nil {
		t.Errorf("a name without a folder: %v", err)
	}
}

func read(t *testing.T, d durable.FS, name string) string {
	t.Helper()
	data, err := d.ReadFile(name)
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

func list(t *testing.T, d durable.FS, name string) string {
	t.Helper()
	entries, err := d.ReadDir(name)
	if err != nil {
		t.Error(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}
