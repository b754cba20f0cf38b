// Package issuer makes certificates for devices: those of CreateKeysAndCertificate
// and CreateCertificateFromCsr. It owns the key that signs them, an ECDSA key on
// P-256 in one file of the data folder, made at first need. It never
// sees a device's private key and keeps no record of what it signed; the
// engine does, which is what a device's certificate is looked up in.
package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/muster-iot/muster/internal/durable"
)

// fileName is the file that holds the key and its certificate together, so
// that one replacement makes both.
const fileName = "issuer.pem"

// Issuer signs certificates. Its methods may be called concurrently.
type Issuer struct {
	dir string

	mu sync.Mutex
	ca *authority // nil until first needed
}

type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// New returns an issuer whose key is in a folder. It touches nothing until
// the first certificate is asked for.
func New(dir string) (*Issuer, error) {
	if dir == "" {
		return nil, errors.New("an issuer needs a folder for its key")
	}
	return &Issuer{dir: dir}, nil
}

// notAfter is when every certificate ends, as those that AWS issues do: a
// device in a drawer must not be locked out by the calendar. What ends a
// certificate is its status.
func notAfter() time.Time { return time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC) }

// ahead is how far the clock of a device may be behind ours.
const ahead = time.Hour

// Issue returns the DER of a certificate for a device's public key. subject is
// the DER of its name; nil is a name that says who issued it.
func (i *Issuer) Issue(key crypto.PublicKey, subject []byte, now time.Time) ([]byte, error) {
	ca, err := i.authority(now)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, RawSubject: subject, Subject: pkix.Name{CommonName: "Muster IoT Certificate"},
		NotBefore: now.Add(-ahead), NotAfter: notAfter(), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca.certificate, key, ca.key)
	if err != nil {
		return nil, fmt.Errorf("cannot sign a certificate: %w", err)
	}
	return der, nil
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("cannot make a serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

// authority reads the key, or makes it when there is none.
func (i *Issuer) authority(now time.Time) (*authority, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ca != nil {
		return i.ca, nil
	}
	ca, err := i.load()
	if errors.Is(err, fs.ErrNotExist) {
		ca, err = i.create(now)
	}
	if err != nil {
		return nil, err
	}
	i.ca = ca
	return ca, nil
}

func (i *Issuer) load() (*authority, error) {
	file := filepath.Join(i.dir, fileName)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the issuer's key: %w", err)
	}
	// A process that was killed may not have made it durable.
	if err := durable.SyncDir(i.dir); err != nil {
		return nil, fmt.Errorf("cannot read the issuer's key: %w", err)
	}
	ca, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not what an issuer wrote (%w): put the file of a backup in its place, or remove it for a new key", file, err)
	}
	return ca, nil
}

func decode(text []byte) (*authority, error) {
	keyBlock, rest := pem.Decode(text)
	certificateBlock, _ := pem.Decode(rest)
	if keyBlock == nil || certificateBlock == nil {
		return nil, errors.New("want a key and a certificate")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("its key is not ECDSA")
	}
	certificate, err := x509.ParseCertificate(certificateBlock.Bytes)
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(certificate.PublicKey) {
		return nil, errors.New("its key is not that of its certificate")
	}
	return &authority{key, certificate}, nil
}

// create makes a key and its certificate, and returns when they are durable: a
// certificate must not outlive the only key that can prove its issuer.
func (i *Issuer) create(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make the issuer's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{"Muster"}, CommonName: "Muster device issuer"},
		NotBefore: now.Add(-ahead), NotAfter: notAfter(), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("cannot sign the issuer's certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the issuer's key: %w", err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := durable.MkdirAll(i.dir, 0o700); err != nil {
		return nil, err
	}
	if err := durable.WriteFile(filepath.Join(i.dir, fileName), text, 0o600); err != nil {
		return nil, err
	}
	return decode(text)
}
