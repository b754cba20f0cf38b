package trust_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware/internal/tuf"
	"github.com/muster-iot/muster/firmware/internal/tuftest"
	"github.com/muster-iot/muster/firmware/trust"
	"github.com/muster-iot/muster/internal/durable"
)

// attack changes what a repository serves while release 6 is the current one.
type attack struct {
	// name says what is done; with "behind: " in front the device has only
	// seen release 5, else it has seen both.
	name string
	do   func(r *tuftest.Repo, old map[string][]byte)
	// at is the device's time; zero is an hour after the start.
	at   time.Time
	want trust.Reason
}

var stranger = tuftest.Key("stranger")

func current(r *tuftest.Repo, role string) string {
	switch role {
	case metadata.ROOT:
		return tuf.FileName(role, r.Root.Signed.Version)
	case metadata.TARGETS:
		return tuf.FileName(role, r.Targets.Signed.Version)
	case metadata.SNAPSHOT:
		return tuf.FileName(role, r.Snapshot.Signed.Version)
	default:
		return tuf.FileName(role, r.Timestamp.Signed.Version)
	}
}

// Attacks by whoever sits on the network or runs a mirror: no key at all.
func mirrorAttacks() []attack {
	return []attack{
		{"timestamp signed by a stranger", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Timestamp.Signed.Version++
			r.SignTimestamp(stranger)
		}, time.Time{}, trust.ReasonSignature},
		{"timestamp without signatures", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Timestamp.Signed.Version++
			r.SignTimestamp()
		}, time.Time{}, trust.ReasonSignature},
		{"old timestamp replayed", func(r *tuftest.Repo, _ map[string][]byte) {
			// The device saw one more than what is now served.
			r.Files["timestamp.json"] = older(r)
		}, time.Time{}, trust.ReasonRollback},
		{"frozen timestamp", nil, tuftest.Start.AddDate(0, 0, 8), trust.ReasonExpired},
		{"frozen for ever", nil, tuftest.Start.AddDate(20, 0, 0), trust.ReasonExpired},
		{"endless timestamp", endless(metadata.TIMESTAMP), time.Time{}, trust.ReasonTooLarge},
		{"behind: endless snapshot", endless(metadata.SNAPSHOT), time.Time{}, trust.ReasonTooLarge},
		{"behind: endless targets", endless(metadata.TARGETS), time.Time{}, trust.ReasonTooLarge},
		{"endless root", func(r *tuftest.Repo, _ map[string][]byte) { r.Endless["2.root.json"] = true }, time.Time{}, trust.ReasonTooLarge},
		{"behind: old snapshot under the new name", func(r *tuftest.Repo, old map[string][]byte) {
			r.Files[current(r, metadata.SNAPSHOT)] = old[fmt.Sprintf("%d.snapshot.json", tuftest.Start.Unix())]
		}, time.Time{}, trust.ReasonMismatch},
		{"behind: old targets under the new name", func(r *tuftest.Repo, old map[string][]byte) {
			r.Files[current(r, metadata.TARGETS)] = old["1.targets.json"]
		}, time.Time{}, trust.ReasonMismatch},
		{"snapshot served as timestamp", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Files["timestamp.json"] = r.Files[current(r, metadata.SNAPSHOT)]
		}, time.Time{}, trust.ReasonMalformed},
		{"timestamp is not JSON", serve("timestamp.json", "<html>login</html>"), time.Time{}, trust.ReasonMalformed},
		{"timestamp is empty", serve("timestamp.json", ""), time.Time{}, trust.ReasonMalformed},
		{"timestamp is null", serve("timestamp.json", "null"), time.Time{}, trust.ReasonMalformed},
		{"timestamp of null members", serve("timestamp.json", `{"signed":{"_type":"timestamp","meta":{"snapshot.json":null}},"signatures":null}`), time.Time{}, trust.ReasonSignature},
		{"timestamp nested deep", serve("timestamp.json", strings.Repeat("[", 16000)), time.Time{}, trust.ReasonMalformed},
		{"root of null members", serve("2.root.json", `{"signed":{"_type":"root","keys":{"a":null},"roles":{"root":null}},"signatures":null}`), time.Time{}, trust.ReasonMalformed},
		{"root of a stranger", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Allow(metadata.ROOT, stranger)
			r.NextRoot(stranger)
		}, time.Time{}, trust.ReasonSignature},
		{"the same root as the next", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Files["2.root.json"] = r.Files["1.root.json"]
		}, time.Time{}, trust.ReasonRollback},
		{"signature counted twice", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Root.Signed.Roles[metadata.TIMESTAMP].Threshold = 2
			r.Allow(metadata.TIMESTAMP, tuftest.Key("second"))
			r.NextRoot(r.RootKey)
			r.Timestamp.Signed.Version++
			r.SignTimestamp(r.OnlineKey, r.OnlineKey)
		}, time.Time{}, trust.ReasonMalformed},
	}
}

