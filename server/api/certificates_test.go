package api_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-iot/muster/server/issuer"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
)

// devices is an issuer of certificates for devices.
func devices(t testing.TB) *issuer.Issuer {
	t.Helper()
	i, err := issuer.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// pair is a key and its certificate.
type pair struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func (p pair) pem() string { return pemOf("CERTIFICATE", p.cert.Raw) }

func (p pair) id() string {
	sum := sha256.Sum256(p.cert.Raw)
	return hex.EncodeToString(sum[:])
}

func (p pair) arn() string { return "arn:aws:iot:eu-north-1:123456789012:cert/" + p.id() }

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

var serial atomic.Int64

// newPair makes a certificate for a common name, signed by ca, or by itself as
// a CA when ca is nil; key may be nil for a new one.
func newPair(t testing.TB, name string, ca *pair, key *ecdsa.PrivateKey) *pair {
	t.Helper()
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Now().Add(time.Hour), IsCA: ca == nil,
	}
	by := ca
	if by == nil {
		by = &pair{key, template}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{key, cert}
}

// object is a JSON object of strings, true and false.
func object(members ...any) string {
	m := map[string]any{}
	for i := 0; i < len(members); i += 2 {
		m[members[i].(string)] = members[i+1]
	}
	text, _ := json.Marshal(m)
	return string(text)
}

// get makes a call that must succeed and reads its answer.
func get[T any](f *fleet, request, body string) (answer T) {
	f.t.Helper()
	status, text := f.do("iot", request, body)
	if status != http.StatusOK {
		f.t.Fatalf("%s: %d %s", request, status, text)
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		f.t.Fatalf("%s: %v: %s", request, err, text)
	}
	return answer
}

type created struct {
	CertificateArn, CertificateId, CertificatePem string
	KeyPair                                       struct{ PublicKey, PrivateKey string }
}

// read parses the certificate of an answer and checks its id and ARN.
func (c created) read(t *testing.T) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(c.CertificatePem))
	if block == nil || block.Type != "CERTIFICATE" {
		t.Fatalf("certificatePem is %q", c.CertificatePem)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if p := (pair{cert: cert}); c.CertificateId != p.id() || c.CertificateArn != p.arn() {
		t.Errorf("id %s and ARN %s are not those of the certificate", c.CertificateId, c.CertificateArn)
	}
	return cert
}

