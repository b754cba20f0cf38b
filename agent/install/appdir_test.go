package install_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/agent/health"
	"github.com/muster-iot/muster/agent/install"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/pack"
	"github.com/muster-iot/muster/internal/durable"
)

// artifact packs a folder with one file that says its version.
func artifact(t *testing.T, version string, seq int64, content string) (firmware.Target, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	sum, err := pack.Pack(&archive, dir)
	if err != nil {
		t.Fatal(err)
	}
	return stage(t, version, seq, archive.Bytes(), sum.Bytes)
}

func stage(t *testing.T, version string, seq int64, archive []byte, unpacked int64) (firmware.Target, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "staged")
	if err := os.WriteFile(file, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	return firmware.Target{
		Path: "app/app-" + version + ".tar.zst", Length: int64(len(archive)), SHA256: sha256.Sum256(archive),
		Custom: firmware.Custom{
			Product: "app", Version: version, Seq: seq, TargetFormat: firmware.FormatAppDir, UnpackedSize: unpacked, MaxFile: unpacked,
		},
	}, file
}

// commands records what was run; fail makes commands with that text fail.
type commands struct {
	run  []string
	env  []string
	fail string
}

func (c *commands) Run(ctx context.Context, command string, env []string) ([]byte, error) {
	c.run, c.env = append(c.run, command), env
	if c.fail != "" && strings.Contains(command, c.fail) {
		return []byte("some output"), errors.New("exit status 1")
	}
	return nil, ctx.Err()
}

func appDir(t *testing.T, dir string, c *commands) *install.AppDir {
	t.Helper()
	a, err := install.NewAppDir(install.AppDirConfig{
		Product: "app", Dir: dir, Restart: "restart app", Health: "is app well", Run: c.Run,
		Trial: health.Window{Timeout: 20 * time.Millisecond, Interval: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// update takes a target through the whole life of an update.
func updateTo(t *testing.T, a *install.AppDir, target firmware.Target, file string) {
	t.Helper()
	err := errors.Join(a.Prepare(t.Context(), target), a.Install(t.Context(), target, file), a.Switch(t.Context(), target),
		a.Check(t.Context(), target), a.Commit(t.Context(), target))
	if err != nil {
		t.Fatal(err)
	}
}

func current(t *testing.T, dir string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "current", "VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// folders lists what is in versions/, records left out.
func folders(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "versions"))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if e.IsDir() {
			list = append(list, e.Name())
		}
	}
	return list
}

func TestUpdates(t *testing.T) {
	dir, c := filepath.Join(t.TempDir(), "opt", "app"), &commands{}
	a := appDir(t, dir, c)
	if r, err := a.Current(); err != nil || r != (update.Release{}) {
		t.Errorf("nothing is installed: %+v, %v", r, err)
	}
	for n, version := range []string{"4", "5", "6"} {
		target, file := artifact(t, version, int64(n+1), version)
		updateTo(t, a, target, file)
		if got := current(t, dir); got != version {
			t.Errorf("current is %q, want %s", got, version)
		}
		if r, err := a.Current(); err != nil || r != update.ReleaseOf(target) {
			t.Errorf("current release %+v, %v", r, err)
		}
	}
	if got := folders(t, dir); !slices.Equal(got, []string{"5", "6"}) {
		t.Errorf("kept %v, want the current and the previous version", got)
	}
	if want := []string{"restart app", "is app well"}; !slices.Equal(c.run[:2], want) {
		t.Errorf("ran %v", c.run)
	}
	if want := []string{"MUSTER_PRODUCT=app", "MUSTER_VERSION=6", "MUSTER_DIR=" + dir, "MUSTER_CURRENT=" + dir + "/current"}; !slices.Equal(c.env, want) {
		t.Errorf("environment %v", c.env)
	}
	info, err := os.Lstat(filepath.Join(dir, "current"))
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("current is no symlink: %v, %v", info.Mode(), err)
	}
}

func TestRollback(t *testing.T) {
	for _, row := range []struct {
		name string
		upTo func(a *install.AppDir, target firmware.Target, file string) error
		// restarts is how often the old version has to be restarted.
		restarts int
	}{
		{"nothing was done", func(*install.AppDir, firmware.Target, string) error { return nil }, 0},
		{"installed", func(a *install.AppDir, target firmware.Target, file string) error {
			return a.Install(t.Context(), target, file)
		}, 1},
		{"switched", func(a *install.AppDir, target firmware.Target, file string) error {
			return errors.Join(a.Install(t.Context(), target, file), a.Switch(t.Context(), target))
		}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir, c := t.TempDir(), &commands{}
			a := appDir(t, dir, c)
			old, file := artifact(t, "5", 5, "5")
			updateTo(t, a, old, file)
			bad, file := artifact(t, "6", 6, "6")
			if err := row.upTo(a, bad, file); err != nil {
				t.Fatal(err)
			}
			c.run = nil
			for range 2 { // it may be repeated
				if err := a.Rollback(t.Context(), update.ReleaseOf(old), bad); err != nil {
					t.Fatal(err)
				}
			}
			if got := current(t, dir); got != "5" {
				t.Errorf("current is %q", got)
			}
			if got := folders(t, dir); !slices.Equal(got, []string{"5"}) {
				t.Errorf("folders %v", got)
			}
			if len(c.run) != row.restarts {
				t.Errorf("ran %v, want %d restarts", c.run, row.restarts)
			}
		})
	}
}