// Attacks by whoever holds the server with its online key.
func serverAttacks() []attack {
	return []attack{
		{"adds a target", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Add(tuftest.Custom(7))
			r.Targets.Signed.Version++
			r.SignTargets(r.OnlineKey)
			r.Online(r.OnlineKey)
		}, time.Time{}, trust.ReasonSignature},
		{"changes custom fields of a signed target", func(r *tuftest.Repo, _ map[string][]byte) {
			name := current(r, metadata.TARGETS)
			data := bytes.ReplaceAll(r.Files[name], []byte(`"rpi4"`), []byte(`"rpi3"`))
			r.Files[name] = data
			r.Snapshot.Signed.Meta["targets.json"] = tuftest.Meta(r.Targets.Signed.Version, data)
			r.Online(r.OnlineKey)
		}, time.Time{}, trust.ReasonSignature},
		{"goes back to older signed targets", func(r *tuftest.Repo, old map[string][]byte) {
			r.Files["1.targets.json"] = old["1.targets.json"]
			r.Snapshot.Signed.Meta["targets.json"] = tuftest.Meta(1, old["1.targets.json"])
			r.Online(r.OnlineKey)
		}, time.Time{}, trust.ReasonRollback},
		{"goes back to an older snapshot", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Snapshot.Signed.Version--
			r.SignSnapshot(r.OnlineKey)
			r.Timestamp.Signed.Version++
			r.SignTimestamp(r.OnlineKey)
		}, time.Time{}, trust.ReasonRollback},
		{"names no snapshot", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Timestamp.Signed.Meta = map[string]*metadata.MetaFiles{}
			r.Timestamp.Signed.Version++
			r.SignTimestamp(r.OnlineKey)
		}, time.Time{}, trust.ReasonMalformed},
		{"names no targets", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Snapshot.Signed.Meta = map[string]*metadata.MetaFiles{}
			r.Online(r.OnlineKey)
		}, time.Time{}, trust.ReasonMalformed},
		{"names endless targets", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Snapshot.Signed.Meta["targets.json"].Length = 1 << 40
			r.Online(r.OnlineKey)
		}, time.Time{}, trust.ReasonTooLarge},
		{"signs a time after the expiry", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Issue(tuftest.Start.AddDate(0, 1, 0))
			r.Online(r.OnlineKey)
		}, time.Time{}, trust.ReasonMalformed},
		{"signs a time that is none", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Issue(7)
			r.Online(r.OnlineKey)
		}, time.Time{}, trust.ReasonMalformed},
		{"signs a root", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Allow(metadata.TARGETS, r.OnlineKey)
			r.NextRoot(r.OnlineKey)
		}, time.Time{}, trust.ReasonSignature},
		{"lets the snapshot expire", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Timestamp.Signed.Expires = tuftest.Start.AddDate(1, 0, 0)
			r.Snapshot.Signed.Expires = tuftest.Start.AddDate(0, 0, 1)
			r.Online(r.OnlineKey)
		}, tuftest.Start.AddDate(0, 0, 2), trust.ReasonExpired},
	}
}

