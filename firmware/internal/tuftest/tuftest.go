// Package tuftest is a firmware repository in memory for tests: it knows every
// key, so it can also do what an attacker could, and each role can be changed,
// signed by whom the test likes and served alone.
package tuftest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuf"
	"github.com/muster-iot/muster/firmware/trust"
)

// Start is the time at which a new repository is signed.
var Start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// Repo is a repository. Change the roles, then sign them; Files is what is
// served. It is a [trust.Fetcher].
type Repo struct {
	t testing.TB

	RootKey, TargetsKey, OnlineKey ed25519.PrivateKey

	Root      *metadata.Metadata[metadata.RootType]
	Targets   *metadata.Metadata[metadata.TargetsType]
	Snapshot  *metadata.Metadata[metadata.SnapshotType]
	Timestamp *metadata.Metadata[metadata.TimestampType]

	// Files are served by name.
	Files map[string][]byte
	// Endless names are served as data without end.
	Endless map[string]bool
	// Err, when set, fails every fetch.
	Err error
	// Asked lists the names that were fetched.
	Asked []string
}

// Key makes a key that is the same in every run.
func Key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Public is the public half of a key.
func Public(key ed25519.PrivateKey) (p firmware.PublicKey) {
	copy(p[:], key.Public().(ed25519.PublicKey))
	return p
}

// New makes a signed repository at [Start] with one target, app/app-5.tar.zst.
func New(t testing.TB) *Repo {
	r := &Repo{
		t: t, RootKey: Key("root"), TargetsKey: Key("targets"), OnlineKey: Key("online"),
		Files: map[string][]byte{}, Endless: map[string]bool{},
	}
	r.Root = metadata.Root(Start.AddDate(5, 0, 0))
	r.Allow(metadata.ROOT, r.RootKey)
	r.Allow(metadata.TARGETS, r.TargetsKey)
	r.Allow(metadata.SNAPSHOT, r.OnlineKey)
	r.Allow(metadata.TIMESTAMP, r.OnlineKey)
	r.Targets = metadata.Targets(Start.AddDate(1, 0, 0))
	r.Snapshot = metadata.Snapshot(Start.AddDate(0, 0, 30))
	r.Timestamp = metadata.Timestamp(Start.AddDate(0, 0, 7))
	r.Snapshot.Signed.Version, r.Timestamp.Signed.Version = Start.Unix(), Start.Unix()
	r.Issue(Start)
	r.Add(Custom(5))
	r.SignRoot(r.RootKey)
	r.SignTargets(r.TargetsKey)
	r.SignSnapshot(r.OnlineKey)
	r.SignTimestamp(r.OnlineKey)
	return r
}

// Custom are good signed fields of version n of product app.
func Custom(n int64) firmware.Custom {
	return firmware.Custom{
		Product: "app", Version: fmt.Sprint(n), Seq: n * 10000, HardwareIDs: []string{"rpi4"},
		TargetFormat: firmware.FormatAppDir, UnpackedSize: 10,
	}
}

// Path is the path of the target that [Repo.Add] makes.
func Path(n int64) string { return fmt.Sprintf("app/app-%d.tar.zst", n) }

// Allow adds a key to a role of the root.
func (r *Repo) Allow(role string, key ed25519.PrivateKey) { r.AllowPublic(role, Public(key)) }

// AllowPublic adds a key to a role of the root by its public half.
func (r *Repo) AllowPublic(role string, key firmware.PublicKey) {
	k, _, err := tuf.Key(key)
	if err == nil {
		err = r.Root.Signed.AddKey(k, role)
	}
	r.check(err)
}

// Forbid removes a key from a role of the root.
func (r *Repo) Forbid(role string, key ed25519.PrivateKey) {
	_, id, err := tuf.Key(Public(key))
	if err == nil {
		err = r.Root.Signed.RevokeKey(id, role)
	}
	r.check(err)
}

// Issue sets the signing time in the timestamp.
func (r *Repo) Issue(at any) {
	if t, ok := at.(time.Time); ok {
		at = t.Format(time.RFC3339)
	}
	r.Timestamp.Signed.UnrecognizedFields = map[string]any{tuf.IssuedField: at}
}

// Content is the artifact of the target with the given fields.
func Content(c firmware.Custom) []byte { return []byte("artifact of " + c.Product + " " + c.Version) }

