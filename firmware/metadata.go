package firmware

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"time"
)

// PublicKey is the public half of an ed25519 key. Its text form is 64 hex digits.
type PublicKey [ed25519.PublicKeySize]byte

// String returns the text form.
func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// MarshalText gives JSON the text form.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the text form.
func (k *PublicKey) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(k) {
		return fmt.Errorf("%.80q is not an ed25519 public key of 64 hex digits", text)
	}
	copy(k[:], raw)
	return nil
}

// Bundle is what the operator's machine hands to a repository: the chain of
// roots, oldest first and starting anywhere at or before the repository's own,
// and the newest targets metadata. The files are kept byte for byte.
type Bundle struct {
	Roots   [][]byte `json:"roots"`
	Targets []byte   `json:"targets"`
}

// RoleStatus says which version of a role is in force and how long it lasts.
type RoleStatus struct {
	Role      string    `json:"role"`
	Version   int64     `json:"version"`
	Expires   time.Time `json:"expires"`
	Threshold int       `json:"threshold"`
	// KeyIDs are the keys that may sign the role.
	KeyIDs []string `json:"keyIds"`
}

// DaysLeft is the number of whole days until the role expires; negative after.
func (s RoleStatus) DaysLeft(now time.Time) int {
	d := s.Expires.Sub(now)
	if d < 0 {
		return int(d/(24*time.Hour)) - 1
	}
	return int(d / (24 * time.Hour))
}
