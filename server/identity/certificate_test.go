package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/identity"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// template is a CA certificate as change makes it.
func template(change func(c *x509.Certificate)) *x509.Certificate {
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	if change != nil {
		change(c)
	}
	return c
}

func sign(t testing.TB, c, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// request makes a signing request as PEM.
func request(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// sha1Request makes one signed with SHA-1, which this Go writes no more.
func sha1Request(t testing.TB, key *rsa.PrivateKey) string {
	t.Helper()
	block, _ := pem.Decode([]byte(request(t, key)))
	var parts struct {
		Info      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(block.Bytes, &parts); err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(parts.Info.FullBytes)
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA1, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	parts.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	parts.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	der, err := asn1.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "NEW CERTIFICATE REQUEST", Bytes: der}))
}

func TestParseCertificate(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	cert := sign(t, template(nil), template(nil), &key.PublicKey, key)
	text := identity.EncodePEM(cert.Raw)
	for _, row := range []struct{ name, text, problem string }{
		{"itself", text, ""},
		{"with what openssl says before it", "Certificate:\n    Data:\n" + text, ""},
		{"with white space", text + "\n \n", ""},
		{"empty", "", "not PEM"},
		{"cut", text[:len(text)/2], "not PEM"},
		{"two", text + text, "something follows"},
		{"a key", strings.ReplaceAll(text, "CERTIFICATE", "PRIVATE KEY"), "a PRIVATE KEY, not a CERTIFICATE"},
		{"no DER", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot read"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := identity.ParseCertificate(row.text)
			if row.problem == "" {
				if err != nil || !got.Equal(cert) {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			if codeOf(err) != protocol.CertificateValidation || !strings.Contains(err.Error(), row.problem) {
				t.Errorf("error %v, want %q", err, row.problem)
			}
		})
	}
}

func TestNewCertificate(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	cert := sign(t, template(nil), template(nil), &key.PublicKey, key)
	sum := sha256.Sum256(cert.Raw)
	c, err := identity.NewCertificate(cert, identity.Active, identity.SNIOnly, "ca")
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != identity.CertificateID(hex.EncodeToString(sum[:])) || c.CA != "ca" || c.Mode != identity.SNIOnly || !c.Validity.NotAfter.Equal(cert.NotAfter) {
		t.Errorf("got %+v", c)
	}
	again, err := identity.ParseCertificate(c.PEM)
	if err != nil || !again.Equal(cert) {
		t.Errorf("its PEM is another certificate: %v", err)
	}
	for _, s := range []identity.Status{identity.PendingActivation, identity.PendingTransfer, identity.RegisterInactive, "NONE"} {
		if _, err := identity.NewCertificate(cert, s, identity.Default, ""); codeOf(err) != protocol.InvalidRequest {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestKeys(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	modulus := func(bits uint) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: 65537}
	}
	for _, row := range []struct {
		name string
		key  any
		ok   bool
	}{
		{"RSA 2048", modulus(2048), true},
		{"RSA 4096", modulus(4096), true},
		{"RSA 2047", modulus(2047), false},
		{"RSA 1024", modulus(1024), false},
		{"P-256", &ecKey(t, elliptic.P256()).PublicKey, true},
		{"P-384", &ecKey(t, elliptic.P384()).PublicKey, true},
		{"P-521", &ecKey(t, elliptic.P521()).PublicKey, true},
		{"P-224", &ecKey(t, elliptic.P224()).PublicKey, false},
		{"Ed25519", ed, false},
		{"none", nil, false},
	} {
		if err := identity.CheckKey(row.key); (err == nil) != row.ok {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestParseRequest(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := request(t, key)
	block, _ := pem.Decode([]byte(good))
	block.Bytes[len(block.Bytes)-1] ^= 1
	for _, row := range []struct{ name, text, problem string }{
		{"RSA", good, ""},
		{"RSA with SHA-1", sha1Request(t, key), ""},
		{"P-256", request(t, ecKey(t, elliptic.P256())), ""},
		{"P-384", request(t, ecKey(t, elliptic.P384())), ""},
		{"Ed25519", request(t, ed), "neither RSA nor ECDSA"},
		{"P-224", request(t, ecKey(t, elliptic.P224())), "P-224"},
		{"other signature", string(pem.EncodeToMemory(block)), "not signed by its own key"},
		{"a certificate", strings.ReplaceAll(good, "CERTIFICATE REQUEST", "CERTIFICATE"), "a CERTIFICATE, not a CERTIFICATE REQUEST"},
		{"nothing", "x", "not PEM"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := identity.ParseRequest(row.text)
			if row.problem == "" && err != nil || row.problem != "" && (codeOf(err) != protocol.InvalidRequest || !strings.Contains(err.Error(), row.problem)) {
				t.Errorf("error %v, want %q", err, row.problem)
			}
		})
	}
}

func TestNewAuthority(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	for _, row := range []struct {
		name   string
		change func(c *x509.Certificate)
		ok     bool
	}{
		{"as it should be", nil, true},
		{"without key usage", func(c *x509.Certificate) { c.KeyUsage = 0 }, true},
		{"no CA", func(c *x509.Certificate) { c.IsCA = false }, false},
		{"without basic constraints", func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false }, false},
		{"may not sign certificates", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, false},
		{"expired", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }, false},
		{"not valid yet", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }, false},
	} {
		c := template(row.change)
		cert := sign(t, c, c, &key.PublicKey, key)
		a, err := identity.NewAuthority(cert, identity.AuthorityActive, identity.Default, true, now)
		if row.ok && (err != nil || a.ID != identity.IDOf(cert.Raw) || !a.AutoRegister) || !row.ok && codeOf(err) != protocol.CertificateValidation {
			t.Errorf("%s: %+v, %v", row.name, a, err)
		}
	}
}

func TestUpdateAuthority(t *testing.T) {
	a := identity.Authority{Status: identity.AuthorityInactive}.Registered("g", now)
	later := now.Add(time.Second)
	if b := a.Update(nil, new(false), later); b.Version != 1 || !b.ModifiedAt.Equal(now) {
		t.Errorf("nothing changed, but got %+v", b)
	}
	b := a.Update(new(identity.AuthorityActive), new(true), later)
	if b.Status != identity.AuthorityActive || !b.AutoRegister || b.Version != 2 || !b.ModifiedAt.Equal(later) || !b.CreatedAt.Equal(now) {
		t.Errorf("got %+v", b)
	}
}

func TestVerification(t *testing.T) {
	caKey, otherKey, key := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	ca := sign(t, template(nil), template(nil), &caKey.PublicKey, caKey)
	leaf := template(func(c *x509.Certificate) { c.Subject.CommonName, c.IsCA, c.KeyUsage = "code", false, 0 })
	name, err := identity.CheckVerification(ca, sign(t, leaf, ca, &key.PublicKey, caKey))
	if err != nil || name != "code" {
		t.Errorf("got %q, %v", name, err)
	}
	namesake := sign(t, template(nil), template(nil), &otherKey.PublicKey, otherKey)
	if _, err := identity.CheckVerification(ca, sign(t, leaf, namesake, &key.PublicKey, otherKey)); codeOf(err) != protocol.CertificateValidation {
		t.Errorf("signed by another key: %v", err)
	}
	if err := identity.SignedBy(sign(t, leaf, leaf, &key.PublicKey, key), ca); codeOf(err) != protocol.CertificateValidation {
		t.Errorf("signed by itself: %v", err)
	}
}
