package repo_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuftest"
	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/firmware/trust"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/protocol"
)

var start = tuftest.Start

func open(t testing.TB, cfg repo.Config) *repo.Repository {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "firmware")
	}
	r, err := repo.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// operator is what an operator of this server has signed: release 5.
func operator(t testing.TB, r *repo.Repository) *tuftest.Repo {
	t.Helper()
	o := tuftest.New(t)
	for _, role := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
		o.Forbid(role, o.OnlineKey)
		o.AllowPublic(role, r.OnlineKey())
	}
	o.SignRoot(o.RootKey)
	return o
}

// store uploads the artifacts of versions of app.
func store(t testing.TB, r *repo.Repository, versions ...int64) {
	t.Helper()
	for _, n := range versions {
		data := tuftest.Content(tuftest.Custom(n))
		if err := r.Store(sha256.Sum256(data), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
}

// release signs version n as the operator would.
func release(o *tuftest.Repo, n int64) {
	o.Add(tuftest.Custom(n))
	o.Targets.Signed.Version++
	o.SignTargets(o.TargetsKey)
}

func publish(t testing.TB, r *repo.Repository, now time.Time, b firmware.Bundle) {
	t.Helper()
	if err := r.Publish(now, b); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

// folder reads a metadata folder as a device does over HTTP.
type folder struct{ durable.FS }

func (f folder) Fetch(_ context.Context, name string, _ int64) ([]byte, error) {
	data, err := f.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		err = errors.Join(trust.ErrNotFound, err)
	}
	return data, err
}

func device(t testing.TB, fetch trust.Fetcher, root []byte) *trust.Verifier {
	t.Helper()
	v, err := trust.Open(trust.Config{FS: durable.NewCrashable(), Root: root, Fetch: fetch})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantSeq(t testing.TB, v *trust.Verifier, now time.Time, n int64) {
	t.Helper()
	if err := v.Refresh(context.Background(), now); err != nil {
		t.Fatalf("device: %v", err)
	}
	target, err := v.Target(tuftest.Path(n))
	if err != nil || target.Custom.Seq != n*10000 {
		t.Fatalf("device sees %+v (%v), want release %d", target, err, n)
	}
}

func TestPublishReachesDevices(t *testing.T) {
	disk := durable.NewCrashable()
	r := open(t, repo.Config{Metadata: disk})
	o := operator(t, r)
	store(t, r, 5)
	publish(t, r, start, o.Bundle())
	v := device(t, folder{disk}, o.Files["1.root.json"])
	wantSeq(t, v, start, 5)
	if got := v.Floor(); !got.Equal(start) {
		t.Errorf("device's time floor is %s", got)
	}
	release(o, 6)
	store(t, r, 6)
	publish(t, r, start.Add(time.Hour), o.Bundle())
	wantSeq(t, v, start.Add(time.Hour), 6)
	if got := len(r.Targets()); got != 2 {
		t.Errorf("%d targets", got)
	}
}

func TestPublishingTwiceChangesNothing(t *testing.T) {
	disk := durable.NewCrashable()
	r := open(t, repo.Config{Metadata: disk})
	o := operator(t, r)
	store(t, r, 5)
	publish(t, r, start, o.Bundle())
	ops := disk.Ops()
	before := r.Status()
	publish(t, r, start.Add(time.Hour), o.Bundle())
	if after := r.Status(); after.Issued != before.Issued || disk.Ops() > ops+5 {
		t.Fatalf("signed again: %+v, %d operations", after, disk.Ops()-ops)
	}
}

func TestPublishRefuses(t *testing.T) {
	stranger := tuftest.Key("stranger")
	rows := []struct {
		name string
		// change works on an operator whose release 5 is published and whose
		// release 6 is signed and uploaded.
		change func(o *tuftest.Repo, b *firmware.Bundle)
		code   protocol.Code
		text   string
	}{
		{"server adds a target with its own key", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.SignTargets(stranger)
			b.Targets = o.Bundle().Targets
		}, protocol.Forbidden, "not signed by the targets key"},
		{"targets without signature", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.SignTargets()
			b.Targets = o.Bundle().Targets
		}, protocol.Forbidden, "not signed by the targets key"},
		{"targets changed by one byte", func(_ *tuftest.Repo, b *firmware.Bundle) {
			b.Targets = bytes.Replace(b.Targets, []byte("60000"), []byte("60001"), 1)
		}, protocol.Forbidden, "not signed by the targets key"},
		{"older targets", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Targets.Signed.Version = 0
			o.SignTargets(o.TargetsKey)
			b.Targets = o.Bundle().Targets
		}, protocol.InvalidRequest, "version 0"},
		{"other targets of the published version", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Targets.Signed.Version = 1
			o.SignTargets(o.TargetsKey)
			b.Targets = o.Bundle().Targets
		}, protocol.VersionConflict, "another targets metadata of version 1"},
		{"expired targets", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Targets.Signed.Expires = start.Add(-time.Second)
			o.SignTargets(o.TargetsKey)
			b.Targets = o.Bundle().Targets
		}, protocol.InvalidRequest, "expired"},
		{"targets that delegate", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Targets.Signed.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{}}
			o.SignTargets(o.TargetsKey)
			b.Targets = o.Bundle().Targets
		}, protocol.InvalidRequest, "delegates"},
		{"path that leaves", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.AddRaw("../../etc/passwd", []byte("x"), []byte(`{}`))
			o.SignTargets(o.TargetsKey)
			b.Targets = o.Bundle().Targets
		}, protocol.InvalidRequest, "target path"},
		{"target without custom fields", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.AddRaw("app/x", []byte("x"), nil)
			o.SignTargets(o.TargetsKey)
			b.Targets = o.Bundle().Targets
		}, protocol.InvalidRequest, "no custom fields"},
		{"artifact not uploaded", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Add(tuftest.Custom(7))
			o.SignTargets(o.TargetsKey)
			b.Targets = o.Bundle().Targets
		}, protocol.InvalidRequest, "app/app-7.tar.zst: its artifact"},
		{"wrong length", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Targets.Signed.Targets[tuftest.Path(6)].Length++
			o.SignTargets(o.TargetsKey)
			b.Targets = o.Bundle().Targets
		}, protocol.InvalidRequest, "bytes, signed are"},
		{"targets are no JSON", func(_ *tuftest.Repo, b *firmware.Bundle) { b.Targets = []byte("x") }, protocol.InvalidRequest, "bundle"},
		{"targets are missing", func(_ *tuftest.Repo, b *firmware.Bundle) { b.Targets = nil }, protocol.InvalidRequest, "bundle"},
		{"targets too large", func(_ *tuftest.Repo, b *firmware.Bundle) { b.Targets = make([]byte, 6<<20) }, protocol.InvalidRequest, "at most"},
		{"a root for targets", func(_ *tuftest.Repo, b *firmware.Bundle) { b.Targets = b.Roots[0] }, protocol.InvalidRequest, "bundle"},
		{"null members", func(_ *tuftest.Repo, b *firmware.Bundle) {
			b.Targets = []byte(`{"signed":{"_type":"targets","targets":{"app/x":null}},"signatures":null}`)
		}, protocol.InvalidRequest, "malformed"},
		{"root of another fleet", func(_ *tuftest.Repo, b *firmware.Bundle) {
			other := tuftest.New(t)
			other.Root.Signed.Expires = other.Root.Signed.Expires.Add(time.Hour)
			other.SignRoot(other.RootKey)
			b.Roots = other.Bundle().Roots
		}, protocol.Conflict, "another firmware root 1"},
		{"next root of a stranger", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Allow(metadata.ROOT, stranger)
			o.NextRoot(stranger)
			b.Roots = o.Bundle().Roots
		}, protocol.Forbidden, "root 2 is not signed"},
		{"root that skips one", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Root.Signed.Version = 3
			o.SignRoot(o.RootKey)
			b.Roots = append(b.Roots, o.Files["3.root.json"])
		}, protocol.InvalidRequest, "root 3 where root 2"},
		{"root with threshold 0", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Root.Signed.Roles[metadata.TARGETS].Threshold = 0
			o.NextRoot(o.RootKey)
			b.Roots = o.Bundle().Roots
		}, protocol.InvalidRequest, "threshold 0"},
		{"root for another server", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Root.Signed.Roles[metadata.TIMESTAMP].KeyIDs = nil
			o.Allow(metadata.TIMESTAMP, stranger)
			o.NextRoot(o.RootKey)
			b.Roots = o.Bundle().Roots
		}, protocol.Conflict, "does not let this server's online key"},
		{"root that needs two online keys", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Allow(metadata.SNAPSHOT, stranger)
			o.Root.Signed.Roles[metadata.SNAPSHOT].Threshold = 2
			o.NextRoot(o.RootKey)
			b.Roots = o.Bundle().Roots
		}, protocol.Conflict, "alone"},
		{"expired root", func(o *tuftest.Repo, b *firmware.Bundle) {
			o.Root.Signed.Expires = start.Add(-time.Second)
			o.NextRoot(o.RootKey)
			b.Roots = o.Bundle().Roots
		}, protocol.InvalidRequest, "root 2 expired"},
		{"root is no JSON", func(_ *tuftest.Repo, b *firmware.Bundle) { b.Roots = [][]byte{nil} }, protocol.InvalidRequest, "bundle"},
		{"endless roots", func(_ *tuftest.Repo, b *firmware.Bundle) { b.Roots = make([][]byte, 1000) }, protocol.InvalidRequest, "at most 256"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			disk := durable.NewCrashable()
			r := open(t, repo.Config{Metadata: disk})
			o := operator(t, r)
			store(t, r, 5, 6)
			publish(t, r, start, o.Bundle())
			release(o, 6)
			b := o.Bundle()
			row.change(o, &b)
			err := r.Publish(start, b)
			if protocol.CodeOf(err) != row.code || !strings.Contains(err.Error(), row.text) {
				t.Fatalf("got %v (%s), want %s with %q", err, protocol.CodeOf(err), row.code, row.text)
			}
			if list := r.Targets(); len(list) != 1 || list[0].Custom.Version != "5" {
				t.Fatalf("published is %+v", list)
			}
			if err := r.Resign(start.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			root, err := disk.ReadFile("1.root.json")
			if err != nil {
				t.Fatal(err)
			}
			wantSeq(t, device(t, folder{disk}, root), start.Add(time.Hour), 5)
		})
	}
}

