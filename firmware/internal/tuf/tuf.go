// Package tuf holds what the operator's side, the server and the device have
// in common over The Update Framework's metadata: which roots are acceptable
// at all, how a role's file is called, and a fence around the parser. It
// decides nothing about trust.
package tuf

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// IssuedField is the member of a timestamp's signed part that says when it
// was signed, as RFC 3339 in UTC. Devices use it as a lower bound of the time.
const IssuedField = "x-issued"

// Upper bounds of metadata files in bytes, whoever signed them.
const (
	MaxRoot      = 512 << 10
	MaxTimestamp = 16 << 10
	MaxSnapshot  = 2 << 20
	MaxTargets   = 5 << 20
)

// Guard runs f and turns a panic of the metadata parser into an error: go-tuf
// dereferences null entries of damaged files.
func Guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("metadata is malformed (%v)", r)
		}
	}()
	return f()
}

// ParseRoot reads root metadata and refuses what no one of us may trust: a
// missing role, a threshold below 1 or above the number of its keys, a key
// that is not ed25519 of 32 bytes, and a repository without consistent
// snapshots. Signatures are not checked here.
func ParseRoot(data []byte) (root *metadata.Metadata[metadata.RootType], err error) {
	if len(data) > MaxRoot {
		return nil, fmt.Errorf("root metadata has %d bytes; at most %d are allowed", len(data), MaxRoot)
	}
	err = Guard(func() error {
		root, err = metadata.Root().FromBytes(data)
		if err != nil {
			return err
		}
		return checkRoot(&root.Signed)
	})
	if err != nil {
		return nil, err
	}
	return root, nil
}

func checkRoot(root *metadata.RootType) error {
	if !root.ConsistentSnapshot {
		return fmt.Errorf("root metadata does not use consistent snapshots")
	}
	if root.Version < 1 {
		return fmt.Errorf("root metadata has version %d", root.Version)
	}
	for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
		if err := checkRole(root, name); err != nil {
			return err
		}
	}
	return nil
}

func checkRole(root *metadata.RootType, name string) error {
	role := root.Roles[name]
	if role == nil {
		return fmt.Errorf("root metadata has no %s role", name)
	}
	ids := slices.Clone(role.KeyIDs)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if role.Threshold < 1 || role.Threshold > len(ids) {
		return fmt.Errorf("root metadata gives role %s threshold %d with %d keys", name, role.Threshold, len(ids))
	}
	for _, id := range ids {
		if err := checkKey(root.Keys[id]); err != nil {
			return fmt.Errorf("root metadata: key %.16s of role %s %w", id, name, err)
		}
	}
	return nil
}

func checkKey(key *metadata.Key) error {
	if key == nil {
		return fmt.Errorf("is missing")
	}
	if key.Type != metadata.KeyTypeEd25519 || key.Scheme != metadata.KeySchemeEd25519 {
		return fmt.Errorf("is %.20q, not ed25519", key.Type)
	}
	raw, err := hex.DecodeString(key.Value.PublicKey)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return fmt.Errorf("is not 32 bytes of hex")
	}
	return nil
}

// FileName returns the name under which a repository with consistent
// snapshots serves a version of a role: "5.targets.json". The timestamp has
// no version in its name.
func FileName(role string, version int64) string {
	if role == metadata.TIMESTAMP {
		return "timestamp.json"
	}
	return fmt.Sprintf("%d.%s.json", version, role)
}

// Issued returns the signing time of a timestamp; ok is false when it carries
// none. A time after the timestamp's own expiry is an error.
func Issued(ts *metadata.TimestampType) (issued time.Time, ok bool, err error) {
	raw, ok := ts.UnrecognizedFields[IssuedField]
	if !ok {
		return time.Time{}, false, nil
	}
	text, _ := raw.(string)
	issued, err = time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("%s %.40q is not a time", IssuedField, text)
	}
	if issued.After(ts.Expires) {
		return time.Time{}, false, fmt.Errorf("%s %s is after its expiry %s", IssuedField, text, ts.Expires.Format(time.RFC3339))
	}
	return issued.UTC(), true, nil
}