// Mistakes and misuse of the offline keys, one of them alone.
func offlineAttacks() []attack {
	return []attack{
		{"targets key signs a root", func(r *tuftest.Repo, _ map[string][]byte) {
			r.NextRoot(r.TargetsKey)
		}, time.Time{}, trust.ReasonSignature},
		{"targets key signs the timestamp", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Timestamp.Signed.Version++
			r.SignTimestamp(r.TargetsKey)
		}, time.Time{}, trust.ReasonSignature},
		{"root key signs targets", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Targets.Signed.Version++
			r.SignTargets(r.RootKey)
			r.Online(r.OnlineKey)
		}, time.Time{}, trust.ReasonSignature},
		{"root with threshold 0", weakRoot(func(r *metadata.RootType) { r.Roles[metadata.TARGETS].Threshold = 0 }), time.Time{}, trust.ReasonMalformed},
		{"root with a negative threshold", weakRoot(func(r *metadata.RootType) { r.Roles[metadata.TIMESTAMP].Threshold = -1 }), time.Time{}, trust.ReasonMalformed},
		{"root with threshold 0 for itself", weakRoot(func(r *metadata.RootType) { r.Roles[metadata.ROOT].Threshold = 0 }), time.Time{}, trust.ReasonMalformed},
		{"root whose threshold nobody reaches", weakRoot(func(r *metadata.RootType) { r.Roles[metadata.ROOT].Threshold = 2 }), time.Time{}, trust.ReasonMalformed},
		{"root without a role", weakRoot(func(r *metadata.RootType) { delete(r.Roles, metadata.SNAPSHOT) }), time.Time{}, trust.ReasonMalformed},
		{"root with a short key", weakRoot(func(r *metadata.RootType) {
			for _, k := range r.Keys {
				k.Value.PublicKey = k.Value.PublicKey[:20]
			}
		}), time.Time{}, trust.ReasonMalformed},
		{"root with another kind of key", weakRoot(func(r *metadata.RootType) {
			for _, k := range r.Keys {
				k.Type, k.Scheme = metadata.KeyTypeRSASSA_PSS_SHA256, metadata.KeySchemeRSASSA_PSS_SHA256
			}
		}), time.Time{}, trust.ReasonMalformed},
		{"root without consistent snapshots", weakRoot(func(r *metadata.RootType) { r.ConsistentSnapshot = false }), time.Time{}, trust.ReasonMalformed},
		{"root that skips a version", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Root.Signed.Version = 3
			r.SignRoot(r.RootKey)
			r.Files["2.root.json"] = r.Files["3.root.json"]
		}, time.Time{}, trust.ReasonRollback},
		{"root of a new key without the old", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Forbid(metadata.ROOT, r.RootKey)
			r.Allow(metadata.ROOT, stranger)
			r.NextRoot(stranger)
		}, time.Time{}, trust.ReasonSignature},
		{"root of the old key without the new", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Forbid(metadata.ROOT, r.RootKey)
			r.Allow(metadata.ROOT, stranger)
			r.NextRoot(r.RootKey)
		}, time.Time{}, trust.ReasonSignature},
		{"root expired", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Root.Signed.Expires = tuftest.Start
			r.NextRoot(r.RootKey)
		}, time.Time{}, trust.ReasonExpired},
		{"targets expired", func(r *tuftest.Repo, _ map[string][]byte) {
			r.Targets.Signed.Expires = tuftest.Start
			r.Release(7)
		}, time.Time{}, trust.ReasonExpired},
		{"a null target", func(r *tuftest.Repo, _ map[string][]byte) {
			rewrite(r, func(signed map[string]any) { signed["targets"].(map[string]any)["app/null"] = nil })
		}, time.Time{}, trust.ReasonMalformed},
	}
}

func endless(role string) func(*tuftest.Repo, map[string][]byte) {
	return func(r *tuftest.Repo, _ map[string][]byte) { r.Endless[current(r, role)] = true }
}

func serve(name, data string) func(*tuftest.Repo, map[string][]byte) {
	return func(r *tuftest.Repo, _ map[string][]byte) { r.Files[name] = []byte(data) }
}

// weakRoot signs a root properly that nobody should sign.
func weakRoot(change func(*metadata.RootType)) func(*tuftest.Repo, map[string][]byte) {
	return func(r *tuftest.Repo, _ map[string][]byte) {
		change(&r.Root.Signed)
		r.NextRoot(r.RootKey)
	}
}

// older is a good timestamp of the version before the current one.
func older(r *tuftest.Repo) []byte {
	r.Timestamp.Signed.Version -= 2
	r.SignTimestamp(r.OnlineKey)
	return r.Files["timestamp.json"]
}

