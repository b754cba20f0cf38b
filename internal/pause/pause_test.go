package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/internal/pause"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if !pause.For(t.Context(), time.Minute) || time.Since(begun) != time.Minute {
			t.Errorf("waited %s of a minute", time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		if pause.For(ctx, time.Minute) || time.Since(begun) != time.Second {
			t.Errorf("an interrupted pause took %s", time.Since(begun))
		}
		if pause.For(ctx, 0) || !pause.For(t.Context(), -1) {
			t.Error("no pause must only tell whether it is still wanted")
		}
	})
}
