// Package devcert makes a certificate authority of its own with a certificate
// for a server on this machine and one for a client, for demonstrations and
// tests of TLS. It owns the files that it writes; the authority's key is
// thrown away, so nothing can be added to it later. It is nothing to run a
// fleet on: its certificates end after a day.
package devcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Files are the PEM files that [Make] has written.
type Files struct {
	// CA is the authority's certificate: what both sides trust.
	CA string
	// ServerCert and ServerKey are for localhost and every loopback address
	// that clients name: 127.0.0.1 and ::1.
	ServerCert, ServerKey string
	// ClientCert and ClientKey are for a client, by name "client".
	ClientCert, ClientKey string
}

// lifetime is how long the certificates are good for; they begin an hour ago,
// for clocks that disagree.
const lifetime = 24 * time.Hour

// Make makes an authority and two certificates in a folder, which exists.
func Make(dir string) (Files, error) {
	f := Files{
		CA:         filepath.Join(dir, "ca.pem"),
		ServerCert: filepath.Join(dir, "server.pem"), ServerKey: filepath.Join(dir, "server-key.pem"),
		ClientCert: filepath.Join(dir, "client.pem"), ClientKey: filepath.Join(dir, "client-key.pem"),
	}
	ca := template("Muster development CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	server := template("localhost")
	server.DNSNames, server.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	client := template("client")
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	key, err := issue(ca, ca, nil, f.CA, "")
	if err == nil {
		_, err = issue(server, ca, key, f.ServerCert, f.ServerKey)
	}
	if err == nil {
		_, err = issue(client, ca, key, f.ClientCert, f.ClientKey)
	}
	if err != nil {
		return Files{}, fmt.Errorf("cannot make certificates: %w", err)
	}
	return f, nil
}

func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// issue makes a key and has its certificate signed by the authority, or by
// itself when that has no key, and writes both; no file name, no file.
func issue(cert, ca *x509.Certificate, by *ecdsa.PrivateKey, certFile, keyFile string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if by == nil {
		by = key
	}
	if cert.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, ca, key.Public(), by)
	if err != nil {
		return nil, err
	}
	if err := write(certFile, "CERTIFICATE", der, 0o644); err != nil || keyFile == "" {
		return key, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, write(keyFile, "PRIVATE KEY", secret, 0o600)
}

func write(file, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
