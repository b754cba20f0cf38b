package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/muster-iot/muster/internal/floor"
)

// request is what one device says, and where the answer comes.
type request struct {
	topic, answer string
	payload       []byte
}

// work is a load on one server: how many times something was done in a while,
// and what it cost the server.
type work struct {
	times int64
	took  time.Duration
	cpu   time.Duration
}

// each is the server's CPU time of one, rate how many were done a second.
func (w work) each() time.Duration { return w.cpu / time.Duration(max(w.times, 1)) }
func (w work) rate() float64       { return float64(w.times) / w.took.Seconds() }

// measure lets lanes do something over and over for a while.
func measure(ctx context.Context, p *process, lanes int, span time.Duration, do func(ctx context.Context, lane int) error) (work, error) {
	before, err := p.cpu()
	if err != nil {
		return work{}, err
	}
	begin := time.Now()
	until := begin.Add(span)
	var times atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for lane := range lanes {
		all.Go(func() {
			for time.Now().Before(until) && ctx.Err() == nil && failed.Load() == nil {
				if err := do(ctx, lane); err != nil {
					err = fmt.Errorf("%s: %w", p.name, err)
					failed.CompareAndSwap(nil, &err)
					return
				}
				times.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(begin)
	if err := failed.Load(); err != nil {
		return work{}, *err
	}
	after, err := p.cpu()
	return work{times.Load(), took, after - before}, err
}

// fleet is open connections to one server.
type fleet []*floor.Client

// connect opens n connections, a few at a time, and subscribes each.
func connect(ctx context.Context, d floor.Dialer, address string, n int, topics func(i int) []string) (fleet, error) {
	f := make(fleet, n)
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	const lanes = 16
	for lane := range lanes {
		all.Go(func() {
			for i := lane; i < n && failed.Load() == nil; i += lanes {
				c, err := floor.Open(ctx, d, address, device(i))
				if err == nil {
					f[i] = c
					for _, topic := range topics(i) {
						if err == nil {
							err = c.Subscribe(topic)
						}
					}
				}
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		f.close()
		return nil, *err
	}
	return f, nil
}

func (f fleet) close() {
	for _, c := range f {
		if c != nil {
			c.Close()
		}
	}
}

// exchange lets every connection ask and wait for its answer, closed loop.
func (f fleet) exchange(ctx context.Context, p *process, span time.Duration, ask func(i int) request) (work, error) {
	asks := make([]request, len(f))
	for i := range asks {
		asks[i] = ask(i)
	}
	return measure(ctx, p, len(f), span, func(_ context.Context, i int) error {
		_, err := f[i].Request(asks[i].topic, asks[i].payload, asks[i].answer)
		return err
	})
}

// sessions connects and disconnects, over and over, each lane with its own
// devices.
func sessions(ctx context.Context, p *process, d floor.Dialer, address string, span time.Duration, devices int) (work, error) {
	const lanes = 16
	next := make([]int, lanes)
	return measure(ctx, p, lanes, span, func(ctx context.Context, lane int) error {
		i := lane + next[lane]*lanes
		next[lane] = (next[lane] + 1) % max(1, devices/lanes)
		c, err := floor.Open(ctx, d, address, device(i))
		if err != nil {
			return err
		}
		c.Close()
		return nil
	})
}

func device(i int) string { return fmt.Sprintf("bench-%05d", i) }

func dialer(secure bool) floor.Dialer {
	d := &net.Dialer{Timeout: 30 * time.Second}
	if !secure {
		return d
	}
	// What is measured here is no secret. Sessions are not resumed: a device
	// that has been away makes a whole handshake.
	return &tls.Dialer{NetDialer: d, Config: &tls.Config{InsecureSkipVerify: true}}
}
