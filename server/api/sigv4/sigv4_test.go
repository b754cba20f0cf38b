package sigv4_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/muster-iot/muster/server/api/sigv4"
)

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

var at = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

// signed makes a request, lets AWS's own signer sign it and returns it as a
// server sees it.
func signed(t *testing.T, method, url, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	credentials := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, r, hash(body), "iot", "us-east-1", at); err != nil {
		t.Fatal(err)
	}
	return asServed(r)
}

func asServed(r *http.Request) *http.Request {
	served := httptest.NewRequest(r.Method, r.URL.String(), nil)
	served.Header, served.Host, served.ContentLength = r.Header, r.URL.Host, r.ContentLength
	return served
}

func hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func TestVerifyAcceptsWhatTheSDKSigns(t *testing.T) {
	for _, row := range []struct {
		name, method, url, body string
		headers                 []string
	}{
		{"plain", "GET", "http://127.0.0.1:8080/things", "", nil},
		{"query to sort", "GET", "http://h/things?maxResults=5&attributeName=b%20c&attributeName=a&nextToken=a%2Bb%3D%3D", "", nil},
		{"query without value", "GET", "http://h/things?a&b=", "", nil},
		{"escaped label", "POST", "http://h/attached-policies/arn%3Aaws%3Aiot%3Aeu-north-1%3A1%3Athing%2Fabc", "", nil},
		{"dollar in label", "PUT", "http://h/things/T/jobs/$next", `{"stepTimeoutInMinutes":5}`, nil},
		{"escaped dollar", "GET", "http://h/things/T/jobs/%24next", "", nil},
		{"body", "POST", "http://h/things/pump-17", `{"attributePayload":{"attributes":{"a":"ü"}}}`, []string{"Content-Type", "application/json"}},
		{"spaces in header", "PUT", "http://h/things/T/principals", "", []string{"X-Amzn-Principal", "  a   b  "}},
		{"repeated header", "GET", "http://h/things", "", []string{"X-Amz-Meta", "a", "X-Amz-Meta", "b"}},
		{"no path", "GET", "http://h", "", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := signed(t, row.method, row.url, row.body, row.headers...)
			s, err := sigv4.Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			if s.AccessKey != "AKIDEXAMPLE" || s.Scope != (sigv4.Scope{Date: "20250301", Region: "us-east-1", Service: "iot"}) || s.Presigned {
				t.Errorf("parsed %+v", s)
			}
			if err := s.Verify(r, []byte(row.body), secret, at.Add(time.Minute)); err != nil {
				t.Errorf("right secret: %v", err)
			}
			wantType(t, s.Verify(r, []byte(row.body), secret+"x", at), sigv4.InvalidSignature)
			wantType(t, s.Verify(r, []byte(row.body+" "), secret, at), sigv4.InvalidSignature)
		})
	}
}

func TestVerifyPresigned(t *testing.T) {
	r, _ := http.NewRequest("GET", "http://h/things?maxResults=5&X-Amz-Expires=60", nil)
	credentials := aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: secret, SessionToken: "token+/="}
	url, _, err := v4.NewSigner().PresignHTTP(context.Background(), credentials, r, hash(""), "iot", "eu-north-1", at)
	if err != nil {
		t.Fatal(err)
	}
	r = httptest.NewRequest("GET", url, nil)
	r.Host = "h"
	s, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Presigned || s.Expires != time.Minute || s.SessionToken != "token+/=" || s.Scope.Region != "eu-north-1" {
		t.Errorf("parsed %+v", s)
	}
	if err := s.Verify(r, nil, secret, at.Add(59*time.Second)); err != nil {
		t.Error(err)
	}
	wantType(t, s.Verify(r, nil, secret, at.Add(61*time.Second)), sigv4.RequestExpired)
}

