// Package sigv4 reads and verifies AWS Signature Version 4 as clients of AWS
// IoT send it: in the Authorization header or, presigned, in the query (AWS
// IoT reference 1.2). It owns nothing and knows no users: the caller finds
// the secret of an access key and decides what an unsigned request may do.
package sigv4

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeForm   = "20060102T150405Z"
	// MaxSkew is how far the time of a signature may be from the server's.
	MaxSkew = 5 * time.Minute
	// maxExpires bounds the life of a presigned request, as AWS does.
	maxExpires = 7 * 24 * time.Hour
)

// The exceptions of the front end, by the names that AWS gives them. All of
// them are answered with 403.
const (
	MissingAuthenticationToken = "MissingAuthenticationTokenException"
	IncompleteSignature        = "IncompleteSignatureException"
	InvalidSignature           = "InvalidSignatureException"
	RequestExpired             = "RequestExpired"
	UnrecognizedClient         = "UnrecognizedClientException"
)

// Error says why a request is not accepted. Type is one of the exceptions.
type Error struct{ Type, Message string }

func (e *Error) Error() string { return e.Message }

// Scope is the credential scope: what the signing key is good for.
type Scope struct{ Date, Region, Service string }

// Signature is what a request says about who signed it, and how.
type Signature struct {
	AccessKey string
	Scope     Scope
	// Time is when the request was signed; zero if it says nothing readable.
	Time time.Time
	// SignedHeaders are lower-case names in the order given.
	SignedHeaders []string
	Signature     string
	SessionToken  string
	// Presigned says that the signature came in the query; it is then valid
	// for Expires from Time on.
	Presigned bool
	Expires   time.Duration
}

// Parse reads the signature of a request without verifying it. A request that
// carries none is answered with nil and no error.
func Parse(r *http.Request) (*Signature, error) {
	header := r.Header.Get("Authorization")
	if strings.HasPrefix(header, algorithm) {
		return parseHeader(r, header)
	}
	if query := r.URL.Query(); query.Get("X-Amz-Algorithm") == algorithm {
		return parseQuery(query)
	}
	if header != "" {
		return nil, &Error{IncompleteSignature, "the Authorization header is not of the form " + algorithm + " Credential=..., SignedHeaders=..., Signature=..."}
	}
	return nil, nil
}

func parseHeader(r *http.Request, header string) (*Signature, error) {
	fields := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(header, algorithm), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	s := &Signature{Signature: fields["Signature"], SessionToken: r.Header.Get("X-Amz-Security-Token")}
	s.Time = signingTime(r)
	return s, s.fill(fields["Credential"], fields["SignedHeaders"])
}

// signingTime takes X-Amz-Date or, as the specification allows, Date.
func signingTime(r *http.Request) time.Time {
	if t, err := time.Parse(timeForm, r.Header.Get("X-Amz-Date")); err == nil {
		return t
	}
	t, _ := http.ParseTime(r.Header.Get("Date"))
	return t
}

func parseQuery(query url.Values) (*Signature, error) {
	s := &Signature{
		Signature: query.Get("X-Amz-Signature"), SessionToken: query.Get("X-Amz-Security-Token"), Presigned: true,
	}
	s.Time, _ = time.Parse(timeForm, query.Get("X-Amz-Date"))
	seconds, err := time.ParseDuration(query.Get("X-Amz-Expires") + "s")
	if err != nil || seconds < 0 || seconds > maxExpires {
		return nil, &Error{IncompleteSignature, "X-Amz-Expires must be a number of seconds up to 604800"}
	}
	s.Expires = seconds
	return s, s.fill(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"))
}

// fill reads AKID/20250301/us-east-1/iot/aws4_request; an access key may
// itself contain slashes.
func (s *Signature) fill(credential, signedHeaders string) error {
	part := strings.Split(credential, "/")
	n := len(part)
	if n < 5 || part[n-1] != terminator {
		return &Error{IncompleteSignature, "the credential must be of the form KEY/DATE/REGION/SERVICE/" + terminator}
	}
	s.AccessKey = strings.Join(part[:n-4], "/")
	s.Scope = Scope{Date: part[n-4], Region: part[n-3], Service: part[n-2]}
	s.SignedHeaders = strings.Split(strings.ToLower(signedHeaders), ";")
	if s.AccessKey == "" || s.Scope.Date == "" || s.Scope.Region == "" || s.Scope.Service == "" {
		return &Error{IncompleteSignature, "the credential names no access key, date, region or service"}
	}
	if signedHeaders == "" || s.Signature == "" {
		return &Error{IncompleteSignature, "SignedHeaders or Signature is missing"}
	}
	return nil
}
