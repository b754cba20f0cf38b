// Package awsapi is a small client of the AWS IoT API as far as a simulation
// needs it: plain HTTP and JSON, no AWS SDK, so that what the oracle reads does
// not depend on the server's own types. It owns no state but the server's
// address. Requests carry a credential scope, which names the service, and a
// signature that only a server in development mode takes. Read on in calls.go.
package awsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls one server.
type Client struct {
	base   string
	client *http.Client
}

// New makes a client of the server at a base URL such as http://127.0.0.1:8080.
// A nil HTTP client stands for one with a timeout of 30 s.
func New(base string, client *http.Client) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("server address %q is not an http or https URL", base)
	}
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{IdleConnTimeout: 30 * time.Second}}
	}
	return &Client{base: strings.TrimSuffix(base, "/"), client: client}, nil
}

// Error is a refusal by the server.
type Error struct {
	// Status is the HTTP status, Type the exception such as
	// ResourceNotFoundException.
	Status        int
	Type, Message string
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("the server answers %d %s", e.Status, e.Type)
	}
	return fmt.Sprintf("%s: %s", e.Type, e.Message)
}

// IsNotFound reports whether an error says that something does not exist.
func IsNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound
}

// The services of the API, by their signing names.
const (
	iot     = "iot"
	iotData = "iotdata"
)

// request is one call.
type request struct {
	service, method, path string
	query                 url.Values
	body                  any
	// read says that the request changes nothing, so it may be made again.
	read bool
}

// maxAnswer bounds the body of an answer, in bytes.
const maxAnswer = 16 << 20

// tries is how often a read is made when the server does not answer.
const tries = 5

// call makes a request and reads its answer into a value, or drops it when
// that is nil. Reads are made again for a while when the server does not
// answer, because a simulation may restart it.
func (c *Client) call(ctx context.Context, r request, into any) error {
	for n := 1; ; n++ {
		err := c.once(ctx, r, into)
		refusal, refused := errors.AsType[*Error](err)
		again := err != nil && (r.read || r.method == http.MethodGet) && (!refused || refusal.Status == http.StatusServiceUnavailable)
		if !again || n == tries || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(n) * 200 * time.Millisecond):
		}
	}
}

func (c *Client) once(ctx context.Context, r request, into any) error {
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return fmt.Errorf("cannot encode %s %s: %w", r.method, r.path, err)
		}
		body = bytes.NewReader(data)
	}
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=SIMULATOR/20250101/us-east-1/"+r.service+
		"/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("cannot reach the server: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("cannot read the answer to %s %s: %w", r.method, r.path, err)
	case len(data) > maxAnswer:
		return fmt.Errorf("the answer to %s %s has more than %d bytes", r.method, r.path, maxAnswer)
	case resp.StatusCode >= 300:
		return refusal(resp, data)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("cannot read the answer to %s %s: %w", r.method, r.path, err)
	}
	return nil
}

func refusal(resp *http.Response, data []byte) error {
	var body struct {
		Message string `json:"message"`
	}
	e := &Error{Status: resp.StatusCode, Type: resp.Header.Get("x-amzn-ErrorType")}
	if json.Unmarshal(data, &body) == nil {
		e.Message = body.Message
	}
	e.Type, _, _ = strings.Cut(e.Type, ":")
	if e.Type == "" {
		e.Type = resp.Status
	}
	return e
}

// pages calls for page after page until there is no next one. A token that
// comes twice would never end, so it is an error.
func pages(ctx context.Context, page func(ctx context.Context, token string) (next string, err error)) error {
	seen := map[string]bool{}
	for token := ""; ; {
		next, err := page(ctx, token)
		if err != nil || next == "" {
			return err
		}
		if seen[next] {
			return fmt.Errorf("the server gives page token %q twice", next)
		}
		seen[next] = true
		token = next
	}
}

// Time is a time of the API: seconds since 1970 with a fraction.
type Time struct{ time.Time }

// UnmarshalJSON reads a number of seconds, also in text form.
func (t *Time) UnmarshalJSON(b []byte) error {
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	seconds, err := n.Float64()
	if err != nil {
		return err
	}
	t.Time = time.UnixMilli(int64(seconds*1000 + 0.5))
	return nil
}
