package issuer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/server/issuer"
)

func issue(t *testing.T, i *issuer.Issuer, key crypto.PublicKey, subject []byte) *x509.Certificate {
	t.Helper()
	der, err := i.Issue(key, subject, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func newIssuer(t *testing.T, dir string) *issuer.Issuer {
	t.Helper()
	i, err := issuer.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// issuerOf reads the certificate that stands beside the key.
func issuerOf(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "issuer.pem"))
	if err != nil {
		t.Fatal(err)
	}
	_, certificate, _ := strings.Cut(string(text), "-----END PRIVATE KEY-----\n")
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(certificate)) {
		t.Fatalf("no certificate in the issuer's file")
	}
	return pool
}

// TestIssues: what is issued can be verified as a client's, over restarts by
// the same issuer.
func TestIssues(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "identity")
	i := newIssuer(t, dir)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("New touched the folder: %v", err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serials := map[string]bool{}
	for round := range 2 {
		for name, key := range map[string]crypto.PublicKey{"rsa": &rsaKey.PublicKey, "ecdsa": &ecKey.PublicKey} {
			cert := issue(t, i, key, nil)
			usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			if _, err := cert.Verify(x509.VerifyOptions{Roots: issuerOf(t, dir), KeyUsages: usage}); err != nil {
				t.Errorf("round %d, %s: %v", round, name, err)
			}
			if cert.Subject.CommonName != "Muster IoT Certificate" || cert.IsCA || cert.NotAfter.Year() != 2049 {
				t.Errorf("%s, CA %t, until %s", cert.Subject, cert.IsCA, cert.NotAfter)
			}
			serials[cert.SerialNumber.String()] = true
		}
		i = newIssuer(t, dir)
	}
	if len(serials) != 4 {
		t.Errorf("four certificates have %d serial numbers", len(serials))
	}
	if info, err := os.Stat(filepath.Join(dir, "issuer.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
}

func TestSubjectOfARequest(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "pump-17", Country: []string{"NO"}}}, key)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	if cert := issue(t, newIssuer(t, t.TempDir()), request.PublicKey, request.RawSubject); cert.Subject.String() != "CN=pump-17,C=NO" {
		t.Errorf("subject %s", cert.Subject)
	}
}

// TestFirstNeedOfMany: however many ask first, there is one key.
func TestFirstNeedOfMany(t *testing.T) {
	dir := t.TempDir()
	i := newIssuer(t, dir)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	certs := make([][]byte, 8)
	for n := range certs {
		all.Go(func() { certs[n], _ = i.Issue(&key.PublicKey, nil, time.Now()) })
	}
	all.Wait()
	for _, der := range certs {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: issuerOf(t, dir), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Error(err)
		}
	}
}

// TestBrokenFile: a key that cannot be read is never replaced by a new one.
func TestBrokenFile(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := t.TempDir()
	issue(t, newIssuer(t, good), &key.PublicKey, nil)
	text, err := os.ReadFile(filepath.Join(good, "issuer.pem"))
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	issue(t, newIssuer(t, other), &key.PublicKey, nil)
	otherText, err := os.ReadFile(filepath.Join(other, "issuer.pem"))
	if err != nil {
		t.Fatal(err)
	}
	const end = "-----END PRIVATE KEY-----\n"
	firstKey, _, _ := strings.Cut(string(text), end)
	_, secondCertificate, _ := strings.Cut(string(otherText), end)
	for _, row := range []struct{ name, text string }{
		{"empty", ""},
		{"cut", string(text[:len(text)/2])},
		{"no PEM", "hello"},
		{"key of another", firstKey + end + secondCertificate},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "issuer.pem")
			if err := os.WriteFile(file, []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := newIssuer(t, dir).Issue(&key.PublicKey, nil, time.Now()); err == nil || !strings.Contains(err.Error(), file) {
				t.Errorf("error %v", err)
			}
			if after, err := os.ReadFile(file); err != nil || string(after) != row.text {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := issuer.New(""); err == nil {
		t.Error("an issuer without a folder")
	}
}
