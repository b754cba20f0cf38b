// Package pause waits for a while, or until it is not wanted any more. It owns
// nothing and reads no clock but the timer's.
package pause

import (
	"context"
	"time"
)

// For waits for d and reports whether it was not interrupted by the end of
// ctx. A d of 0 or less waits for nothing.
func For(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
