// Package fetch brings signed targets from the server onto a device's disk:
// resumable, hashed while it is written, bounded in length by the signed
// size, durable before it counts. It owns the download folder, in which each
// target has one file named by its hash: <sha256>.part while it grows, with
// the server's ETag beside it in <sha256>.etag, and <sha256> once it is
// complete. It trusts neither the server nor what an earlier start left: only
// the hash of the whole file decides.
package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/internal/pause"
)

// Config makes a [Fetcher].
type Config struct {
	// BaseURL is the repository: http://server:port/tuf/. Required.
	BaseURL string
	// Dir is the download folder; it is made when it is missing. Required.
	Dir string
	// Client makes the requests; it may be shared by many fetchers. Default:
	// one with no more than one idle connection.
	Client *http.Client
	// Retries is how often a request that gets no answer is made again before
	// the agent's own, longer pauses take over. Default 4; -1 is none.
	Retries int
	// RetryMin and RetryMax bound the pauses between them. Default 1 s, 30 s.
	RetryMin, RetryMax time.Duration
	// Stall ends a request whose body brings nothing for so long. Default 60 s.
	Stall time.Duration
	// Logger takes retried requests. Default: nothing is logged.
	Logger *slog.Logger
}

// Fetcher downloads targets of one repository. It is used for one at a time.
type Fetcher struct {
	base   *url.URL
	dir    string
	client *retryablehttp.Client
	stall  time.Duration
}

// New checks the configuration. It touches nothing.
func New(cfg Config) (*Fetcher, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("repository address %q is not an http or https URL", cfg.BaseURL)
	}
	if cfg.Dir == "" {
		return nil, errors.New("a fetcher needs a folder")
	}
	if base.Path == "" || base.Path[len(base.Path)-1] != '/' {
		base.Path += "/"
	}
	return &Fetcher{base: base, dir: cfg.Dir, client: newClient(cfg), stall: orDefault(cfg.Stall, 60*time.Second)}, nil
}

// newClient makes the retrying client: quiet, with full jitter.
func newClient(cfg Config) *retryablehttp.Client {
	c := &retryablehttp.Client{
		HTTPClient:   cfg.Client,
		RetryMax:     cfg.Retries,
		RetryWaitMin: orDefault(cfg.RetryMin, time.Second),
		RetryWaitMax: orDefault(cfg.RetryMax, 30*time.Second),
		CheckRetry:   retryablehttp.ErrorPropagatedRetryPolicy,
		Backoff:      jitter,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second, TLSHandshakeTimeout: 30 * time.Second,
		}}
	}
	switch {
	case cfg.Retries == 0:
		c.RetryMax = 4
	case cfg.Retries < 0:
		c.RetryMax = 0
	}
	if cfg.Logger != nil {
		c.Logger = retryablehttp.LeveledLogger(quiet{cfg.Logger})
	}
	return c
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// jitter draws each pause evenly from what exponential backoff allows; a
// server that says Retry-After is waited for, within the bound.
func jitter(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
	bound := min(retryablehttp.DefaultBackoff(least, most, attempt, resp), most)
	if bound <= 0 {
		return 0
	}
	return rand.N(bound) + 1
}

// quiet logs a client's retries and nothing else.
type quiet struct{ log *slog.Logger }

func (q quiet) Error(msg string, kv ...any) { q.log.Info(msg, kv...) }
func (q quiet) Warn(msg string, kv ...any)  { q.log.Info(msg, kv...) }
func (q quiet) Info(string, ...any)         {}
func (q quiet) Debug(string, ...any)        {}

// File returns where a fetched target is.
func (f *Fetcher) File(t firmware.Target) string { return filepath.Join(f.dir, t.SHA256.String()) }

// Remove deletes what there is of a target.
func (f *Fetcher) Remove(t firmware.Target) error {
	var errs []error
	for _, ext := range []string{"", ".part", ".etag"} {
		if err := os.Remove(f.File(t) + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Verify hashes the fetched file again. One that is not what was signed is
// deleted.
func (f *Fetcher) Verify(ctx context.Context, t firmware.Target) error {
	file, err := os.Open(f.File(t))
	if err != nil {
		return fmt.Errorf("cannot verify %s: %w", t.Path, err)
	}
	defer file.Close()
	sum, n, err := digest(ctx, file)
	switch {
	case err != nil:
		return fmt.Errorf("cannot verify %s: %w", t.Path, err)
	case n != t.Length || sum != t.SHA256:
		return errors.Join(fmt.Errorf("the staged file of %s is not the signed one", t.Path), f.Remove(t))
	}
	return nil
}

// Fetch downloads a target. It goes on with what an earlier call left, and
// returns [update.ErrUnavailable] when the server does not deliver for now:
// what has arrived is kept.
func (f *Fetcher) Fetch(ctx context.Context, t firmware.Target) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the download folder: %w", err)
	}
	if info, err := os.Stat(f.File(t)); err == nil && info.Size() == t.Length {
		return nil // complete; it is hashed again before it is used
	}
	// A part that turns out wrong may have been wrong before this call: it
	// gets one more chance from the beginning.
	err := f.attempt(ctx, t)
	if errors.Is(err, errWrong) && ctx.Err() == nil {
		err = f.attempt(ctx, t)
	}
	return err
}

var (
	// errWrong is that the bytes are not the signed ones. They are deleted.
	errWrong = errors.New("the download is not the signed file")
	// errTooLong is that the server sends more than was signed.
	errTooLong = errors.New("the server sends more than the signed length")
)

const (
	// progress is what a request has to bring to count as one, in bytes.
	progress = 64 << 10
	// maxIdle is how many requests in a row may bring less.
	maxIdle = 3
)

// wait pauses before the next request.
func (f *Fetcher) wait(ctx context.Context, attempt int) bool {
	return pause.For(ctx, jitter(f.client.RetryWaitMin, f.client.RetryWaitMax, attempt-1, nil))
}

// attempt downloads until the file is complete, wrong, or the server stops
// making progress.
func (f *Fetcher) attempt(ctx context.Context, t firmware.Target) error {
	p, err := openPart(ctx, f.File(t), t)
	if err != nil {
		return err
	}
	defer p.close()
	for idle := 0; p.size < t.Length; {
		before := p.size
		err := f.more(ctx, t, p)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errTooLong):
			return errors.Join(fmt.Errorf("cannot download %s: %w", t.Path, err), p.discard())
		case err != nil && !errors.Is(err, update.ErrUnavailable):
			return fmt.Errorf("cannot download %s: %w", t.Path, err)
		case p.size-before >= progress:
			idle = 0
			continue
		}
		// Little or nothing came, or what there was had to be thrown away.
		if idle++; idle >= maxIdle && p.size < t.Length {
			return fmt.Errorf("cannot download %s: %w", t.Path, cmp.Or(err, update.ErrUnavailable))
		}
		if p.size < t.Length && !f.wait(ctx, idle) {
			return ctx.Err()
		}
	}
	if p.sum() != t.SHA256 {
		return errors.Join(fmt.Errorf("cannot download %s: %w", t.Path, errWrong), p.discard())
	}
	return p.complete()
}
