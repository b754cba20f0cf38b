package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Verify reports whether secret made the signature of r, whose whole body is
// given, and whether it may be used at now. The error is an [Error].
func (s *Signature) Verify(r *http.Request, body []byte, secret string, now time.Time) error {
	if err := s.checkTime(now); err != nil {
		return err
	}
	if err := s.checkHeaders(r); err != nil {
		return err
	}
	want := s.compute(canonicalRequest(r, s, body), secret)
	got, err := hex.DecodeString(s.Signature)
	if err != nil || !hmac.Equal(got, want) {
		return &Error{InvalidSignature, "the request signature does not match the one computed with the secret of access key " + s.AccessKey}
	}
	return nil
}

func (s *Signature) checkTime(now time.Time) error {
	if s.Time.IsZero() {
		return &Error{IncompleteSignature, "the request has no readable X-Amz-Date"}
	}
	if s.Time.UTC().Format("20060102") != s.Scope.Date {
		return &Error{InvalidSignature, "the date of the credential scope is not that of the request"}
	}
	after := MaxSkew
	if s.Presigned {
		after = s.Expires
	}
	if age := now.Sub(s.Time); age > after || age < -MaxSkew {
		return &Error{RequestExpired, fmt.Sprintf("the request was signed at %s and may not be used at %s: check the clock of the client",
			s.Time.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))}
	}
	return nil
}

// checkHeaders insists on what makes a signature worth something: the host,
// and every X-Amz header that is there, must be signed.
func (s *Signature) checkHeaders(r *http.Request) error {
	if !slices.Contains(s.SignedHeaders, "host") {
		return &Error{IncompleteSignature, "the host header must be signed"}
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !slices.Contains(s.SignedHeaders, lower) {
			return &Error{IncompleteSignature, "header " + lower + " must be signed"}
		}
	}
	return nil
}

// compute returns the signature of the canonical request.
func (s *Signature) compute(canonical, secret string) []byte {
	scope := s.Scope.Date + "/" + s.Scope.Region + "/" + s.Scope.Service + "/" + terminator
	hashed := sha256.Sum256([]byte(canonical))
	text := algorithm + "\n" + s.Time.UTC().Format(timeForm) + "\n" + scope + "\n" + hex.EncodeToString(hashed[:])
	key := []byte("AWS4" + secret)
	for _, step := range []string{s.Scope.Date, s.Scope.Region, s.Scope.Service, terminator, text} {
		key = mac(key, step)
	}
	return key
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