// Add lists a target for the fields, without signing.
func (r *Repo) Add(c firmware.Custom) {
	raw, err := json.Marshal(c)
	r.check(err)
	r.AddRaw(c.Product+"/"+c.Product+"-"+c.Version+".tar.zst", Content(c), raw)
}

// AddRaw lists anything as a target, without signing.
func (r *Repo) AddRaw(path string, content, custom []byte) {
	sum := sha256.Sum256(content)
	file := &metadata.TargetFiles{Path: path, Length: int64(len(content)), Hashes: metadata.Hashes{"sha256": sum[:]}}
	if custom != nil {
		raw := json.RawMessage(custom)
		file.Custom = &raw
	}
	r.Targets.Signed.Targets[path] = file
}

// SignRoot signs and serves the root.
func (r *Repo) SignRoot(keys ...ed25519.PrivateKey) {
	r.Files[tuf.FileName(metadata.ROOT, r.Root.Signed.Version)] = sign(r, r.Root, keys)
}

// NextRoot raises the root's version, signs and serves it.
func (r *Repo) NextRoot(keys ...ed25519.PrivateKey) {
	r.Root.Signed.Version++
	r.SignRoot(keys...)
}

// SignTargets signs and serves the targets, and names them in the snapshot.
func (r *Repo) SignTargets(keys ...ed25519.PrivateKey) {
	data := sign(r, r.Targets, keys)
	r.Files[tuf.FileName(metadata.TARGETS, r.Targets.Signed.Version)] = data
	r.Snapshot.Signed.Meta["targets.json"] = Meta(r.Targets.Signed.Version, data)
}

// SignSnapshot signs and serves the snapshot, and names it in the timestamp.
func (r *Repo) SignSnapshot(keys ...ed25519.PrivateKey) {
	data := sign(r, r.Snapshot, keys)
	r.Files[tuf.FileName(metadata.SNAPSHOT, r.Snapshot.Signed.Version)] = data
	r.Timestamp.Signed.Meta["snapshot.json"] = Meta(r.Snapshot.Signed.Version, data)
}

// SignTimestamp signs and serves the timestamp.
func (r *Repo) SignTimestamp(keys ...ed25519.PrivateKey) {
	r.Files["timestamp.json"] = sign(r, r.Timestamp, keys)
}

// Release adds version n of app and signs everything but the root, one version on.
func (r *Repo) Release(n int64) {
	r.Add(Custom(n))
	r.Targets.Signed.Version++
	r.SignTargets(r.TargetsKey)
	r.Online(r.OnlineKey)
}

// Online signs snapshot and timestamp, one version on: all that the server can do.
func (r *Repo) Online(keys ...ed25519.PrivateKey) {
	r.Snapshot.Signed.Version++
	r.SignSnapshot(keys...)
	r.Timestamp.Signed.Version++
	r.SignTimestamp(keys...)
}

// Meta names a version of a file with its length and hash.
func Meta(version int64, data []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(data)
	m := metadata.MetaFile(version)
	m.Length, m.Hashes = int64(len(data)), metadata.Hashes{"sha256": sum[:]}
	return m
}

// Save returns a copy of what is served.
func (r *Repo) Save() map[string][]byte { return maps.Clone(r.Files) }

// Bundle is what an operator would publish.
func (r *Repo) Bundle() firmware.Bundle {
	b := firmware.Bundle{Targets: r.Files[tuf.FileName(metadata.TARGETS, r.Targets.Signed.Version)]}
	for v := int64(1); v <= r.Root.Signed.Version; v++ {
		b.Roots = append(b.Roots, r.Files[tuf.FileName(metadata.ROOT, v)])
	}
	return b
}

// Fetch implements [trust.Fetcher].
func (r *Repo) Fetch(_ context.Context, name string, limit int64) ([]byte, error) {
	r.Asked = append(r.Asked, name)
	if r.Err != nil {
		return nil, r.Err
	}
	if r.Endless[name] {
		return make([]byte, limit+1), nil
	}
	data, ok := r.Files[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, trust.ErrNotFound)
	}
	if int64(len(data)) > limit {
		return data[:limit+1], nil
	}
	return data, nil
}

func sign[T metadata.Roles](r *Repo, m *metadata.Metadata[T], keys []ed25519.PrivateKey) []byte {
	data, err := tuf.Sign(m, keys...)
	r.check(err)
	return data
}

func (r *Repo) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}