func TestCreateKeysAndCertificate(t *testing.T) {
	f := newFleet(t, rules.Safe())
	c := get[created](f, "POST /keys-and-certificate?setAsActive=true", "")
	cert := c.read(t)
	private, _ := pem.Decode([]byte(c.KeyPair.PrivateKey))
	public, _ := pem.Decode([]byte(c.KeyPair.PublicKey))
	if private == nil || private.Type != "RSA PRIVATE KEY" || public == nil || public.Type != "PUBLIC KEY" {
		t.Fatalf("keys are %v and %v", private, public)
	}
	key, err := x509.ParsePKCS1PrivateKey(private.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := x509.ParsePKIXPublicKey(public.Bytes)
	if err != nil || key.N.BitLen() != 2048 || !key.PublicKey.Equal(cert.PublicKey) || !key.PublicKey.Equal(shown) {
		t.Errorf("the keys do not belong to the certificate: %v", err)
	}
	status, text := f.do("iot", "GET /certificates/"+c.CertificateId, "")
	want := `{"certificateDescription":{"certificateArn":"` + c.CertificateArn + `","certificateId":"` + c.CertificateId + `","status":"ACTIVE","certificatePem":PEM,` +
		`"ownedBy":"123456789012","creationDate":T,"lastModifiedDate":T,"customerVersion":1,"generationId":"ID","validity":{"notBefore":T,"notAfter":2524607999},"certificateMode":"DEFAULT"}}`
	if got := noPEM(normal(text)); status != 200 || got != want {
		t.Errorf("described as\n%d %s\nwant\n%s", status, got, want)
	}
	if other := get[created](f, "POST /keys-and-certificate", ""); other.CertificateId == c.CertificateId || f.status(other.CertificateId) != "INACTIVE" {
		t.Errorf("another one: %+v", other)
	}
	err = f.store.Load(context.Background(), func(r store.Row) error {
		if strings.Contains(string(r.Value), "PRIVATE") {
			t.Errorf("row %s %q holds a private key", r.Kind, r.Key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var pemMember = regexp.MustCompile(`"certificatePem":"[^"]*"`)

func noPEM(body string) string { return pemMember.ReplaceAllString(body, `"certificatePem":PEM`) }

// status is that of a certificate.
func (f *fleet) status(id string) string {
	f.t.Helper()
	return get[struct {
		CertificateDescription struct{ Status string }
	}](f, "GET /certificates/"+id, "").CertificateDescription.Status
}

func TestCreateCertificateFromCsr(t *testing.T) {
	f := newFleet(t, rules.Safe())
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, key := range []crypto.Signer{rsaKey, ecKey} {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "pump-17"}}, key)
		if err != nil {
			t.Fatal(err)
		}
		body := object("certificateSigningRequest", pemOf("CERTIFICATE REQUEST", der))
		for range 2 { // the same request gives another certificate
			c := get[created](f, "POST /certificates", body)
			cert := c.read(t)
			if !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(cert.PublicKey) || cert.Subject.CommonName != "pump-17" {
				t.Errorf("certificate of %s", cert.Subject)
			}
			ids[c.CertificateId] = true
		}
	}
	if len(ids) != 4 {
		t.Errorf("four certificates have %d ids", len(ids))
	}
	f.run([]call{{"iot", "POST /certificates", object("certificateSigningRequest", "x"), 400, "InvalidRequestException"}})
}

func TestRegisterCertificateWithoutCA(t *testing.T) {
	f := newFleet(t, rules.Safe())
	own := newPair(t, "own", nil, nil)
	answer := `{"certificateArn":"` + own.arn() + `","certificateId":"` + own.id() + `"}`
	const path = "POST /certificate/register-no-ca"
	f.run([]call{
		{"iot", path, object("certificatePem", own.pem(), "status", "PENDING_TRANSFER"), 400, "InvalidRequestException"},
		{"iot", path, object("certificatePem", own.pem(), "status", "NONE"), 400, "InvalidRequestException"},
		{"iot", path, object("certificatePem", "x"), 400, "CertificateValidationException"},
		{"iot", path, object("certificatePem", own.pem()), 200, answer},
		{
			"iot", path, object("certificatePem", "text before\n"+own.pem(), "status", "ACTIVE"), 409,
			`ResourceAlreadyExistsException {"message":"certificate \"` + own.id() + `\" is registered already","resourceId":"` + own.id() + `","resourceArn":"` + own.arn() + `"}`,
		},
		{"iot", "PUT /certificates/" + own.id() + "?newStatus=PENDING_ACTIVATION", "", 400, "InvalidRequestException"},
		{"iot", "PUT /certificates/" + own.id() + "?newStatus=ACTIVE", "", 200, `{}`},
		{"iot", "DELETE /certificates/" + own.id(), "", 406, "CertificateStateException"},
		{"iot", "PUT /certificates/" + own.id() + "?newStatus=REVOKED", "", 200, `{}`},
		{"iot", "PUT /certificates/" + own.id() + "?newStatus=REVOKED", "", 200, `{}`},
		{"iot", "PUT /certificates/" + own.id() + "?newStatus=ACTIVE", "", 406, "CertificateStateException"},
		{"iot", "DELETE /certificates/" + own.id(), "", 200, `{}`},
		{"iot", "DELETE /certificates/" + own.id(), "", 404, "ResourceNotFoundException"},
		{"iot", "GET /certificates/" + own.id(), "", 404, "ResourceNotFoundException"},
		{"iot", "GET /certificates/abc", "", 400, "InvalidRequestException"},
	})
}

func TestCACertificates(t *testing.T) {
	f := newFleet(t, rules.Safe())
	ca, other := newPair(t, "maker", nil, nil), newPair(t, "other", nil, nil)
	code := get[struct{ RegistrationCode string }](f, "GET /registrationcode", "").RegistrationCode
	if again := get[struct{ RegistrationCode string }](f, "GET /registrationcode", "").RegistrationCode; again != code || len(code) != 64 {
		t.Errorf("registration code %q, then %q", code, again)
	}
	arn := "arn:aws:iot:eu-north-1:123456789012:cacert/" + ca.id()
	proof := newPair(t, code, ca, nil).pem()
	const path = "POST /cacertificate"
	f.run([]call{
		{"iot", path, object("caCertificate", ca.pem()), 400, "InvalidRequestException"},
		{"iot", path, object("caCertificate", ca.pem(), "verificationCertificate", proof, "certificateMode", "SNI_ONLY"), 400, "InvalidRequestException"},
		{"iot", path, object("caCertificate", "x", "verificationCertificate", proof), 400, "CertificateValidationException"},
		{"iot", path, object("caCertificate", ca.pem(), "verificationCertificate", "x"), 400, "CertificateValidationException"},
		{"iot", path, object("caCertificate", other.pem(), "verificationCertificate", proof), 400, "CertificateValidationException"},
		{"iot", path, object("caCertificate", proof, "verificationCertificate", proof), 400, "CertificateValidationException"},
		{"iot", path, object("caCertificate", ca.pem(), "verificationCertificate", newPair(t, "guess", ca, nil).pem()), 400, "RegistrationCodeValidationException"},
		{"iot", path, object("caCertificate", ca.pem(), "verificationCertificate", proof, "registrationConfig", map[string]string{"templateName": "t"}), 400, "InvalidRequestException"},
		{"iot", path + "?allowAutoRegistration=true", object("caCertificate", ca.pem(), "verificationCertificate", proof, "tags", []map[string]string{{"Key": "a", "Value": "b"}}), 200, `{"certificateArn":"` + arn + `","certificateId":"` + ca.id() + `"}`},
		{"iot", path, object("caCertificate", ca.pem(), "verificationCertificate", proof), 409, "ResourceAlreadyExistsException"},
		{"iot", path + "?setAsActive=true", object("caCertificate", other.pem(), "certificateMode", "SNI_ONLY"), 200, `{"certificateArn":"` + strings.Replace(arn, ca.id(), other.id(), 1) + `","certificateId":"` + other.id() + `"}`},
		{"iot", "GET /tags?resourceArn=" + url.QueryEscape(arn), "", 200, `{"tags":[{"Key":"a","Value":"b"}]}`},
	})
	status, text := f.do("iot", "GET /cacertificate/"+ca.id(), "")
	want := `{"certificateDescription":{"certificateArn":"` + arn + `","certificateId":"` + ca.id() + `","status":"INACTIVE","certificatePem":PEM,"ownedBy":"123456789012","creationDate":T,` +
		`"autoRegistrationStatus":"ENABLE","lastModifiedDate":T,"customerVersion":1,"generationId":"ID","validity":{"notBefore":T,"notAfter":T},"certificateMode":"DEFAULT"}}`
	if got := noPEM(normal(text)); status != 200 || got != want {
		t.Errorf("described as\n%d %s\nwant\n%s", status, got, want)
	}
	f.run([]call{
		{"iot", "PUT /cacertificate/" + ca.id() + "?newStatus=REVOKED", "", 400, "InvalidRequestException"},
		{"iot", "PUT /cacertificate/" + ca.id() + "?newAutoRegistrationStatus=ENABLE", `{"removeAutoRegistration":true}`, 400, "InvalidRequestException"},
		{"iot", "PUT /cacertificate/" + ca.id() + "?newStatus=ACTIVE", `{"removeAutoRegistration":true}`, 200, `{}`},
		{"iot", "DELETE /cacertificate/" + ca.id(), "", 406, "CertificateStateException"},
		{"iot", "GET /cacertificates?pageSize=1&templateName=t", "", 200, `{"certificates":[]}`},
		{
			"iot", "GET /cacertificates?isAscendingOrder=false", "", 200,
			`{"certificates":[` + `{"certificateArn":"` + strings.Replace(arn, ca.id(), other.id(), 1) + `","certificateId":"` + other.id() + `","status":"ACTIVE","creationDate":T},` +
				`{"certificateArn":"` + arn + `","certificateId":"` + ca.id() + `","status":"ACTIVE","creationDate":T}]}`,
		},
		{"iot", "PUT /cacertificate/" + ca.id() + "?newStatus=INACTIVE", "", 200, `{}`},
		{"iot", "DELETE /cacertificate/" + ca.id(), "", 200, `{}`},
		{"iot", "GET /cacertificate/" + ca.id(), "", 404, "ResourceNotFoundException"},
		{"iot", "PUT /cacertificate/" + ca.id(), "", 404, "ResourceNotFoundException"},
		{"iot", "DELETE /cacertificate/" + ca.id(), "", 404, "ResourceNotFoundException"},
	})
}

func TestRegisterCertificate(t *testing.T) {
	f := newFleet(t, rules.Safe())
	ca := newPair(t, "maker", nil, nil)
	twin := newPair(t, "maker", nil, ca.key) // another certificate of the same key and name
	stranger := newPair(t, "maker", nil, nil)
	device := func() *pair { return newPair(t, "device", ca, nil) }
	answer := func(p *pair) string {
		return `{"certificateArn":"` + p.arn() + `","certificateId":"` + p.id() + `"}`
	}
	addCA := func(p *pair) {
		get[struct{}](f, "POST /cacertificate?setAsActive=true", object("caCertificate", p.pem(), "certificateMode", "SNI_ONLY"))
	}
	const path = "POST /certificate/register"
	d1, d2, d3 := device(), device(), device()
	f.run([]call{{"iot", path, object("certificatePem", d1.pem()), 400, "CertificateValidationException"}})
	addCA(ca)
	f.run([]call{
		{"iot", path, object("certificatePem", newPair(t, "device", stranger, nil).pem()), 400, "CertificateValidationException"},
		{"iot", path, object("certificatePem", d1.pem(), "caCertificatePem", stranger.pem()), 400, "CertificateValidationException"},
		{"iot", path + "?setAsActive=true", object("certificatePem", d1.pem()), 200, answer(d1)},
		{"iot", path, object("certificatePem", d1.pem()), 409, "ResourceAlreadyExistsException"},
	})
	addCA(twin)
	addCA(stranger)
	f.run([]call{
		{"iot", path, object("certificatePem", d2.pem()), 409, "CertificateConflictException"},
		{"iot", path, object("certificatePem", d2.pem(), "caCertificatePem", stranger.pem()), 400, "CertificateValidationException"},
		{"iot", path, object("certificatePem", d2.pem(), "caCertificatePem", ca.pem(), "status", "ACTIVE"), 200, answer(d2)},
		{"iot", "PUT /cacertificate/" + ca.id() + "?newStatus=INACTIVE", "", 200, `{}`},
		{"iot", path, object("certificatePem", d3.pem(), "caCertificatePem", ca.pem()), 406, "CertificateStateException"},
	})
	list := func(query string) string {
		_, text := f.do("iot", "GET /certificates-by-ca/"+ca.id()+query, "")
		return normal(text)
	}
	item := func(p *pair) string {
		return `{"certificateArn":"` + p.arn() + `","certificateId":"` + p.id() + `","status":"ACTIVE","certificateMode":"SNI_ONLY","creationDate":T}`
	}
	for query, want := range map[string]string{
		"":                        `{"certificates":[` + item(d1) + "," + item(d2) + `]}`,
		"?isAscendingOrder=false": `{"certificates":[` + item(d2) + "," + item(d1) + `]}`,
	} {
		if got := list(query); got != want {
			t.Errorf("by CA%s\n got %s\nwant %s", query, got, want)
		}
	}
}

// TestMarkers: lists page by marker both ways; a marker has the form that
// models give it, and fits its list only.
func TestMarkers(t *testing.T) {
	f := newFleet(t, rules.Safe())
	var ids []string
	for i := range 30 {
		p := newPair(t, fmt.Sprint("device ", i), nil, nil)
		get[created](f, "POST /certificate/register-no-ca", object("certificatePem", p.pem()))
		ids = append(ids, p.id())
	}
	backwards := make([]string, len(ids))
	for i, id := range ids {
		backwards[len(ids)-1-i] = id
	}
	type page struct {
		Certificates []struct{ CertificateId string }
		NextMarker   string
	}
	form := regexp.MustCompile(`^[A-Za-z0-9+/]+={0,2}$`)
	for _, row := range []struct {
		query string
		pages int
		want  []string
	}{
		{"?", 2, ids},
		{"?pageSize=7", 5, ids},
		{"?pageSize=250", 1, ids},
		{"?pageSize=7&isAscendingOrder=true", 5, ids},
		{"?pageSize=10&isAscendingOrder=false", 3, backwards},
	} {
		var got []string
		pages := 0
		for marker := ""; pages == 0 || marker != ""; pages++ {
			query := row.query
			if marker != "" {
				query += "&marker=" + marker
			}
			p := get[page](f, "GET /certificates"+query, "")
			for _, c := range p.Certificates {
				got = append(got, c.CertificateId)
			}
			if marker = p.NextMarker; marker != "" && !form.MatchString(marker) {
				t.Errorf("marker %q", marker)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(row.want) || pages != row.pages {
			t.Errorf("%s: %d pages of %v\nwant %d of %v", row.query, pages, got, row.pages, row.want)
		}
	}
	marker := get[page](f, "GET /certificates?pageSize=7", "").NextMarker
	f.run([]call{
		{"iot", "GET /certificates?isAscendingOrder=false&marker=" + marker, "", 400, "InvalidRequestException"},
		{"iot", "GET /policies?marker=" + marker, "", 400, "InvalidRequestException"},
		{"iot", "GET /certificates?marker=never", "", 400, "InvalidRequestException"},
		{"iot", "GET /certificates?pageSize=0", "", 400, "InvalidRequestException"},
		{"iot", "GET /certificates?pageSize=251", "", 400, "InvalidRequestException"},
	})
}
