package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/muster-iot/muster/protocol"
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

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// do sends one request, with body as JSON unless it is nil, and decodes the answer.
func (c Client) do(ctx context.Context, method, path string, body, into any) error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return protocol.Errorf(protocol.InvalidRequest, "server %q is not a URL such as http://127.0.0.1:8080", c.URL)
	}
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("cannot ask the server: %w", err)
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(u.String(), "/")+path, sent)
	if err != nil {
		return fmt.Errorf("cannot ask the server: %w", err)
	}
	client := c.HTTP
	if client == nil {
		client = &http.Client{}
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("cannot reach the server: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("cannot read the server's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return refused(c.URL, resp.Status, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s does not answer like a Muster server: %w", c.URL, err)
	}
	return nil
}

// refused is the error of an answer that is none.
func refused(server, status string, text []byte) error {
	var f failure
	if json.Unmarshal(text, &f) != nil || f.Code == "" || f.Message == "" {
		return fmt.Errorf("%s does not answer like a Muster server: %s", server, status)
	}
	return &protocol.Error{Code: f.Code, Message: f.Message}
}
