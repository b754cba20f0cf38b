package floor

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"
)

// Load is what a floor is measured under.
type Load struct {
	// Address is the floor's, host:port.
	Address string
	// Dialer opens connections; default plain TCP. A *tls.Dialer speaks TLS.
	Dialer Dialer
	// Idle is how many connections are open beside the one that speaks.
	Idle int
	// Every is the distance of messages, which are sent at their time as long
	// as the ones before are answered. Default 10 ms.
	Every time.Duration
	// Bytes is the size of a message. Default 256.
	Bytes int
}

// opening is how many idle connections are opened at a time.
const opening = 8

// Measure opens the idle connections, calls ready, and then sends messages
// until ctx ends, which is no error. record takes how long each took from when
// it was due until its answer was there; a late answer so counts against all
// that had to wait for it.
func Measure(ctx context.Context, l Load, ready func(), record func(time.Duration)) error {
	if l.Dialer == nil {
		l.Dialer = &net.Dialer{Timeout: patience}
	}
	if l.Every <= 0 {
		l.Every = 10 * time.Millisecond
	}
	if l.Bytes <= 0 {
		l.Bytes = 256
	}
	idle, err := l.open(ctx)
	defer func() {
		for _, c := range idle {
			c.Close()
		}
	}()
	if err != nil {
		return err
	}
	c, err := Dial(ctx, l.Dialer, l.Address, "probe")
	if err != nil {
		return err
	}
	defer c.Close()
	ready()
	return l.send(ctx, c, record)
}

// send sends messages in step with the clock.
func (l Load) send(ctx context.Context, c *Client, record func(time.Duration)) error {
	payload := make([]byte, l.Bytes)
	timer := time.NewTimer(l.Every)
	defer timer.Stop()
	for due := time.Now().Add(l.Every); ; due = due.Add(l.Every) {
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := c.Echo(payload); err != nil {
			return err
		}
		record(time.Since(due))
	}
}

// open opens the idle connections, a few at a time.
func (l Load) open(ctx context.Context) ([]*Client, error) {
	var mu sync.Mutex
	var all []*Client
	var failed error
	var opened sync.WaitGroup
	for lane := range min(opening, l.Idle) {
		opened.Go(func() {
			for i := lane; i < l.Idle; i += opening {
				c, err := Dial(ctx, l.Dialer, l.Address, "idle-"+strconv.Itoa(i))
				mu.Lock()
				if err != nil {
					failed = err
					mu.Unlock()
					return
				}
				all = append(all, c)
				mu.Unlock()
			}
		})
	}
	opened.Wait()
	return all, failed
}
