package tuf

import (
	"crypto/ed25519"
	"fmt"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware"
)

// Sign replaces the signatures of a role by those of the given keys and
// returns the file.
func Sign[T metadata.Roles](m *metadata.Metadata[T], keys ...ed25519.PrivateKey) ([]byte, error) {
	m.Signatures = nil
	for _, key := range keys {
		signer, err := signature.LoadED25519Signer(key)
		if err != nil {
			return nil, fmt.Errorf("cannot sign: %w", err)
		}
		if _, err := m.Sign(signer); err != nil {
			return nil, fmt.Errorf("cannot sign: %w", err)
		}
	}
	data, err := m.ToBytes(true)
	if err != nil {
		return nil, fmt.Errorf("cannot sign: %w", err)
	}
	return append(data, '\n'), nil
}

// Key returns a public key as metadata lists it, with its id.
func Key(public firmware.PublicKey) (key *metadata.Key, id string, err error) {
	key, err = metadata.KeyFromPublicKey(ed25519.PublicKey(public[:]))
	if err != nil {
		return nil, "", fmt.Errorf("cannot use key %s: %w", public, err)
	}
	id, err = key.ID()
	return key, id, err
}

// ParseTargets reads targets metadata and the targets it lists, and refuses a
// file that lists anything no device may act on. Signatures are not checked.
func ParseTargets(data []byte) (m *metadata.Metadata[metadata.TargetsType], list []firmware.Target, err error) {
	if len(data) > MaxTargets {
		return nil, nil, fmt.Errorf("targets metadata has %d bytes; at most %d are allowed", len(data), MaxTargets)
	}
	err = Guard(func() error {
		if m, err = metadata.Targets().FromBytes(data); err != nil {
			return err
		}
		list, err = listTargets(&m.Signed)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return m, list, nil
}

func listTargets(signed *metadata.TargetsType) ([]firmware.Target, error) {
	list := make([]firmware.Target, 0, len(signed.Targets))
	for path, file := range signed.Targets {
		t, err := Target(path, file)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	firmware.SortTargets(list)
	return list, nil
}

// Target reads one entry of targets metadata.
func Target(path string, file *metadata.TargetFiles) (firmware.Target, error) {
	if file == nil {
		return firmware.Target{}, fmt.Errorf("target %.120q is null", path)
	}
	var custom []byte
	if file.Custom != nil {
		custom = *file.Custom
	}
	return firmware.ParseTarget(path, file.Length, file.Hashes["sha256"], custom)
}

// Verify checks that a role is signed as root demands, with the parser fenced.
func Verify(root *metadata.Metadata[metadata.RootType], role string, m any) error {
	return Guard(func() error { return root.VerifyDelegate(role, m) })
}

// Status describes a role that root delegates.
func Status(root *metadata.RootType, role string) firmware.RoleStatus {
	s := firmware.RoleStatus{Role: role}
	if r := root.Roles[role]; r != nil {
		s.Threshold, s.KeyIDs = r.Threshold, r.KeyIDs
	}
	if role == metadata.ROOT {
		s.Version, s.Expires = root.Version, root.Expires
	}
	return s
}
