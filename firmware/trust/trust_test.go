package trust_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware/internal/tuftest"
	"github.com/muster-iot/muster/firmware/trust"
	"github.com/muster-iot/muster/internal/durable"
)

var hour = tuftest.Start.Add(time.Hour)

// open opens a verifier on a disk in memory, with the first root of a repository.
func open(t testing.TB, r *tuftest.Repo, disk durable.FS) *trust.Verifier {
	t.Helper()
	v, err := trust.Open(trust.Config{FS: disk, Root: r.Files["1.root.json"], Fetch: r})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func refresh(t testing.TB, v *trust.Verifier, now time.Time) {
	t.Helper()
	if err := v.Refresh(context.Background(), now); err != nil {
		t.Fatalf("refresh: %v", err)
	}
}

func wantTarget(t testing.TB, v *trust.Verifier, n int64) {
	t.Helper()
	got, err := v.Target(tuftest.Path(n))
	if err != nil {
		t.Fatalf("target %d: %v", n, err)
	}
	if got.Custom.Seq != n*10000 || got.Length != int64(len(tuftest.Content(tuftest.Custom(n)))) {
		t.Fatalf("target %d is %+v", n, got)
	}
}

func TestRefreshFollowsReleases(t *testing.T) {
	r := tuftest.New(t)
	v := open(t, r, durable.NewCrashable())
	if _, err := v.Target(tuftest.Path(5)); !errors.Is(err, trust.ErrNotRefreshed) {
		t.Fatalf("before the first refresh: %v", err)
	}
	refresh(t, v, hour)
	wantTarget(t, v, 5)
	wantAsked(t, r, "2.root.json", "timestamp.json", "", "1.targets.json")
	refresh(t, v, hour)
	wantAsked(t, r, "2.root.json", "timestamp.json")
	r.Release(6)
	refresh(t, v, hour)
	wantAsked(t, r, "2.root.json", "timestamp.json", "", "2.targets.json")
	wantTarget(t, v, 6)
	wantTarget(t, v, 5)
}

// wantAsked compares what was fetched; "" stands for any snapshot.
func wantAsked(t *testing.T, r *tuftest.Repo, want ...string) {
	t.Helper()
	ok := len(r.Asked) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = r.Asked[i] == want[i] || want[i] == "" && strings.HasSuffix(r.Asked[i], ".snapshot.json")
	}
	if !ok {
		t.Fatalf("fetched %q, want %q", r.Asked, want)
	}
	r.Asked = nil
}

func TestRevokedTargetIsGone(t *testing.T) {
	r := tuftest.New(t)
	v := open(t, r, durable.NewCrashable())
	refresh(t, v, hour)
	delete(r.Targets.Signed.Targets, tuftest.Path(5))
	r.Release(6)
	refresh(t, v, hour)
	if _, err := v.Target(tuftest.Path(5)); trust.ReasonOf(err) != trust.ReasonUnknownTarget {
		t.Fatalf("got %v", err)
	}
}

func TestRootRotation(t *testing.T) {
	r := tuftest.New(t)
	disk := durable.NewCrashable()
	v := open(t, r, disk)
	refresh(t, v, hour)
	// Old root key goes, a new one comes; so does the targets key.
	old, fresh := r.RootKey, tuftest.Key("root 2")
	r.Forbid(metadata.ROOT, old)
	r.Allow(metadata.ROOT, fresh)
	r.NextRoot(old, fresh)
	r.Forbid(metadata.TARGETS, r.TargetsKey)
	r.TargetsKey = tuftest.Key("targets 2")
	r.Allow(metadata.TARGETS, r.TargetsKey)
	r.NextRoot(fresh)
	r.Release(6)
	refresh(t, v, hour)
	wantTarget(t, v, 6)
	if got := v.RootVersion(); got != 3 {
		t.Fatalf("root version %d", got)
	}
	// The stored root, not the given one, counts after a restart.
	r.Files["2.root.json"], r.Files["3.root.json"] = nil, nil
	refresh(t, open(t, r, disk), hour)
}

