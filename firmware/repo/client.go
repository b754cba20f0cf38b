package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/ownapi"
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

// do sends one request and decodes its answer. An error answer becomes the
// server's own [protocol.Error].
func (c Client) do(ctx context.Context, method, path string, body io.Reader, length int64, out any) error {
	const maxAnswer = 1 << 20
	r := ownapi.Request{Method: method, Path: path, Body: body, Length: length, Most: maxAnswer}
	return ownapi.Server{URL: c.URL, HTTP: c.HTTP}.Do(ctx, r, out)
}