func TestVerifyRefuses(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*http.Request)
		now    time.Time
		want   string
	}{
		{"clock of the client is behind", func(*http.Request) {}, at.Add(6 * time.Minute), sigv4.RequestExpired},
		{"clock of the client is ahead", func(*http.Request) {}, at.Add(-6 * time.Minute), sigv4.RequestExpired},
		{"other host", func(r *http.Request) { r.Host = "other" }, at, sigv4.InvalidSignature},
		{"other method", func(r *http.Request) { r.Method = "DELETE" }, at, sigv4.InvalidSignature},
		{"added parameter", func(r *http.Request) { r.URL.RawQuery = "force=true" }, at, sigv4.InvalidSignature},
		{"added header", func(r *http.Request) { r.Header.Set("X-Amz-Extra", "1") }, at, sigv4.IncompleteSignature},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, at, sigv4.IncompleteSignature},
		{"date of another day", func(r *http.Request) { r.Header.Set("X-Amz-Date", "20250302T000000Z") }, at, sigv4.InvalidSignature},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := signed(t, "GET", "http://h/things", "")
			row.change(r)
			s, err := sigv4.Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			wantType(t, s.Verify(r, nil, secret, row.now), row.want)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A/20250301/r/iot/aws4_request&X-Amz-SignedHeaders=host&X-Amz-Signature=00&X-Amz-Expires="
	for _, row := range []struct{ name, header, query string }{
		{"bearer token", "Bearer abc", ""},
		{"nothing after the algorithm", "AWS4-HMAC-SHA256", ""},
		{"credential too short", "AWS4-HMAC-SHA256 Credential=A/B, SignedHeaders=host, Signature=00", ""},
		{"credential without terminator", "AWS4-HMAC-SHA256 Credential=A/20250301/r/iot/aws3, SignedHeaders=host, Signature=00", ""},
		{"empty access key", "AWS4-HMAC-SHA256 Credential=/20250301/r/iot/aws4_request, SignedHeaders=host, Signature=00", ""},
		{"empty region", "AWS4-HMAC-SHA256 Credential=A/20250301//iot/aws4_request, SignedHeaders=host, Signature=00", ""},
		{"no signed headers", "AWS4-HMAC-SHA256 Credential=A/20250301/r/iot/aws4_request, Signature=00", ""},
		{"no signature", "AWS4-HMAC-SHA256 Credential=A/20250301/r/iot/aws4_request, SignedHeaders=host", ""},
		{"presigned without expiry", "", query},
		{"presigned for too long", "", query + "604801"},
		{"presigned for negative time", "", query + "-1"},
		{"presigned with a unit", "", query + "1h"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/things?"+row.query, nil)
			if row.header != "" {
				r.Header.Set("Authorization", row.header)
			}
			_, err := sigv4.Parse(r)
			wantType(t, err, sigv4.IncompleteSignature)
		})
	}
	if s, err := sigv4.Parse(httptest.NewRequest("GET", "/things", nil)); s != nil || err != nil {
		t.Errorf("an unsigned request: got %v, %v", s, err)
	}
}

func wantType(t *testing.T, err error, want string) {
	t.Helper()
	refusal, ok := errors.AsType[*sigv4.Error](err)
	if !ok || refusal.Type != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// FuzzSignature feeds arbitrary signatures: none may panic, and none may verify.
func FuzzSignature(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20250301/r/iot/aws4_request, SignedHeaders=host, Signature=00", "a=b&%zz", "/x%2Fy")
	f.Add("", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A/20250301/r/iot/aws4_request&X-Amz-SignedHeaders=host&X-Amz-Signature=00&X-Amz-Expires=1", "/")
	f.Fuzz(func(t *testing.T, header, query, path string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery, r.URL.Path = query, path
		r.Header.Set("Authorization", header)
		r.Header.Set("X-Amz-Date", "20250301T120000Z")
		s, err := sigv4.Parse(r)
		if err != nil || s == nil {
			return
		}
		if s.Verify(r, nil, secret, at) == nil {
			t.Fatalf("%s verified", fmt.Sprint(s))
		}
	})
}
