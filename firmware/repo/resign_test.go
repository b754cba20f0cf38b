package repo_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware/internal/tuftest"
	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/internal/durable"
)

// A power cut, or a failing disk, at every step of a publication with a new
// root leaves a repository that a device follows: the old one, or after the
// next signature the new one.
func TestPowerCutAtEveryStepOfPublish(t *testing.T) {
	for name, fault := range map[string]func(*durable.Crashable, int){
		"cut":       func(d *durable.Crashable, n int) { d.CutAt(n) },
		"disk full": func(d *durable.Crashable, n int) { d.FailAt(n, errors.New("no space left on device")) },
	} {
		t.Run(name, func(t *testing.T) {
			steps := 0
			for cutAt(t, steps+1, fault) {
				if steps++; steps > 500 {
					t.Fatal("a publication takes more than 500 steps")
				}
			}
			if steps < 15 {
				t.Fatalf("only %d steps", steps)
			}
		})
	}
}

// cutAt lets step n fail and reports whether there was one.
func cutAt(t *testing.T, n int, fault func(*durable.Crashable, int)) (failed bool) {
	dir, disk := t.TempDir(), durable.NewCrashable()
	r := open(t, repo.Config{Dir: dir, Metadata: disk})
	o := operator(t, r)
	store(t, r, 5, 6)
	publish(t, r, start, o.Bundle())
	v := device(t, folder{disk}, o.Files["1.root.json"])
	wantSeq(t, v, start, 5)
	o.Root.Signed.Expires = o.Root.Signed.Expires.Add(time.Hour)
	o.NextRoot(o.RootKey)
	release(o, 6)
	fault(disk, n)
	err := r.Publish(start.Add(time.Hour), o.Bundle())
	disk.FailAt(0, nil)
	for _, keep := range []func() bool{nil, func() bool { return true }} {
		after := disk.Crash(keep)
		seen := int64(5)
		if err == nil {
			seen = 6
		}
		// A device that comes now, before anything is mended.
		wantSeq(t, device(t, folder{after}, o.Files["1.root.json"]), start.Add(2*time.Hour), seen)
		again, oerr := repo.Open(repo.Config{Dir: dir, Metadata: after})
		if oerr != nil {
			t.Fatalf("step %d: does not open again: %v", n, oerr)
		}
		if err := again.Resign(start.Add(2 * time.Hour)); err != nil {
			t.Fatalf("step %d: resign: %v", n, err)
		}
		wantSeq(t, device(t, folder{after}, o.Files["1.root.json"]), start.Add(2*time.Hour), seen)
		publish(t, again, start.Add(3*time.Hour), o.Bundle())
		wantSeq(t, device(t, folder{after}, o.Files["1.root.json"]), start.Add(3*time.Hour), 6)
		again.Close()
	}
	return err != nil
}

// Restored from a backup, the server signs versions above what devices saw.
func TestRestoreFromBackup(t *testing.T) {
	dir, disk := t.TempDir(), durable.NewCrashable()
	r := open(t, repo.Config{Dir: dir, Metadata: disk})
	o := operator(t, r)
	store(t, r, 5)
	publish(t, r, start, o.Bundle())
	server := &folder{disk}
	v := device(t, server, o.Files["1.root.json"])
	backup := disk.Crash(nil)
	for day := range 40 {
		if err := r.Resign(start.AddDate(0, 0, day)); err != nil {
			t.Fatal(err)
		}
	}
	wantSeq(t, v, start.AddDate(0, 0, 39), 5)
	later := start.AddDate(0, 0, 41)
	restored := open(t, repo.Config{Dir: dir, Metadata: backup})
	if err := restored.Resign(later); err != nil {
		t.Fatal(err)
	}
	server.FS = backup // the same device, now talking to the restored server
	wantSeq(t, v, later, 5)
}

func TestClockThatGoesBack(t *testing.T) {
	disk := durable.NewCrashable()
	r := open(t, repo.Config{Metadata: disk, NotBefore: func() time.Time { return start.AddDate(0, -1, 0) }})
	o := operator(t, r)
	store(t, r, 5)
	if err := r.Publish(time.Unix(0, 0), o.Bundle()); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Fatalf("published in 1970: %v", err)
	}
	publish(t, r, start, o.Bundle())
	if err := r.Resign(start.Add(-2 * time.Hour)); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Fatalf("signed two hours back: %v", err)
	}
	if err := r.Resign(start.Add(-time.Minute)); err != nil {
		t.Fatalf("a minute back: %v", err)
	}
	if got := r.Status().Issued; !got.Equal(start) {
		t.Fatalf("issued %s", got)
	}
	wantSeq(t, device(t, folder{disk}, o.Files["1.root.json"]), start, 5)
}

