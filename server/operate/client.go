package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/ownapi"
)

// Client is the operator's end. The errors of its methods are the server's
// own, as *protocol.Error, or say that there was no answer of a server.
type Client struct {
	// URL is the server's, as "http://127.0.0.1:8080".
	URL string
	// HTTP sends the requests; nil means a plain client.
	HTTP *http.Client
}

// Group describes a thing group.
func (c Client) Group(ctx context.Context, name protocol.ThingGroupName) (g Group, err error) {
	return g, c.do(ctx, http.MethodGet, groupPath(name), nil, &g)
}

// Membership says why a thing is, or is not, in a thing group.
func (c Client) Membership(ctx context.Context, name protocol.ThingGroupName, thing protocol.ThingName) (m Membership, err error) {
	return m, c.do(ctx, http.MethodGet, groupPath(name)+"/things/"+url.PathEscape(string(thing)), nil, &m)
}

// PreviewQuery says what a query would match.
func (c Client) PreviewQuery(ctx context.Context, ask QueryQuestion) (a QueryAnswer, err error) {
	return a, c.do(ctx, http.MethodPost, "/muster/v1/preview/query", ask, &a)
}

// PreviewChange says what a change of a thing would do.
func (c Client) PreviewChange(ctx context.Context, ask ChangeQuestion) (a ChangeAnswer, err error) {
	return a, c.do(ctx, http.MethodPost, "/muster/v1/preview/change", ask, &a)
}

// SetGroup sets what Muster adds to a dynamic thing group.
func (c Client) SetGroup(ctx context.Context, name protocol.ThingGroupName, s GroupSettings) (g Group, err error) {
	return g, c.do(ctx, http.MethodPut, groupPath(name), s, &g)
}

func groupPath(name protocol.ThingGroupName) string {
	return "/muster/v1/groups/" + url.PathEscape(string(name))
}

// do sends one request, with body as JSON unless it is nil, and decodes the answer.
func (c Client) do(ctx context.Context, method, path string, body, into any) error {
	const maxAnswer = 64 << 20
	r := ownapi.Request{Method: method, Path: path, Most: maxAnswer}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("cannot ask the server: %w", err)
		}
		r.Body = bytes.NewReader(text)
	}
	return ownapi.Server{URL: c.URL, HTTP: c.HTTP}.Do(ctx, r, into)
}
