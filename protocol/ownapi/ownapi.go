// Package ownapi is what both ends of Muster's own HTTP surface, under
// /muster/v1/, agree on: how an error looks, and how a request is sent and its
// answer read. What is asked belongs to the packages that serve it.
package ownapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/muster-iot/muster/protocol"
)

// Failure is the body of an answer that is an error.
type Failure struct {
	Code    protocol.Code `json:"code"`
	Message string        `json:"message"`
}

// Server is a server to ask.
type Server struct {
	// URL is the server's, as "http://127.0.0.1:8080".
	URL string
	// HTTP sends the requests; nil means a plain client.
	HTTP *http.Client
}

// Request is what a server is asked.
type Request struct {
	Method, Path string
	Body         io.Reader // nil is none
	Length       int64     // of the body, in bytes; 0 is unknown
	// Most bounds the bytes that are read of the answer.
	Most int64
}

// Do sends a request and decodes its answer, unless into is nil. An error
// answer becomes the server's own [protocol.Error]; other errors say that there
// was no answer of a Muster server.
func (s Server) Do(ctx context.Context, r Request, into any) error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return protocol.Errorf(protocol.InvalidRequest, "server %q is not a URL such as http://127.0.0.1:8080", s.URL)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, strings.TrimRight(u.String(), "/")+r.Path, r.Body)
	if err != nil {
		return fmt.Errorf("cannot ask the server: %w", err)
	}
	if r.Length > 0 {
		req.ContentLength = r.Length
	}
	client := s.HTTP
	if client == nil {
		client = &http.Client{}
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("cannot reach the server: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, r.Most))
	if err != nil {
		return fmt.Errorf("cannot read the server's answer: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return s.refused(resp.Status, text)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s does not answer like a Muster server: %w", s.URL, err)
	}
	return nil
}

// refused is the error of an answer that is none.
func (s Server) refused(status string, text []byte) error {
	var f Failure
	if json.Unmarshal(text, &f) != nil || f.Code == "" || f.Message == "" {
		return fmt.Errorf("%s does not answer like a Muster server: %s", s.URL, status)
	}
	return &protocol.Error{Code: f.Code, Message: f.Message}
}