func TestRollbackOfTheFirstInstall(t *testing.T) {
	dir, c := t.TempDir(), &commands{fail: "well"}
	a := appDir(t, dir, c)
	target, file := artifact(t, "6", 6, "6")
	if err := errors.Join(a.Install(t.Context(), target, file), a.Switch(t.Context(), target)); err != nil {
		t.Fatal(err)
	}
	err := a.Check(t.Context(), target)
	if !errors.Is(err, health.ErrUnhealthy) || !strings.Contains(err.Error(), "the health command failed: exit status 1: some output") {
		t.Error(err)
	}
	if err := a.Rollback(t.Context(), update.Release{}, target); err != nil {
		t.Fatal(err)
	}
	if got := current(t, dir); got != "" || len(folders(t, dir)) != 0 {
		t.Errorf("current is %q, folders %v", got, folders(t, dir))
	}
}

func TestInstallRefusesOtherBytes(t *testing.T) {
	dir := t.TempDir()
	a := appDir(t, dir, &commands{})
	old, file := artifact(t, "5", 5, "5")
	updateTo(t, a, old, file)
	target, file := artifact(t, "6", 6, "6")
	tampered, otherFile := artifact(t, "6", 6, "evil")
	if err := a.Install(t.Context(), target, otherFile); err == nil || !strings.Contains(err.Error(), "not the signed one") {
		t.Errorf("tampered: %v", err)
	}
	if err := a.Install(t.Context(), target, filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	big := target
	big.Custom.UnpackedSize = 0
	if err := a.Install(t.Context(), big, file); err == nil || !strings.Contains(err.Error(), "unpacks to more than") {
		t.Errorf("larger than signed: %v", err)
	}
	if err := a.Rollback(t.Context(), update.ReleaseOf(old), tampered); err != nil {
		t.Error(err)
	}
	if got := folders(t, dir); current(t, dir) != "5" || !slices.Equal(got, []string{"5"}) {
		t.Errorf("current %q, folders %v", current(t, dir), got)
	}
}

// TestSwappedWhileUnpacked: the file is the signed one when it is looked at,
// and another one when it is read.
func TestSwappedWhileUnpacked(t *testing.T) {
	target, file := artifact(t, "6", 6, "6")
	a, err := install.NewAppDir(install.AppDirConfig{
		Product: "app", Dir: t.TempDir(),
		Unpack: func(r io.Reader, folder string, limits pack.Limits) error {
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("evil"), 0)
			_, err2 := io.Copy(io.Discard, r)
			return errors.Join(err, err2, f.Close())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Install(t.Context(), target, file); err == nil || !strings.Contains(err.Error(), "changed while it was unpacked") {
		t.Error(err)
	}
}

func TestSameVersionOfOtherBytes(t *testing.T) {
	dir := t.TempDir()
	a := appDir(t, dir, &commands{})
	first, file := artifact(t, "5", 5, "first")
	updateTo(t, a, first, file)
	second, file := artifact(t, "5", 6, "second")
	updateTo(t, a, second, file)
	if got := current(t, dir); got != "second" {
		t.Errorf("current is %q", got)
	}
	if err := a.Rollback(t.Context(), update.ReleaseOf(first), second); err != nil {
		t.Fatal(err)
	}
	if got := current(t, dir); got != "first" {
		t.Errorf("rolled back to %q", got)
	}
}

// TestSameBytesUnderAHigherSeq is how an operator goes back: what runs
// already is not unpacked again, and only known by its new counter.
func TestSameBytesUnderAHigherSeq(t *testing.T) {
	dir := t.TempDir()
	a := appDir(t, dir, &commands{})
	target, file := artifact(t, "5", 5, "5")
	updateTo(t, a, target, file)
	again := target
	again.Custom.Seq = 9
	updateTo(t, a, again, file)
	if r, err := a.Current(); err != nil || r.Seq != 9 || current(t, dir) != "5" {
		t.Errorf("current %+v, %v", r, err)
	}
	if err := a.Rollback(t.Context(), update.ReleaseOf(target), again); err != nil || current(t, dir) != "5" {
		t.Errorf("rolled back: %v, current %q", err, current(t, dir))
	}
}

// TestFactoryVersion: a version that was put there by hand is found, updated
// and rolled back to.
func TestFactoryVersion(t *testing.T) {
	dir := t.TempDir()
	err := errors.Join(os.MkdirAll(filepath.Join(dir, "versions", "5"), 0o755),
		os.WriteFile(filepath.Join(dir, "versions", "5", "VERSION"), []byte("5"), 0o644), os.Symlink("versions/5", filepath.Join(dir, "current")))
	if err != nil {
		t.Fatal(err)
	}
	a := appDir(t, dir, &commands{})
	factory, err := a.Current()
	if err != nil || factory != (update.Release{Version: "5"}) {
		t.Fatalf("%+v, %v", factory, err)
	}
	target, file := artifact(t, "6", 6, "6")
	updateTo(t, a, target, file)
	if err := a.Rollback(t.Context(), factory, target); err != nil || current(t, dir) != "5" {
		t.Errorf("%v, current %q", err, current(t, dir))
	}
}

func TestCheckAndCommitNeedTheTargetToRun(t *testing.T) {
	dir := t.TempDir()
	a := appDir(t, dir, &commands{})
	five, file := artifact(t, "5", 5, "5")
	updateTo(t, a, five, file)
	six, file := artifact(t, "6", 6, "6")
	if err := a.Install(t.Context(), six, file); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"check": a.Check(t.Context(), six), "commit": a.Commit(t.Context(), six)} {
		if err == nil || !strings.Contains(err.Error(), `is not the current one: that is "5"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrepare(t *testing.T) {
	free := int64(100 << 20)
	a, err := install.NewAppDir(install.AppDirConfig{Product: "app", Dir: t.TempDir(), Free: func(string) (int64, error) { return free, nil }})
	if err != nil {
		t.Fatal(err)
	}
	target, _ := artifact(t, "6", 6, "6")
	if err := a.Prepare(t.Context(), target); err != nil {
		t.Error(err)
	}
	target.Custom.UnpackedSize = 60 << 20
	err = a.Prepare(t.Context(), target)
	if _, refused := errors.AsType[*update.Refusal](err); refused || err == nil || !strings.Contains(err.Error(), "61 MB are needed, 100 MB are free and 50 MB of them stay free") {
		t.Errorf("no room: %v", err)
	}
	target.Custom.TargetFormat = "rauc"
	if _, refused := errors.AsType[*update.Refusal](a.Prepare(t.Context(), target)); !refused {
		t.Error("another format is not refused")
	}
}

func TestFailedRestart(t *testing.T) {
	dir, c := t.TempDir(), &commands{}
	a := appDir(t, dir, c)
	old, file := artifact(t, "5", 5, "5")
	updateTo(t, a, old, file)
	bad, file := artifact(t, "6", 6, "6")
	c.fail = "restart"
	err := errors.Join(a.Install(t.Context(), bad, file), a.Switch(t.Context(), bad))
	if err == nil || !strings.Contains(err.Error(), "the restart command failed: exit status 1: some output") {
		t.Error(err)
	}
	if err := a.Rollback(t.Context(), update.ReleaseOf(old), bad); err == nil || current(t, dir) != "5" {
		t.Errorf("%v, current %q", err, current(t, dir))
	}
	c.fail, c.run = "", nil
	if err := a.Rollback(t.Context(), update.ReleaseOf(old), bad); err != nil || len(c.run) != 1 {
		t.Errorf("the restart that is due is not made up for: %v, ran %v", err, c.run)
	}
}

func TestNewAppDir(t *testing.T) {
	for _, cfg := range []install.AppDirConfig{{Product: "App", Dir: "/opt/app"}, {Product: "app", Dir: "opt/app"}, {Product: "app"}} {
		if _, err := install.NewAppDir(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

func TestShell(t *testing.T) {
	output, err := install.Shell(t.Context(), `echo "$MUSTER_VERSION, $HOME"; exit 3`, []string{"MUSTER_VERSION=6"})
	if string(output) != "6, \n" || err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%q, %v", output, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	// The shell's child holds the output open: all of the group has to die.
	if _, err := install.Shell(ctx, "sleep 30 & sleep 30", nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
}

// TestPowerCut cuts the power at every step of an update from 5 to 6 and of
// the roll-back that follows, with every luck about what had reached the
// disk. A roll-back after that always ends with 5, whole; an update that was
// committed stays, whole.
func TestPowerCut(t *testing.T) {
	five, file5 := stage(t, "5", 5, []byte("archive of 5"), 100)
	six, file6 := stage(t, "6", 6, []byte("archive of 6"), 100)
	luck := rand.New(rand.NewPCG(3, 4))
	on := func(disk *durable.Crashable) *install.AppDir {
		a, err := install.NewAppDir(install.AppDirConfig{Product: "app", Dir: "/opt/app", FS: disk, Free: func(string) (int64, error) { return 1 << 40, nil }, Unpack: unpackOn(disk)})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	recovered := func(n int, disk *durable.Crashable) *durable.Crashable {
		after := disk.Crash(func() bool { return luck.IntN(2) == 0 })
		if err := on(after).Rollback(t.Context(), update.ReleaseOf(five), six); err != nil {
			t.Fatalf("cut at %d: cannot roll back: %v", n, err)
		}
		whole(t, fmt.Sprintf("cut at %d, rolled back", n), after, "5")
		return after
	}
	for n := 1; ; n++ {
		disk := durable.NewCrashable()
		updateTo(t, on(disk), five, file5)
		disk.CutAt(n)
		a := on(disk)
		err := errors.Join(a.Install(t.Context(), six, file6))
		if err == nil {
			err = a.Switch(t.Context(), six)
		}
		if err == nil {
			whole(t, "switched", disk.Crash(nil), "6")
			if n > 200 {
				t.Fatal("no end")
			}
			// Beyond the update: cut the roll-back itself.
			for m := 1; ; m++ {
				disk := durable.NewCrashable()
				a := on(disk)
				updateTo(t, a, five, file5)
				if err := errors.Join(a.Install(t.Context(), six, file6), a.Switch(t.Context(), six)); err != nil {
					t.Fatal(err)
				}
				disk.CutAt(m)
				err := a.Rollback(t.Context(), update.ReleaseOf(five), six)
				recovered(m, disk)
				if err == nil {
					return
				}
			}
		}
		after := recovered(n, disk)
		// What is left does not stand in the way of another try.
		updateTo(t, on(after), six, file6)
		whole(t, fmt.Sprintf("cut at %d, tried again", n), after.Crash(nil), "6")
	}
}

// unpackOn unpacks what stands for an archive onto a disk, durably.
func unpackOn(disk durable.FS) func(io.Reader, string, pack.Limits) error {
	return func(r io.Reader, folder string, _ pack.Limits) error {
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		d := durable.Disk{FS: disk}
		if err := d.Mkdir(folder, 0o755); err != nil {
			return err
		}
		return errors.Join(d.WriteFile(folder+"/VERSION", content, 0o644), d.SyncDir("versions"))
	}
}

// whole checks that a version is the current one and complete.
func whole(t *testing.T, when string, disk durable.FS, version string) {
	t.Helper()
	link, err := disk.Readlink("current")
	if err != nil || link != "versions/"+version {
		t.Fatalf("%s: current is %q, %v", when, link, err)
	}
	content, err := disk.ReadFile(link + "/VERSION")
	if err != nil || string(content) != "archive of "+version {
		t.Fatalf("%s: version %s holds %q, %v", when, version, content, err)
	}
}
