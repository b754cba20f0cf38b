package durable_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"github.com/muster-iot/muster/internal/durable"
)

// swept is an operation that must survive a cut at every step.
type swept struct {
	name    string
	prepare func(d durable.Disk) error
	run     func(d durable.Disk) error
	// check looks at the disk after a crash; done says that run had returned nil.
	check func(d durable.Disk, done bool) error
}

func operations() []swept {
	content := func(d durable.Disk, name string) string {
		data, err := d.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return "none"
		}
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
	oneOf := func(got string, done bool, before, after string) error {
		if got != after && (done || got != before) {
			return fmt.Errorf("found %q, done: %v", got, done)
		}
		return nil
	}
	return []swept{
		{
			"replace a file", func(d durable.Disk) error { return d.WriteFile("f", []byte("old"), 0o600) },
			func(d durable.Disk) error { return d.WriteFile("f", []byte("new content"), 0o600) },
			func(d durable.Disk, done bool) error { return oneOf(content(d, "f"), done, "old", "new content") },
		},
		{
			"write a new file in a new folder", nil,
			func(d durable.Disk) error {
				return errors.Join(d.MkdirAll("a/b/c", 0o700), d.WriteFile("a/b/c/f", []byte("new"), 0o600))
			},
			func(d durable.Disk, done bool) error { return oneOf(content(d, "a/b/c/f"), done, "none", "new") },
		},
		{
			"switch a link", func(d durable.Disk) error {
				return errors.Join(d.MkdirAll("v5", 0o700), d.MkdirAll("v6", 0o700), d.SwapSymlink("v5", "current"))
			},
			func(d durable.Disk) error { return d.SwapSymlink("v6", "current") },
			func(d durable.Disk, done bool) error {
				target, err := d.Readlink("current")
				return errors.Join(err, oneOf(target, done, "v5", "v6"))
			},
		},
	}
}

// TestCutAtEveryStep cuts the power before each step, keeps nothing, anything
// or everything of what was not synced, and runs the operation once more on what is left.
func TestCutAtEveryStep(t *testing.T) {
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			cuts := 0
			for n, done := 1, false; !done; n++ {
				disk := prepared(t, op)
				disk.CutAt(n)
				done = op.run(durable.Disk{FS: disk}) == nil
				for seed := range uint64(40) {
					rng := rand.New(rand.NewPCG(seed, uint64(n)))
					keep := []func() bool{nil, func() bool { return true }, func() bool { return rng.IntN(2) == 0 }}[min(seed, 2)]
					after := durable.Disk{FS: disk.Crash(keep)}
					if err := op.check(after, done); err != nil {
						t.Errorf("cut at step %d, seed %d: %v", n, seed, err)
					}
					again(t, op, after.FS.(*durable.Crashable))
					cuts++
				}
			}
			t.Logf("%d cuts", cuts)
			if cuts < 5*40 {
				t.Error("too few steps: the sweep tests nothing")
			}
		})
	}
}

// again runs the operation on what a crash left, and lets the power fail once more.
func again(t *testing.T, op swept, left *durable.Crashable) {
	t.Helper()
	if err := op.run(durable.Disk{FS: left}); err != nil {
		t.Errorf("cannot run again after a crash: %v", err)
		return
	}
	if err := op.check(durable.Disk{FS: left.Crash(nil)}, true); err != nil {
		t.Errorf("run again after a crash, and crashed again: %v", err)
	}
}

// TestKilledAtEveryStep kills the process, not the power, before each step; its
// successor repeats the work, which must be durable then though parts of it
// were there already.
func TestKilledAtEveryStep(t *testing.T) {
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			for n, done := 1, false; !done; n++ {
				disk := prepared(t, op)
				disk.CutAt(n)
				done = op.run(durable.Disk{FS: disk}) == nil
				again(t, op, disk.Crash(nil))
				successor := disk.Crash(func() bool { return true }) // the same disk, unsynced state forgotten
				again(t, op, successor)
				disk.FailAt(0, nil) // power is back: the very same disk, nothing lost, nothing synced
				again(t, op, disk)
			}
		})
	}
}

func prepared(t *testing.T, op swept) *durable.Crashable {
	t.Helper()
	disk := durable.NewCrashable()
	if op.prepare != nil {
		if err := op.prepare(durable.Disk{FS: disk}); err != nil {
			t.Fatal(err)
		}
	}
	return disk
}

