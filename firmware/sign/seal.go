package sign

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/muster-iot/muster/firmware"
)

// ErrPassphrase is returned by [OpenKey] when the passphrase does not open the key.
var ErrPassphrase = errors.New("wrong passphrase")

// MinPassphrase is the least length of a new passphrase, in bytes.
const MinPassphrase = 8

// sealedKey is the file form of a key: the seed in XChaCha20-Poly1305 under a
// key that argon2id makes from the passphrase (RFC 9106).
type sealedKey struct {
	Format string             `json:"format"`
	Public firmware.PublicKey `json:"public"`
	KDF    kdf                `json:"argon2id"`
	Nonce  []byte             `json:"nonce"`
	Box    []byte             `json:"box"`
}

type kdf struct {
	Time      uint32 `json:"time"`
	MemoryKiB uint32 `json:"memoryKiB"`
	Threads   uint8  `json:"threads"`
	Salt      []byte `json:"salt"`
}

const sealedFormat = "muster-key-1"

// valid bounds what a key file may ask of this machine.
func (k kdf) valid() bool {
	return k.Time >= 1 && k.Time <= 16 && k.MemoryKiB >= 8<<10 && k.MemoryKiB <= 1<<20 &&
		k.Threads >= 1 && k.Threads <= 16 && len(k.Salt) >= 16 && len(k.Salt) <= 64
}

func (k kdf) key(passphrase []byte) []byte {
	return argon2.IDKey(passphrase, k.Salt, k.Time, k.MemoryKiB, k.Threads, chacha20poly1305.KeySize)
}

// Seal returns the key encrypted under a passphrase of at least
// [MinPassphrase] bytes.
func (k Key) Seal(passphrase []byte) ([]byte, error) {
	if len(passphrase) < MinPassphrase {
		return nil, fmt.Errorf("passphrase is shorter than %d characters", MinPassphrase)
	}
	s := sealedKey{
		Format: sealedFormat,
		Public: k.Public(),
		KDF:    kdf{Time: 3, MemoryKiB: 64 << 10, Threads: 4, Salt: make([]byte, 16)},
		Nonce:  make([]byte, chacha20poly1305.NonceSizeX),
	}
	_, _ = rand.Read(s.KDF.Salt) // never fails (crypto/rand)
	_, _ = rand.Read(s.Nonce)
	aead, err := chacha20poly1305.NewX(s.KDF.key(passphrase))
	if err != nil {
		return nil, fmt.Errorf("cannot seal key: %w", err)
	}
	s.Box = aead.Seal(nil, s.Nonce, k.private.Seed(), s.bound())
	return json.MarshalIndent(s, "", "  ")
}

// bound is what the encryption authenticates besides the seed.
func (s sealedKey) bound() []byte { return []byte(s.Format + " " + s.Public.String()) }

// OpenKey decrypts a sealed key. A wrong passphrase is [ErrPassphrase].
func OpenKey(data, passphrase []byte) (Key, error) {
	var s sealedKey
	if err := json.Unmarshal(data, &s); err != nil {
		return Key{}, fmt.Errorf("not a key file: %w", err)
	}
	if s.Format != sealedFormat || !s.KDF.valid() || len(s.Nonce) != chacha20poly1305.NonceSizeX {
		return Key{}, errors.New("not a key file of this version, or damaged")
	}
	aead, err := chacha20poly1305.NewX(s.KDF.key(passphrase))
	if err != nil {
		return Key{}, fmt.Errorf("cannot open key: %w", err)
	}
	seed, err := aead.Open(nil, s.Nonce, s.Box, s.bound())
	if err != nil {
		return Key{}, ErrPassphrase
	}
	if len(seed) != ed25519.SeedSize {
		return Key{}, errors.New("key file is damaged")
	}
	k := Key{private: ed25519.NewKeyFromSeed(seed)}
	if k.Public() != s.Public {
		return Key{}, errors.New("key file is damaged: its public key does not fit")
	}
	return k, nil
}
