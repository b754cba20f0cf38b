package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/protocol"
)

// Client is the operator's end of a repository on a server.
type Client struct {
	// URL is the server's, as "http://127.0.0.1:8080".
	URL string
	// HTTP sends the requests; nil means a plain client.
	HTTP *http.Client
}

// Workspace is what the client publishes from; package sign has it.
type Workspace interface {
	Releases() ([]firmware.Target, error)
	OpenArtifact(t firmware.Target) (io.ReadCloser, error)
	Bundle() (firmware.Bundle, error)
}

// Status asks for the server's online key and published roles.
func (c Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.do(ctx, http.MethodGet, apiPath, nil, 0, &s)
	return s, err
}

// Publish uploads the artifacts that the server lacks, then the metadata.
// uploaded lists the targets whose artifacts were sent.
func (c Client) Publish(ctx context.Context, w Workspace) (s Status, uploaded []firmware.Target, err error) {
	list, err := w.Releases()
	if err != nil {
		return s, nil, err
	}
	for _, t := range list {
		sent, err := c.upload(ctx, w, t)
		if err != nil {
			return s, uploaded, err
		}
		if sent {
			uploaded = append(uploaded, t)
		}
	}
	b, err := w.Bundle()
	if err != nil {
		return s, uploaded, err
	}
	body, err := json.Marshal(b)
	if err != nil {
		return s, uploaded, fmt.Errorf("cannot publish: %w", err)
	}
	err = c.do(ctx, http.MethodPost, publishPath, bytes.NewReader(body), int64(len(body)), &s)
	return s, uploaded, err
}

func (c Client) upload(ctx context.Context, w Workspace, t firmware.Target) (sent bool, err error) {
	at := artifactsPath + t.SHA256.String()
	err = c.do(ctx, http.MethodGet, at, nil, 0, nil)
	if err == nil {
		return false, nil
	}
	if protocol.CodeOf(err) != protocol.NotFound {
		return false, err
	}
	f, err := w.OpenArtifact(t)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return true, c.do(ctx, http.MethodPost, at, f, t.Length, nil)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// do sends one request and decodes its answer. An error answer becomes the
// server's own [protocol.Error].
func (c Client) do(ctx context.Context, method, path string, body io.Reader, length int64, out any) error {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return protocol.Errorf(protocol.InvalidRequest, "server %q is not a URL such as http://127.0.0.1:8080", c.URL)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(u.String(), "/")+path, body)
	if err != nil {
		return fmt.Errorf("cannot reach the server: %w", err)
	}
	req.ContentLength = length
	client := c.HTTP
	if client == nil {
		client = &http.Client{}
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("cannot reach the server: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("cannot read the server's answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		return refused(c.URL, resp, data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s does not answer like a Muster server: %w", c.URL, err)
	}
	return nil
}

func refused(server string, resp *http.Response, data []byte) error {
	var p problem
	if json.Unmarshal(data, &p) != nil || p.Code == "" || p.Message == "" {
		return fmt.Errorf("%s does not answer like a Muster server: %s", server, resp.Status)
	}
	return &protocol.Error{Code: p.Code, Message: p.Message}
}