func TestFirstPublicationRefuses(t *testing.T) {
	r := open(t, repo.Config{})
	if err := r.Resign(start); err != nil {
		t.Fatalf("resign of nothing: %v", err)
	}
	o := operator(t, r)
	store(t, r, 5)
	later := operator(t, r)
	later.NextRoot(later.RootKey)
	for name, b := range map[string]firmware.Bundle{
		"no root":               {Targets: o.Bundle().Targets},
		"root 2 first":          {Roots: [][]byte{later.Files["2.root.json"]}, Targets: o.Bundle().Targets},
		"root not self-signed":  {Roots: [][]byte{bytes.Replace(o.Bundle().Roots[0], []byte(`"version": 1`), []byte(`"version":1 `), 1)[:100]}, Targets: o.Bundle().Targets},
		"root of another serve": tuftest.New(t).Bundle(),
	} {
		if err := r.Publish(start, b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := r.Status(); len(got.Roles) != 0 {
		t.Fatalf("status %+v", got)
	}
	publish(t, r, start, o.Bundle())
}

func TestDamagedArtifactIsNotPublished(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "firmware")
	r := open(t, repo.Config{Dir: dir})
	o := operator(t, r)
	store(t, r, 5)
	data := tuftest.Content(tuftest.Custom(5))
	path := filepath.Join(dir, "artifacts", firmware.Digest(sha256.Sum256(data)).String())
	bad := bytes.Clone(data)
	bad[0] ^= 1
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Publish(start, o.Bundle()); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Fatalf("got %v", err)
	}
}

