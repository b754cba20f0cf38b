package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonicalRequest writes a request the way both sides hash it.
func canonicalRequest(r *http.Request, s *Signature, body []byte) string {
	hashed := sha256.Sum256(body)
	return strings.Join([]string{
		r.Method,
		canonicalPath(r.URL.EscapedPath()),
		canonicalQuery(r.URL.RawQuery),
		canonicalHeaders(r, s.SignedHeaders),
		strings.Join(s.SignedHeaders, ";"),
		hex.EncodeToString(hashed[:]),
	}, "\n")
}

// canonicalPath escapes the already escaped path once more, as every AWS
// service but S3 does. Dot segments and doubled slashes stay: an AWS label
// never makes them.
func canonicalPath(escaped string) string {
	if escaped == "" {
		return "/"
	}
	segments := strings.Split(escaped, "/")
	for i, segment := range segments {
		segments[i] = escape(segment)
	}
	return strings.Join(segments, "/")
}

// canonicalQuery sorts the parameters by their escaped name and value and
// leaves out the signature itself.
func canonicalQuery(raw string) string {
	var pairs [][2]string
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, value = reescape(name), reescape(value)
		if pair != "" && name != "X-Amz-Signature" {
			pairs = append(pairs, [2]string{name, value})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	joined := make([]string, len(pairs))
	for i, pair := range pairs {
		joined[i] = pair[0] + "=" + pair[1]
	}
	return strings.Join(joined, "&")
}

// reescape brings an escaped query part into the one canonical escaping.
func reescape(part string) string {
	plain, err := url.QueryUnescape(part)
	if err != nil {
		return escape(part)
	}
	return escape(plain)
}

// canonicalHeaders writes one "name:value" line for each signed header, with
// inner runs of blanks squeezed.
func canonicalHeaders(r *http.Request, names []string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	return b.String()
}

// headerValue knows the headers that net/http keeps outside the header map.
func headerValue(r *http.Request, name string) string {
	switch {
	case name == "host":
		return r.Host
	case name == "content-length" && r.ContentLength >= 0:
		return strconv.FormatInt(r.ContentLength, 10)
	}
	values := r.Header.Values(name)
	squeezed := make([]string, len(values))
	for i, value := range values {
		squeezed[i] = strings.Join(strings.Fields(value), " ")
	}
	return strings.Join(squeezed, ",")
}

// escape is URI escaping of all but the unreserved characters of RFC 3986.
func escape(s string) string {
	const upper = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upper[c>>4])
		b.WriteByte(upper[c&15])
	}
	return b.String()
}
