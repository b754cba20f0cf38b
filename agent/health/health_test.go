package health_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/agent/health"
)

func TestWait(t *testing.T) {
	sick := errors.New("sick")
	for _, row := range []struct {
		name   string
		window health.Window
		// looks are what the check finds, second by second; the last one stays.
		looks string
		well  bool
		took  time.Duration
	}{
		{"at once", health.Window{}, "+", true, 0},
		{"after a while", health.Window{}, "---+", true, 3 * time.Second},
		{"never", health.Window{}, "-", false, 120 * time.Second},
		{"never, in less time", health.Window{Timeout: 5 * time.Second}, "-", false, 5 * time.Second},
		{"for long enough", health.Window{Stable: 3 * time.Second}, "+", true, 3 * time.Second},
		{"with a relapse", health.Window{Stable: 3 * time.Second}, "++-+", true, 6 * time.Second},
		{"not for long enough", health.Window{Stable: time.Hour}, "+", false, 120 * time.Second},
		{"slow looks", health.Window{Interval: 10 * time.Second}, "-+", true, 10 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, looks := time.Now(), row.looks
				err := health.Wait(t.Context(), func(context.Context) error {
					look := looks[0]
					if len(looks) > 1 {
						looks = looks[1:]
					}
					if look == '-' {
						return sick
					}
					return nil
				}, row.window)
				if (err == nil) != row.well || time.Since(begun) != row.took {
					t.Errorf("%v after %s", err, time.Since(begun))
				}
				if !row.well && (!errors.Is(err, health.ErrUnhealthy) || strings.Contains(row.looks, "-") && !errors.Is(err, sick)) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestNoCheckAndCancel(t *testing.T) {
	if err := health.Wait(t.Context(), nil, health.Window{}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := health.Wait(ctx, func(context.Context) error { cancel(); return errors.New("sick") }, health.Window{})
	if !errors.Is(err, context.Canceled) || errors.Is(err, health.ErrUnhealthy) {
		t.Error(err)
	}
}
