package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
)

// more makes one request for what is missing of a target and appends what
// comes. An error is [update.ErrUnavailable] when another request may do better.
func (f *Fetcher) more(ctx context.Context, t firmware.Target, p *part) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, f.base.JoinPath(t.File()).String(), nil)
	if err != nil {
		return err
	}
	// A length and a hash only mean something for the bytes as they are.
	req.Header.Set("Accept-Encoding", "identity")
	if p.size > 0 && p.etag != "" {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.size))
		req.Header.Set("If-Range", p.etag)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %v", update.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if err := place(resp, t, p); err != nil {
		return err
	}
	watched := watch(resp.Body, f.stall, func() { cancel(errStalled) })
	defer watched.stop()
	if _, err = io.Copy(p, watched); err == nil {
		return nil
	}
	if watched.failed {
		// The body ended early: the next request goes on from here.
		return fmt.Errorf("%w: %v", update.ErrUnavailable, errors.Join(err, context.Cause(ctx)))
	}
	return err
}

// place decides where the body of a response goes: behind what there is, or
// in its place.
func place(resp *http.Response, t firmware.Target, p *part) error {
	switch code := resp.StatusCode; {
	case code == http.StatusPartialContent:
		if from, total, ok := contentRange(resp); !ok || from != p.size || total != t.Length {
			return errors.Join(fmt.Errorf("%w: the server sent another range than was asked for", update.ErrUnavailable), p.restart())
		}
		return nil
	case code == http.StatusOK:
		if resp.ContentLength > t.Length {
			return errTooLong
		}
		if resp.ContentLength >= 0 && resp.ContentLength < t.Length {
			return fmt.Errorf("the server's file has %d bytes, the signed one %d", resp.ContentLength, t.Length)
		}
		if p.size > 0 {
			if err := p.restart(); err != nil {
				return err
			}
		}
		return p.from(resp.Header.Get("ETag"))
	case code == http.StatusRequestedRangeNotSatisfiable:
		return errors.Join(fmt.Errorf("%w: the server has nothing at %d", update.ErrUnavailable, p.size), p.restart())
	case code >= 400 && code < 500 && !later(code):
		return fmt.Errorf("the server answers %s", resp.Status)
	default:
		return fmt.Errorf("%w: %s", update.ErrUnavailable, resp.Status)
	}
}

// later reports whether a refusal may be another one later: too many
// requests, or credentials that are being renewed.
func later(code int) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return false
}

// contentRange reads "bytes FROM-TO/TOTAL".
func contentRange(resp *http.Response) (from, total int64, ok bool) {
	rest, found := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes ")
	span, size, cut := strings.Cut(rest, "/")
	first, _, dash := strings.Cut(span, "-")
	if !found || !cut || !dash {
		return 0, 0, false
	}
	from, err1 := strconv.ParseInt(first, 10, 64)
	total, err2 := strconv.ParseInt(size, 10, 64)
	return from, total, err1 == nil && err2 == nil
}

// errStalled is that a body brought nothing for too long.
var errStalled = errors.New("the download stalled")

// watched is a body that is given up when nothing comes.
type watched struct {
	body   io.Reader
	timer  *time.Timer
	after  time.Duration
	failed bool // the body, not the file, ended the copy
}

func watch(body io.Reader, after time.Duration, giveUp func()) *watched {
	return &watched{body: body, after: after, timer: time.AfterFunc(after, giveUp)}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.body.Read(p)
	if n > 0 {
		w.timer.Reset(w.after)
	}
	w.failed = err != nil && err != io.EOF
	return n, err
}

func (w *watched) stop() { w.timer.Stop() }

// ErrNotFound is that the repository has no such file, or does not show it.
var ErrNotFound = errors.New("not in the repository")

// Get reads a small file of the repository. A file that is longer than
// maxBytes is an error.
func (f *Fetcher) Get(ctx context.Context, name string, maxBytes int64) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, f.base.JoinPath(name).String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", update.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound, code == http.StatusForbidden, code == http.StatusGone:
		return nil, ErrNotFound
	case code != http.StatusOK:
		return nil, fmt.Errorf("%w: %s", update.ErrUnavailable, resp.Status)
	}
	body := watch(resp.Body, f.stall, func() { cancel(errStalled) })
	defer body.stop()
	data, err := io.ReadAll(io.LimitReader(body, maxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %v", update.ErrUnavailable, errors.Join(err, context.Cause(ctx)))
	case int64(len(data)) > maxBytes:
		return nil, fmt.Errorf("%s is longer than %d bytes", name, maxBytes)
	}
	return data, nil
}