// Fast-forward: a thief of the server's key signed the highest versions. New
// keys in the root let the device follow lower ones again.
func TestRotationHealsFastForward(t *testing.T) {
	r := tuftest.New(t)
	v := open(t, r, durable.NewCrashable())
	r.Snapshot.Signed.Version, r.Timestamp.Signed.Version = 1<<40, 1<<40
	r.Issue(tuftest.Start.AddDate(0, 0, 6))
	r.Online(r.OnlineKey)
	refresh(t, v, hour)

	fresh := tuftest.Key("online 2")
	for _, role := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
		r.Forbid(role, r.OnlineKey)
		r.Allow(role, fresh)
	}
	r.NextRoot(r.RootKey)
	r.Snapshot.Signed.Version, r.Timestamp.Signed.Version = 10, 10
	r.Issue(hour)
	r.Online(fresh)
	refresh(t, v, hour)
	wantTarget(t, v, 5)
	if got := v.Floor(); !got.Equal(hour) {
		t.Fatalf("time floor is %s, want that of the new key, %s", got, hour)
	}
}

func TestOpenRefusesBadRoots(t *testing.T) {
	good := tuftest.New(t)
	stranger := tuftest.New(t)
	stranger.SignRoot(tuftest.Key("stranger"))
	for name, root := range map[string][]byte{
		"none": nil, "empty": {}, "not JSON": []byte("root"), "null": []byte("null"),
		"null members":      []byte(`{"signed":{"_type":"root","version":1,"keys":{"a":null},"roles":{"root":null}},"signatures":null}`),
		"another role":      good.Files["timestamp.json"],
		"signed by nobody":  []byte(strings.ReplaceAll(string(good.Files["1.root.json"]), `"sig": "`, `"sig": "00`)),
		"signed by another": stranger.Files["1.root.json"],
		"too large":         append(slices.Clone(good.Files["1.root.json"]), make([]byte, 600<<10)...),
	} {
		t.Run(name, func(t *testing.T) {
			if v, err := trust.Open(trust.Config{FS: durable.NewCrashable(), Root: root, Fetch: good}); err == nil {
				v.Close()
				t.Fatal("accepted")
			}
		})
	}
}