// TestErrorAtEveryStep lets each step fail once. The error comes out, what is
// there is old or new, and the next try succeeds.
func TestErrorAtEveryStep(t *testing.T) {
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			for n, done := 1, false; !done; n++ {
				disk := prepared(t, op)
				disk.FailAt(n, syscall.ENOSPC)
				before := disk.Ops()
				err := op.run(durable.Disk{FS: disk})
				done = disk.Ops()-before < n // nothing failed any more
				disk.FailAt(0, nil)
				if err != nil && !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("step %d: error %v hides its cause", n, err)
				}
				if done && (err != nil || n < 5) {
					t.Errorf("%d steps: %v", n-1, err)
				}
				for name, d := range map[string]*durable.Crashable{"going on": disk, "crashed": disk.Crash(nil)} {
					if err := op.check(durable.Disk{FS: d}, err == nil); err != nil {
						t.Errorf("step %d, %s: %v", n, name, err)
					}
				}
				again(t, op, disk)
			}
		})
	}
}

// TestShortcutsAreCaught makes sure that the Crashable punishes what the
// steps are there for; without it the sweeps above would pass for any code.
func TestShortcutsAreCaught(t *testing.T) {
	write := func(d durable.FS, name string, sync bool) {
		f, err := d.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("new")); err != nil {
			t.Fatal(err)
		}
		if sync {
			err = f.Sync()
		}
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, want string
		run        func(d durable.FS)
	}{
		{"no fsync of the file", "", func(d durable.FS) { write(d, "t", false); _ = d.Rename("t", "f"); _ = d.SyncDir(".") }},
		{"no fsync of the folder", "old", func(d durable.FS) { write(d, "t", true); _ = d.Rename("t", "f") }},
		{"written in place", "old", func(d durable.FS) { write(d, "f", false) }},
		{"all steps", "new", func(d durable.FS) { write(d, "t", true); _ = d.Rename("t", "f"); _ = d.SyncDir(".") }},
	} {
		disk := durable.NewCrashable()
		if err := (durable.Disk{FS: disk}).WriteFile("f", []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		test.run(disk)
		if got := read(t, disk.Crash(nil), "f"); got != test.want {
			t.Errorf("%s: after the cut the file holds %q, want %q", test.name, got, test.want)
		}
		if got := read(t, disk.Crash(func() bool { return true }), "f"); got != "new" {
			t.Errorf("%s: with all kept the file holds %q", test.name, got)
		}
	}
}

func TestRemovedTreesComeBack(t *testing.T) {
	disk := durable.NewCrashable()
	d := durable.Disk{FS: disk}
	if err := errors.Join(d.MkdirAll("v/5", 0o700), d.WriteFile("v/5/f", []byte("x"), 0o600), d.RemoveAll("v/5")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, disk.Crash(nil), "v/5/f"); got != "x" {
		t.Errorf("not synced, and after the cut the file holds %q", got)
	}
	if err := d.SyncDir("v"); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Crash(nil).Stat("v/5"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("synced, and after the cut: %v", err)
	}
}

func TestFaults(t *testing.T) {
	disk := durable.NewCrashable()
	d := durable.Disk{FS: disk}
	f, err := d.OpenFile("f", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	disk.FailAt(1, syscall.ENOSPC)
	if n, err := f.Write([]byte("1234")); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("failing write: %d, %v; want a part and ENOSPC", n, err)
	}
	if _, err := f.Write([]byte("56")); err != nil || read(t, d, "f") != "1256" {
		t.Errorf("after it: %v, %q", err, read(t, d, "f"))
	}
	before := disk.Ops()
	disk.CutAt(2)
	if err := f.Sync(); err != nil {
		t.Errorf("before the cut: %v", err)
	}
	_, statErr := d.Stat("f")
	_, readErr := f.Read(make([]byte, 1))
	for _, err := range []error{statErr, readErr, f.Sync(), f.Close(), d.Remove("f"), d.RemoveAll("f"), d.SyncDir(".")} {
		if !errors.Is(err, durable.ErrCut) {
			t.Errorf("after the cut: %v", err)
		}
	}
	if n := disk.Ops() - before; n != 8 {
		t.Errorf("%d operations counted, want 8", n)
	}
}
