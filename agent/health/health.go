// Package health finds out whether a new version works before it is
// committed: it runs the device's own check again and again until it has
// passed for long enough or the time is over. It owns the pacing; what the
// check is comes from the device's local configuration, never from a job.
package health

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-iot/muster/internal/pause"
)

// Check is one look at the new version; nil is healthy.
type Check func(ctx context.Context) error

// Window says how long to look. Zero fields take the defaults.
type Window struct {
	// Timeout is how long the version has to become healthy. Default 120 s.
	Timeout time.Duration
	// Stable is how long it has to stay healthy without a failed look.
	// Default 0: the first good look is enough.
	Stable time.Duration
	// Interval is the pause between looks. Default 1 s.
	Interval time.Duration
}

// ErrUnhealthy is that the version did not become healthy in time.
var ErrUnhealthy = errors.New("not healthy")

// Wait looks until the check has passed for Stable, and fails with
// [ErrUnhealthy] and the last finding when that has not happened within
// Timeout. A nil check is always healthy.
func Wait(ctx context.Context, check Check, w Window) error {
	if check == nil {
		return ctx.Err()
	}
	w = w.withDefaults()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	var last error
	for healthy := (time.Time{}); ; {
		err := check(ctx)
		switch {
		case err == nil && healthy.IsZero():
			healthy = time.Now()
		case err != nil:
			healthy, last = time.Time{}, err
		}
		if !healthy.IsZero() && time.Since(healthy) >= w.Stable {
			return nil
		}
		if !pause.For(ctx, w.Interval) {
			return unhealthy(ctx, last, time.Since(begun))
		}
	}
}

func (w Window) withDefaults() Window {
	if w.Timeout <= 0 {
		w.Timeout = 120 * time.Second
	}
	if w.Interval <= 0 {
		w.Interval = time.Second
	}
	return w
}

func unhealthy(ctx context.Context, last error, after time.Duration) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	if last == nil {
		last = errors.New("it was not healthy for long enough")
	}
	return fmt.Errorf("%w after %s: %w", ErrUnhealthy, after.Round(time.Millisecond), last)
}
