package sign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/muster-iot/muster/firmware"
)

// Key is a private ed25519 key. It never prints itself.
type Key struct{ private ed25519.PrivateKey }

// NewKey makes a key from the system's randomness.
func NewKey() (Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("cannot make a key: %w", err)
	}
	return Key{private: private}, nil
}

// Public returns the public half.
func (k Key) Public() (p firmware.PublicKey) {
	copy(p[:], k.private.Public().(ed25519.PublicKey))
	return p
}

// String names the key by its public half.
func (k Key) String() string { return "ed25519 " + k.Public().String() }

// GoString keeps the private half out of %#v.
func (k Key) GoString() string { return k.String() }

// recoveryPrefix marks the written form of a recovery key.
const recoveryPrefix = "MUSTER1"

var recoveryText = base32.StdEncoding.WithPadding(base32.NoPadding)

// Recovery returns the private key as text to be written down: groups of
// capital letters and digits, with a checksum.
func (k Key) Recovery() string {
	raw := binary.BigEndian.AppendUint32(k.private.Seed(), crc32.ChecksumIEEE(k.private.Seed()))
	text := recoveryText.EncodeToString(raw)
	var b strings.Builder
	b.WriteString(recoveryPrefix)
	for len(text) > 0 {
		n := min(6, len(text))
		b.WriteString("-" + text[:n])
		text = text[n:]
	}
	return b.String()
}

// ParseRecovery reads the text form of a recovery key; case, blanks and
// dashes do not matter.
func ParseRecovery(text string) (Key, error) {
	bare := strings.ToUpper(strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return r == '-' || r == ' ' || r == '\n' || r == '\t' || r == '\r'
	}), ""))
	body, ok := strings.CutPrefix(bare, recoveryPrefix)
	if !ok {
		return Key{}, fmt.Errorf("a recovery key starts with %s", recoveryPrefix)
	}
	raw, err := recoveryText.DecodeString(body)
	if err != nil || len(raw) != ed25519.SeedSize+4 {
		return Key{}, errors.New("recovery key is incomplete or has a wrong character")
	}
	seed, sum := raw[:ed25519.SeedSize], raw[ed25519.SeedSize:]
	if !bytes.Equal(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(seed)), sum) {
		return Key{}, errors.New("recovery key has a typing error: its checksum does not fit")
	}
	return Key{private: ed25519.NewKeyFromSeed(seed)}, nil
}
