package simulator

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/muster-iot/muster/internal/floor"
)

// LatencyFloor is from the moment at which a message to a bare echo was due
// until its answer is there: what change -> notify-next is compared with.
const LatencyFloor = "floor: a bare echo"

// Floor is a bare echo that runs beside the server; see package internal/floor.
type Floor struct {
	// Address is host:port; empty is that there is none.
	Address string
	// TLS is set when it speaks TLS.
	TLS *tls.Config
}

// Measure measures a floor until stop is called, with a number of idle
// connections beside the one that speaks a hundred times a second. It returns
// when they are open. Without a floor it does nothing.
func (f *Fleet) Measure(ctx context.Context, fl Floor, idle int) (stop func() error, err error) {
	if fl.Address == "" {
		return func() error { return nil }, nil
	}
	l := floor.Load{Address: fl.Address, Idle: idle, Every: 10 * time.Millisecond}
	if fl.TLS != nil {
		l.Dialer = &tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: fl.TLS}
	}
	ctx, end := context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- floor.Measure(ctx, l, func() { close(ready) }, func(d time.Duration) {
			f.measure.mu.Lock()
			defer f.measure.mu.Unlock()
			f.measure.record(LatencyFloor, d)
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		end()
		if err == nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("cannot measure the floor: %w", err)
	}
	return func() error {
		end()
		if err := <-ended; err != nil {
			return fmt.Errorf("cannot measure the floor: %w", err)
		}
		return nil
	}, nil
}

// Ratio says how many times the floor change -> notify-next took in the phase,
// at the median and at the 99th percentile; 0 when either was not measured.
func (p Phase) Ratio() (p50, p99 float64) {
	ours, least := p.Latency(LatencyNotify), p.Latency(LatencyFloor)
	if ours.Count == 0 || least.P50 <= 0 || least.P99 <= 0 {
		return 0, 0
	}
	return float64(ours.P50) / float64(least.P50), float64(ours.P99) / float64(least.P99)
}