// rewrite changes the JSON of the signed targets in a way that go-tuf would
// not write, and signs it with the right key.
func rewrite(r *tuftest.Repo, change func(signed map[string]any)) {
	name := current(r, metadata.TARGETS)
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader(r.Files[name]))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		panic(err)
	}
	signed := doc["signed"].(map[string]any)
	r.Targets.Signed.Version++
	signed["version"] = r.Targets.Signed.Version
	change(signed)
	payload, err := json.Marshal(signed) // sorted and compact: canonical for these values
	if err != nil {
		panic(err)
	}
	sig := doc["signatures"].([]any)[0].(map[string]any)
	sig["sig"] = fmt.Sprintf("%x", ed25519.Sign(r.TargetsKey, payload))
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	r.Files[current(r, metadata.TARGETS)] = data
	r.Snapshot.Signed.Meta["targets.json"] = tuftest.Meta(r.Targets.Signed.Version, data)
	r.Online(r.OnlineKey)
}

// Every attack is refused for its reason, leaves nothing to install from, and
// is over when the honest repository is back: trust is not damaged by it.
func TestAttacks(t *testing.T) {
	for kind, attacks := range map[string][]attack{"mirror": mirrorAttacks(), "server": serverAttacks(), "offline": offlineAttacks()} {
		for _, a := range attacks {
			t.Run(kind+"/"+a.name, func(t *testing.T) { runAttack(t, a) })
		}
	}
}

func runAttack(t *testing.T, a attack) {
	r := tuftest.New(t)
	old := r.Save()
	disk := durable.NewCrashable()
	v := open(t, r, disk)
	refresh(t, v, hour)
	r.Release(6)
	if !strings.HasPrefix(a.name, "behind: ") {
		refresh(t, v, hour)
	}
	if a.do != nil {
		a.do(r, old)
	}
	now := a.at
	if now.IsZero() {
		now = hour
	}
	err := v.Refresh(context.Background(), now)
	if got := trust.ReasonOf(err); got != a.want {
		t.Fatalf("reason %q (%v), want %q", got, err, a.want)
	}
	for n := int64(5); n <= 7; n++ {
		if target, err := v.Target(tuftest.Path(n)); err == nil {
			t.Fatalf("target %+v after a refused refresh", target)
		}
	}
	honest := recovered(t, v.RootVersion())
	v = open(t, honest, disk)
	refresh(t, v, hour)
	wantTarget(t, v, 6)
}

// recovered is the honest repository again, some versions later, as a server
// that counts versions by the clock has it; above roots that the device
// accepted in between it has one that sets things right.
func recovered(t *testing.T, root int64) *tuftest.Repo {
	r := tuftest.New(t)
	if root > 1 {
		r.Root.Signed.Version = root
		r.NextRoot(r.RootKey)
	}
	r.Targets.Signed.Version += 10
	r.Snapshot.Signed.Version += 100
	r.Timestamp.Signed.Version += 100
	r.Release(6)
	return r
}

// Flipping any bit of any file never changes what is installed: it is refused,
// or it did not matter (white space, the case of hex digits).
func TestBitFlips(t *testing.T) {
	r := tuftest.New(t)
	r.NextRoot(r.RootKey)
	r.Release(6)
	want := map[int64]any{}
	v := open(t, r, durable.NewCrashable())
	refresh(t, v, hour)
	for n := int64(5); n <= 6; n++ {
		target, err := v.Target(tuftest.Path(n))
		if err != nil {
			t.Fatal(err)
		}
		want[n] = fmt.Sprintf("%+v", target)
	}
	refused := 0
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		name := current(r, role)
		good := r.Files[name]
		step := 1 + len(good)/700 // every byte of small files, a few of large ones
		for i := 0; i < len(good); i += step {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << (i % 8)
			r.Files[name] = bad
			v := open(t, r, durable.NewCrashable())
			if err := v.Refresh(context.Background(), hour); err != nil {
				refused++
				continue
			}
			for n, w := range want {
				if got, err := v.Target(tuftest.Path(n)); err != nil || fmt.Sprintf("%+v", got) != w {
					t.Fatalf("%s with byte %d flipped: target %d is %+v (%v)", name, i, n, got, err)
				}
			}
		}
		r.Files[name] = good
	}
	if refused < 500 {
		t.Fatalf("only %d flips were refused", refused)
	}
}
