package pebble_test

import (
	"bufio"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muster-iot/muster/server/store/pebble"
)

// TestMain lets the test binary be the other process that holds a folder.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MUSTER_TEST_HOLD_STORE"); dir != "" {
		hold(dir)
	}
	os.Exit(m.Run())
}

func hold(dir string) {
	if _, err := pebble.Open(pebble.Config{Dir: dir}); err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString("holding\n")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the test is over
	os.Exit(0)
}

func TestFolderOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), "MUSTER_TEST_HOLD_STORE="+dir)
	stdin, _ := other.StdinPipe()
	stdout, _ := other.StdoutPipe()
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "holding\n" {
		t.Fatalf("the other process says %q (%v)", line, err)
	}
	oneLine(t, open1(dir), dir, "in use by another process")
	_ = other.Process.Kill() // as a crashed server
	_ = other.Wait()
	_ = stdin.Close()
	if err := open1(dir); err != nil {
		t.Errorf("the folder of a killed process cannot be opened: %v", err)
	}
}

func TestFolderOpenedTwice(t *testing.T) {
	dir := t.TempDir()
	s, err := pebble.Open(pebble.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	oneLine(t, open1(dir), dir, "in use")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open1(dir); err != nil {
		t.Errorf("a closed store's folder cannot be opened: %v", err)
	}
}

func TestUnusableFolders(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	oneLine(t, open1(file), file, "not a directory")
	oneLine(t, open1(filepath.Join(file, "below")), file, "not a directory")
	oneLine(t, open1(""), "", "no folder given")

	for name, refused := range map[string]func(errorfs.Op) bool{
		"no folder can be made": func(op errorfs.Op) bool { return op.Kind == errorfs.OpMkdirAll },
		"no file can be made":   func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate },
		"no lock can be made":   func(op errorfs.Op) bool { return op.Kind == errorfs.OpLock },
	} {
		t.Run(name, func(t *testing.T) {
			disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if refused(op) {
					return &os.PathError{Op: "create", Path: op.Path, Err: syscall.EACCES}
				}
				return nil
			}))
			_, err := pebble.Open(pebble.Config{Dir: "/data", FS: disk})
			oneLine(t, err, "/data", "not writable by user")
			if !errors.Is(err, os.ErrPermission) {
				t.Errorf("%v is not a permission error", err)
			}
		})
	}
}

func TestUnwritableFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere; TestUnusableFolders covers the error")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	oneLine(t, open1(dir), dir, "not writable by user")
}

// TestForeignDatabase opens what another program, or a newer version, has written.
func TestForeignDatabase(t *testing.T) {
	for name, row := range map[string]struct{ key, value []byte }{
		"newer format": {[]byte{0}, []byte("\x02123456789")},
		"no epoch":     {[]byte{0}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db, err := pebbledb.Open(dir, &pebbledb.Options{Logger: quiet{}})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Set(row.key, row.value, pebbledb.Sync), db.Close()); err != nil {
				t.Fatal(err)
			}
			oneLine(t, open1(dir), dir, "not written by this version")
			oneLine(t, open1(dir), dir, "not written by this version") // and not locked now
		})
	}
}

// TestStart measures the start on an empty folder; the limit that fails the test
// is far above the goal of 50 ms because of machines that do other things too.
func TestStart(t *testing.T) {
	best := time.Hour
	for range 5 {
		dir := t.TempDir()
		begin := time.Now()
		s, err := pebble.Open(pebble.Config{Dir: filepath.Join(dir, "a", "b")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Claim(t.Context()); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(begin))
		_ = s.Close()
	}
	t.Logf("open and claim on an empty folder: %v", best)
	if best > 500*time.Millisecond {
		t.Errorf("start took %v", best)
	}
}

func TestLogging(t *testing.T) {
	for name, test := range map[string]struct {
		level slog.Level
		want  bool
	}{"debug": {slog.LevelDebug, true}, "info": {slog.LevelInfo, false}} {
		said := &lines{}
		s, err := pebble.Open(pebble.Config{
			Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: test.level})),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := len(said.all()) > 0; got != test.want {
			t.Errorf("at level %s the store said %q", name, said.all())
		}
	}
}

// open1 opens and closes a store.
func open1(dir string) error {
	s, err := pebble.Open(pebble.Config{Dir: dir})
	if err != nil {
		return err
	}
	return s.Close()
}

// oneLine checks an error that an operator is to read.
func oneLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range append(parts, "cannot open store") {
		if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error is %q, want one line with %q", err, part)
		}
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}
