// Package firmware is the ground of everything about updates: what a target
// is, which signed fields it carries and how targets and versions are named.
// It is pure: no file, no network, no key.
//
// An update goes through the packages below it in this order: pack makes an
// archive of a folder, sign lists the archive as a target in signed metadata
// on the operator's machine, repo stores and serves both on the fleet's
// server, trust verifies the metadata on the device, and pack unpacks the
// verified archive there.
package firmware

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/muster-iot/muster/protocol/update"
)

// Digest is the SHA-256 of an artifact. Its text form is 64 lower-case hex digits.
type Digest [32]byte

// ParseDigest reads the text form of a digest; upper-case digits are refused,
// so that one artifact has one name.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(d) || s != strings.ToLower(s) {
		return d, fmt.Errorf("%.80q is not a SHA-256 of 64 lower-case hex digits", s)
	}
	copy(d[:], raw)
	return d, nil
}

// String returns the text form.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText gives JSON the text form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDigest(string(text))
	return err
}

// Target is one installable artifact as the signed metadata lists it.
type Target struct {
	// Path names the target in the repository: "<product>/<file>".
	Path string `json:"path"`
	// Length is the exact size of the artifact in bytes.
	Length int64 `json:"length"`
	// SHA256 is the digest of the whole artifact.
	SHA256 Digest `json:"sha256"`
	// Custom holds the signed fields that say what it is and where it may run.
	Custom Custom `json:"custom"`
}

// ParseTarget builds a target from the parts of signed metadata. It refuses
// what no device may act on: a bad path, an empty artifact, a digest that is
// not SHA-256, and custom fields that are missing, wrong or of another product
// than the path says.
func ParseTarget(name string, length int64, sha256 []byte, custom []byte) (Target, error) {
	t := Target{Path: name, Length: length}
	if err := CheckPath(name); err != nil {
		return Target{}, err
	}
	if length <= 0 {
		return Target{}, fmt.Errorf("target %s has length %d", name, length)
	}
	if len(sha256) != len(t.SHA256) {
		return Target{}, fmt.Errorf("target %s has no SHA-256", name)
	}
	copy(t.SHA256[:], sha256)
	if len(custom) == 0 {
		return Target{}, fmt.Errorf("target %s has no custom fields", name)
	}
	if err := json.Unmarshal(custom, &t.Custom); err != nil {
		return Target{}, fmt.Errorf("custom fields of target %s: %w", name, err)
	}
	if err := t.Custom.Validate(); err != nil {
		return Target{}, fmt.Errorf("custom fields of target %s: %w", name, err)
	}
	if first, _, _ := strings.Cut(name, "/"); first != t.Custom.Product {
		return Target{}, fmt.Errorf("target %s says it is product %q", name, t.Custom.Product)
	}
	return t, nil
}

// SortTargets orders targets by product, then seq, then path.
func SortTargets(list []Target) {
	slices.SortFunc(list, func(a, b Target) int {
		return cmp.Or(cmp.Compare(a.Custom.Product, b.Custom.Product),
			cmp.Compare(a.Custom.Seq, b.Custom.Seq), cmp.Compare(a.Path, b.Path))
	})
}

// File returns where a repository with consistent snapshots keeps the
// artifact, relative to the repository's URL:
//
//	targets/app/<sha256>.app-6.tar.zst
//
// The name holds the digest, so what it names never changes.
func (t Target) File() string {
	dir, base := path.Split(t.Path)
	return "targets/" + dir + t.SHA256.String() + "." + base
}

// Document returns the job document that tells a device to install the target.
func (t Target) Document() update.Document {
	return update.Document{
		Muster:    update.Schema,
		Operation: update.OpInstall,
		Product:   t.Custom.Product,
		Target:    t.Path,
		Version:   t.Custom.Version,
		Seq:       t.Custom.Seq,
	}
}