// The repository stays valid for a year without anybody's help, and does not
// grow by it.
func TestRunResignsDaily(t *testing.T) {
	dir, disk := t.TempDir(), durable.NewCrashable()
	synctest.Test(t, func(t *testing.T) {
		o := tuftest.New(t)
		r := open(t, repo.Config{Dir: dir, Metadata: disk})
		for _, role := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
			o.Forbid(role, o.OnlineKey)
			o.AllowPublic(role, r.OnlineKey())
		}
		o.Root.Signed.Expires = time.Now().AddDate(5, 0, 0)
		o.Targets.Signed.Expires = time.Now().AddDate(5, 0, 0)
		o.SignRoot(o.RootKey)
		o.SignTargets(o.TargetsKey)
		store(t, r, 5)
		publish(t, r, time.Now(), o.Bundle())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx, slog.New(slog.NewTextHandler(io.Discard, nil))) }()
		v := device(t, folder{disk}, o.Files["1.root.json"])
		for range 120 {
			time.Sleep(3*24*time.Hour + time.Second)
			synctest.Wait()
			wantSeq(t, v, time.Now(), 5)
			if age := time.Since(r.Status().Issued); age > 25*time.Hour {
				t.Fatalf("timestamp is %s old", age)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		entries, err := disk.ReadDir(".")
		if err != nil || len(entries) > 12 {
			t.Fatalf("%d files after a year (%v)", len(entries), err)
		}
	})
}

func TestOnlineKeyFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "firmware")
	r := open(t, repo.Config{Dir: dir})
	key := filepath.Join(dir, "online.key")
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	if again := open(t, repo.Config{Dir: dir}); again.OnlineKey() != r.OnlineKey() {
		t.Error("another key after a restart")
	}
	if other := open(t, repo.Config{}); other.OnlineKey() == r.OnlineKey() {
		t.Error("two servers have the same key")
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Open(repo.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "others can read") {
		t.Errorf("readable key: %v", err)
	}
	if err := errors.Join(os.Chmod(key, 0o600), os.WriteFile(key, []byte("{}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Open(repo.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("damaged key: %v", err)
	}
}

// What can be signed again may be lost; a damaged root is an error.
func TestDamagedMetadata(t *testing.T) {
	rows := []struct{ name, data, want string }{
		{"timestamp.json", "", ""},
		{"timestamp.json", `{"signed":{"_type":"timestamp","meta":{"snapshot.json":null}},"signatures":[]}`, ""},
		{"snapshot", "{", ""},
		{"1.root.json", "{", "1.root.json is damaged"},
	}
	for _, row := range rows {
		dir, disk := t.TempDir(), durable.NewCrashable()
		r := open(t, repo.Config{Dir: dir, Metadata: disk})
		o := operator(t, r)
		store(t, r, 5)
		publish(t, r, start, o.Bundle())
		v := device(t, folder{disk}, o.Files["1.root.json"])
		wantSeq(t, v, start, 5)
		name := row.name
		if name == "snapshot" {
			name = snapshotName(t, disk)
		}
		if err := (durable.Disk{FS: disk}).WriteFile(name, []byte(row.data), 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := repo.Open(repo.Config{Dir: dir, Metadata: disk})
		if row.want != "" {
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil {
			err = again.Resign(start.Add(time.Hour))
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantSeq(t, v, start.Add(time.Hour), 5)
	}
}

// Targets that the root does not allow, left by whatever, are not published.
func TestForeignTargetsOnDiskAreIgnored(t *testing.T) {
	dir, disk := t.TempDir(), durable.NewCrashable()
	r := open(t, repo.Config{Dir: dir, Metadata: disk})
	o := operator(t, r)
	store(t, r, 5, 6)
	publish(t, r, start, o.Bundle())
	o.TargetsKey = tuftest.Key("stranger")
	release(o, 6)
	if err := (durable.Disk{FS: disk}).WriteFile("2.targets.json", o.Bundle().Targets, 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, repo.Config{Dir: dir, Metadata: disk})
	if err := again.Resign(start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantSeq(t, device(t, folder{disk}, o.Files["1.root.json"]), start.Add(time.Hour), 5)
	if list := again.Targets(); len(list) != 1 {
		t.Fatalf("published %+v", list)
	}
}

func snapshotName(t *testing.T, disk durable.FS) string {
	t.Helper()
	entries, err := disk.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".snapshot.json") {
			return e.Name()
		}
	}
	t.Fatal("no snapshot")
	return ""
}