func TestDamagedStoredRootIsAClearError(t *testing.T) {
	r, dir := tuftest.New(t), filepath.Join(t.TempDir(), "trust")
	cfg := trust.Config{Dir: dir, Root: r.Files["1.root.json"], Fetch: r}
	v, err := trust.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	refresh(t, v, hour)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"empty": "", "half": string(r.Files["1.root.json"][:300]), "null roles": `{"signed":{"_type":"root","roles":null},"signatures":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "root.json"), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := trust.Open(cfg)
			if err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "enrolled") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// What is stored besides the root may be lost: it is fetched again.
func TestDamagedStoredRolesHeal(t *testing.T) {
	for _, name := range []string{"timestamp.json", "snapshot.json", "targets.json", "floor.json"} {
		for _, data := range []string{"", "{", `{"signed":{"_type":"timestamp","meta":{"snapshot.json":null}},"signatures":[]}`} {
			r, disk := tuftest.New(t), durable.NewCrashable()
			refresh(t, open(t, r, disk), hour)
			if err := (durable.Disk{FS: disk}).WriteFile(name, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			v := open(t, r, disk)
			refresh(t, v, hour)
			wantTarget(t, v, 5)
			if got := v.Floor(); !got.Equal(tuftest.Start) {
				t.Errorf("%s damaged: floor %s", name, got)
			}
		}
	}
}

func TestTargetRefusals(t *testing.T) {
	const good = `{"product":"app","version":"7","seq":70000,"hardwareIds":["rpi4"],"targetFormat":"app-dir","unpackedSize":1}`
	rows := []struct {
		name, path, custom string
		want               trust.Reason
	}{
		{"good", "app/x", good, ""},
		{"not listed", "app/none", "", trust.ReasonUnknownTarget},
		{"path leaves", "app/../../etc/passwd", good, trust.ReasonUnknownTarget},
		{"absolute path", "/etc/passwd", good, trust.ReasonUnknownTarget},
		{"no product folder", "app.tar", good, trust.ReasonUnknownTarget},
		{"hidden file", "app/.profile", good, trust.ReasonUnknownTarget},
		{"backslash", `app/..\x`, good, trust.ReasonUnknownTarget},
		{"no custom fields", "app/x", "", trust.ReasonBadTarget},
		{"custom is a list", "app/x", "[]", trust.ReasonBadTarget},
		{"another product", "other/x", good, trust.ReasonBadTarget},
		{"no hardware", "app/x", strings.Replace(good, `["rpi4"]`, `[]`, 1), trust.ReasonBadTarget},
		{"seq is text", "app/x", strings.Replace(good, "70000", `"70000"`, 1), trust.ReasonBadTarget},
		{"seq is 0", "app/x", strings.Replace(good, "70000", `0`, 1), trust.ReasonBadTarget},
		{"unpacked size negative", "app/x", strings.Replace(good, `"unpackedSize":1`, `"unpackedSize":-1`, 1), trust.ReasonBadTarget},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := tuftest.New(t)
			if row.name != "not listed" {
				var custom []byte
				if row.custom != "" {
					custom = []byte(row.custom)
				}
				r.AddRaw(row.path, []byte("bytes"), custom)
			}
			r.Release(6)
			v := open(t, r, durable.NewCrashable())
			refresh(t, v, hour)
			_, err := v.Target(row.path)
			if got := trust.ReasonOf(err); got != row.want {
				t.Fatalf("reason %q (%v), want %q", got, err, row.want)
			}
		})
	}
}

func TestTargetWithoutSHA256(t *testing.T) {
	r := tuftest.New(t)
	file := r.Targets.Signed.Targets[tuftest.Path(5)]
	file.Hashes = metadata.Hashes{"sha512": make([]byte, 64)}
	r.Release(6)
	v := open(t, r, durable.NewCrashable())
	refresh(t, v, hour)
	if _, err := v.Target(tuftest.Path(5)); trust.ReasonOf(err) != trust.ReasonBadTarget {
		t.Fatalf("got %v", err)
	}
}

func TestFetchErrorsAreNotRefusals(t *testing.T) {
	broken := errors.New("connection reset")
	r := tuftest.New(t)
	v := open(t, r, durable.NewCrashable())
	r.Err = broken
	if err := v.Refresh(context.Background(), hour); !errors.Is(err, broken) || trust.ReasonOf(err) != "" {
		t.Fatalf("got %v", err)
	}
	r.Err = nil
	refresh(t, v, hour)
	// A failed refresh leaves nothing to install from, and hurts nothing else.
	r.Err = broken
	_ = v.Refresh(context.Background(), hour)
	if _, err := v.Target(tuftest.Path(5)); !errors.Is(err, trust.ErrNotRefreshed) {
		t.Fatalf("got %v", err)
	}
	r.Err = nil
	delete(r.Files, "timestamp.json")
	if err := v.Refresh(context.Background(), hour); !errors.Is(err, trust.ErrNotFound) || trust.ReasonOf(err) != "" {
		t.Fatalf("got %v", err)
	}
}

func TestOpenNeedsItsParts(t *testing.T) {
	r := tuftest.New(t)
	if _, err := trust.Open(trust.Config{Dir: t.TempDir(), Root: r.Files["1.root.json"]}); err == nil {
		t.Error("opened without a fetcher")
	}
	_, err := trust.Open(trust.Config{Dir: t.TempDir(), Fetch: r})
	if err == nil || !strings.Contains(err.Error(), "enrol") {
		t.Errorf("without a root: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := trust.Open(trust.Config{Dir: file, Root: r.Files["1.root.json"], Fetch: r}); err == nil {
		t.Error("opened on a file")
	}
}

var _ trust.Fetcher = (*tuftest.Repo)(nil)