func TestRootRotationIsPublished(t *testing.T) {
	disk := durable.NewCrashable()
	dir := t.TempDir()
	r := open(t, repo.Config{Dir: dir, Metadata: disk})
	o := operator(t, r)
	store(t, r, 5, 6)
	publish(t, r, start, o.Bundle())
	v := device(t, folder{disk}, o.Files["1.root.json"])
	wantSeq(t, v, start, 5)
	o.Forbid(metadata.TARGETS, o.TargetsKey)
	o.TargetsKey = tuftest.Key("targets 2")
	o.Allow(metadata.TARGETS, o.TargetsKey)
	o.NextRoot(o.RootKey)
	release(o, 6)
	publish(t, r, start, o.Bundle())
	wantSeq(t, v, start, 6)
	again := open(t, repo.Config{Dir: dir, Metadata: disk})
	if got := again.Status().Roles[0].Version; got != 2 {
		t.Fatalf("root %d after a restart", got)
	}
}

func TestStatus(t *testing.T) {
	r := open(t, repo.Config{})
	o := operator(t, r)
	store(t, r, 5)
	publish(t, r, start, o.Bundle())
	s := r.Status()
	if s.OnlineKey != r.OnlineKey() || s.Targets != 1 || !s.Issued.Equal(start) || len(s.Roles) != 4 {
		t.Fatalf("%+v", s)
	}
	for i, days := range []int{5 * 365, 365, 30, 7} {
		if got := s.Roles[i].DaysLeft(start); got < days || got > days+2 {
			t.Errorf("%s has %d days left", s.Roles[i].Role, got)
		}
	}
}
