package sign_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/sign"
	"github.com/muster-iot/muster/protocol"
)

var (
	now        = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	passphrase = []byte("correct horse")
)

func workspace(t testing.TB) (w *sign.Workspace, dir, recovery string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "muster")
	online, err := sign.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	w, recovery, err = sign.InitSolo(sign.SoloConfig{
		Dir: dir, Settings: sign.Settings{Server: "http://127.0.0.1:1"}, OnlineKey: online.Public(), Passphrase: passphrase, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w, dir, recovery
}

func source(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "run.sh"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func release(version string, dir string) sign.Release {
	return sign.Release{Source: dir, Product: "app", Version: version, Passphrase: passphrase, Now: now}
}

func TestInitSolo(t *testing.T) {
	w, dir, recovery := workspace(t)
	for name, perm := range map[string]os.FileMode{".": 0o700, "solo.key": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != perm {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	roles, err := w.Status()
	if err != nil || len(roles) != 2 {
		t.Fatalf("%+v %v", roles, err)
	}
	for _, r := range roles {
		if want := map[string]int{"root": 2, "targets": 1}[r.Role]; len(r.KeyIDs) != want || r.Threshold != 1 {
			t.Errorf("%s: %d of %d keys, want 1 of %d", r.Role, r.Threshold, len(r.KeyIDs), want)
		}
		if y := r.Expires.Year(); y != 2036 {
			t.Errorf("%s expires in %d", r.Role, y)
		}
	}
	spare, err := sign.ParseRecovery(recovery)
	if err != nil {
		t.Fatal(err)
	}
	root, err := w.Root()
	if err != nil || !strings.Contains(string(root), spare.Public().String()) {
		t.Errorf("root does not list the recovery key (%v)", err)
	}
	// Nowhere on disk, in any form.
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
		data, err := os.ReadFile(path)
		if err == nil && (bytes.Contains(data, []byte(recovery)) || bytes.Contains(data, passphrase)) {
			t.Errorf("%s holds a secret", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestInitRefuses(t *testing.T) {
	_, dir, _ := workspace(t)
	key, err := sign.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "solo.key"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := sign.SoloConfig{Dir: dir, OnlineKey: key.Public(), Passphrase: passphrase, Now: now}
	for name, row := range map[string]struct {
		change func(*sign.SoloConfig)
		want   string
	}{
		"a folder with a key": {func(*sign.SoloConfig) {}, "already holds a firmware key"},
		"no online key":       {func(c *sign.SoloConfig) { c.OnlineKey = firmware.PublicKey{} }, "online key"},
		"short passphrase":    {func(c *sign.SoloConfig) { c.Passphrase = []byte("short") }, "shorter than 8"},
		"no passphrase":       {func(c *sign.SoloConfig) { c.Passphrase = nil }, "shorter than 8"},
		"a file as folder":    {func(c *sign.SoloConfig) { c.Dir = file }, "cannot create"},
	} {
		cfg := good
		row.change(&cfg)
		if _, _, err := sign.InitSolo(cfg); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after, err := os.ReadFile(filepath.Join(dir, "solo.key")); err != nil || !bytes.Equal(before, after) {
		t.Error("the old key was touched")
	}
}

func TestOpenWithoutWorkspace(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		_, err := sign.Open(dir)
		if protocol.CodeOf(err) != protocol.NotFound || !strings.Contains(err.Error(), "muster firmware init") {
			t.Errorf("got %v", err)
		}
	}
}

func TestAdd(t *testing.T) {
	w, dir, _ := workspace(t)
	src := source(t)
	type row struct {
		name   string
		change func(*sign.Release)
		path   string // of the target; or
		want   string // what the error says
		code   protocol.Code
	}
	same := func(*sign.Release) {}
	rows := []row{
		{"first", same, "app/app-6.tar.zst", "", ""},
		{"the same again", same, "", "app 6 is already released", protocol.AlreadyExists},
		{"older version", func(r *sign.Release) { r.Version = "5" }, "", "seq 50000, but app has a release with seq 60000", protocol.InvalidRequest},
		{"old bytes under a new seq", func(r *sign.Release) { r.Version = "5"; r.Seq = 60001 }, "app/app-5.tar.zst", "", ""},
		{"published again", func(r *sign.Release) { r.Seq = 60002 }, "app/app-6-60002.tar.zst", "", ""},
		{"seq too low", func(r *sign.Release) { r.Version = "7"; r.Seq = 7 }, "", "use --seq 60003 or more", protocol.InvalidRequest},
		{"patch version", func(r *sign.Release) { r.Version = "6.1.2" }, "app/app-6.1.2.tar.zst", "", ""},
		{"word as version", func(r *sign.Release) { r.Version = "nightly" }, "", "give one with --seq", protocol.InvalidRequest},
		{"word with seq", func(r *sign.Release) { r.Version = "nightly"; r.Seq = 70000 }, "app/app-nightly.tar.zst", "", ""},
		{"version that leaves", func(r *sign.Release) { r.Version = "../x"; r.Seq = 80000 }, "", "version", protocol.InvalidRequest},
		{"product that leaves", func(r *sign.Release) { r.Product = "../x" }, "", "product", protocol.InvalidRequest},
		{"no product", func(r *sign.Release) { r.Product = "" }, "", "product", protocol.InvalidRequest},
		{"another product starts anew", func(r *sign.Release) { r.Product = "db"; r.Version = "1" }, "db/db-1.tar.zst", "", ""},
		{"bad hardware", func(r *sign.Release) { r.Version = "8"; r.HardwareIDs = []string{"a b"} }, "", "hardware id", protocol.InvalidRequest},
		{"floor above itself", func(r *sign.Release) { r.Version = "8"; r.RollbackFloor = 90000 }, "", "rollbackFloor", protocol.InvalidRequest},
		{"bad least agent", func(r *sign.Release) { r.Version = "8"; r.MinAgent = "?" }, "", "minAgent", protocol.InvalidRequest},
		{"no folder", func(r *sign.Release) { r.Version = "8"; r.Source = filepath.Join(src, "none") }, "", "cannot pack", protocol.Internal},
		{"empty folder", func(r *sign.Release) { r.Version = "8"; r.Source = t.TempDir() }, "", "is empty", protocol.Internal},
		{"wrong passphrase", func(r *sign.Release) { r.Version = "8"; r.Passphrase = []byte("wrong horse") }, "", "wrong passphrase", protocol.Internal},
		{"no passphrase", func(r *sign.Release) { r.Version = "8"; r.Passphrase = nil }, "", "wrong passphrase", protocol.Internal},
	}
	for _, row := range rows {
		r := release("6", src)
		row.change(&r)
		before, err := os.ReadFile(filepath.Join(dir, "targets.json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Add(r)
		if row.path != "" {
			if err != nil || got.Path != row.path {
				t.Fatalf("%s: %s %v", row.name, got.Path, err)
			}
			continue
		}
		if err == nil || protocol.CodeOf(err) != row.code || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v (%s)", row.name, err, protocol.CodeOf(err))
		}
		after, err := os.ReadFile(filepath.Join(dir, "targets.json"))
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the signed list changed", row.name)
		}
	}
	list, err := w.Releases()
	if err != nil || len(list) != 6 {
		t.Fatalf("%d releases (%v)", len(list), err)
	}
	for _, tgt := range list {
		f, err := w.OpenArtifact(tgt)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, f)
		if f.Close(); err != nil || n != tgt.Length || tgt.Custom.HardwareIDs[0] != firmware.AnyHardware {
			t.Errorf("%s: %d bytes (%v)", tgt.Path, n, err)
		}
	}
}

func TestFind(t *testing.T) {
	w, _, _ := workspace(t)
	src := source(t)
	for _, v := range []string{"5", "6"} {
		if _, err := w.Add(release(v, src)); err != nil {
			t.Fatal(err)
		}
	}
	for version, want := range map[string]int64{"": 60000, "5": 50000, "6": 60000} {
		got, err := w.Find("app", version)
		if err != nil || got.Custom.Seq != want {
			t.Errorf("%q: %+v %v", version, got, err)
		}
	}
	for _, p := range [][2]string{{"app", "7"}, {"db", ""}} {
		if _, err := w.Find(p[0], p[1]); protocol.CodeOf(err) != protocol.NotFound {
			t.Errorf("%v: %v", p, err)
		}
	}
}

// Whoever can write to the folder, but not sign, cannot get a release signed
// with the next one.
func TestForeignTargetsAreNotSigned(t *testing.T) {
	w, dir, _ := workspace(t)
	if _, err := w.Add(release("5", source(t))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "targets.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte(`"any"`), []byte(`"rpi"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add(release("6", source(t))); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Fatalf("got %v", err)
	}
	if _, err := w.Bundle(); err == nil {
		t.Fatal("bundle of damaged releases")
	}
}

// Another valid root in the folder does not make the key sign for it.
func TestForeignRootIsNotServed(t *testing.T) {
	w, dir, _ := workspace(t)
	_, other, _ := workspace(t)
	for _, name := range []string{"root.json", "targets.json"} {
		data, err := os.ReadFile(filepath.Join(other, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Add(release("6", source(t))); err == nil || !strings.Contains(err.Error(), "not a targets key") {
		t.Fatalf("got %v", err)
	}
}

func TestKeyFile(t *testing.T) {
	key, err := sign.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := key.Seal(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sign.OpenKey(sealed, passphrase)
	if err != nil || again.Public() != key.Public() {
		t.Fatalf("%v %v", again, err)
	}
	if _, err := sign.OpenKey(sealed, []byte("correct hors")); !errors.Is(err, sign.ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	other, err := sign.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]any){
		"another public key": func(m map[string]any) { m["public"] = other.Public().String() },
		"changed box":        func(m map[string]any) { m["box"] = m["nonce"] },
		"another format":     func(m map[string]any) { m["format"] = "muster-key-2" },
		"no nonce":           func(m map[string]any) { delete(m, "nonce") },
		"endless memory":     func(m map[string]any) { m["argon2id"].(map[string]any)["memoryKiB"] = 1 << 31 },
		"endless time":       func(m map[string]any) { m["argon2id"].(map[string]any)["time"] = 1 << 31 },
		"no memory":          func(m map[string]any) { m["argon2id"].(map[string]any)["memoryKiB"] = 0 },
		"no threads":         func(m map[string]any) { m["argon2id"].(map[string]any)["threads"] = 0 },
		"no salt":            func(m map[string]any) { m["argon2id"].(map[string]any)["salt"] = "" },
	} {
		var m map[string]any
		if err := json.Unmarshal(sealed, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sign.OpenKey(data, passphrase); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestKeysDoNotPrintThemselves(t *testing.T) {
	key, err := sign.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := sign.ParseRecovery(key.Recovery())
	if err != nil || secret.Public() != key.Public() {
		t.Fatal(err)
	}
	want := "ed25519 " + key.Public().String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, key); got != want {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

func TestRecoveryKey(t *testing.T) {
	key, err := sign.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text := key.Recovery()
	for name, form := range map[string]string{
		"as printed": text, "small": strings.ToLower(text), "blanks": strings.ReplaceAll(text, "-", " "), "lines": strings.ReplaceAll(text, "-", "\n") + "\n",
	} {
		if got, err := sign.ParseRecovery(form); err != nil || got.Public() != key.Public() {
			t.Errorf("%s: %v", name, err)
		}
	}
	swapped := []byte(text)
	swapped[10], swapped[11] = swapped[11], swapped[10]
	for i := 12; bytes.Equal(swapped, []byte(text)); i++ {
		swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
	}
	for name, form := range map[string]string{
		"empty": "", "no prefix": text[8:], "cut": text[:len(text)-3], "wrong character": text[:10] + "1" + text[11:], "swapped": string(swapped), "too long": text + "A",
	} {
		if _, err := sign.ParseRecovery(form); err == nil {
			t.Errorf("%s: accepted %s", name, form)
		}
	}
}

// FuzzOpenKey takes any bytes as a key file: an error, and no endless work.
func FuzzOpenKey(f *testing.F) {
	key, err := sign.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := key.Seal(passphrase)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte(`{"format":"muster-key-1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := sign.OpenKey(data, passphrase); err == nil && got.Public() != key.Public() {
			t.Fatal("another key")
		}
	})
}

// FuzzParseRecovery takes any text as a recovery key.
func FuzzParseRecovery(f *testing.F) {
	f.Add("MUSTER1-AAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := sign.ParseRecovery(text); err == nil {
			if again, err := sign.ParseRecovery(key.Recovery()); err != nil || again.Public() != key.Public() {
				t.Fatal("does not come back")
			}
		}
	})
}
