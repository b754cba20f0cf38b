package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/muster-iot/muster/internal/floor"
)

// kind is what changes about a device.
type kind int

const (
	version kind = iota
	build
	battery
	temp
	connectivity
)

// change is one thing that happens to one device; connectivity has no value.
type change struct {
	kind  kind
	value int
}

// subject is a server under a stream of changes: how a device reports one, and
// what an observer hears of it.
type subject struct {
	p      *process
	report func(device int, c change) (topic string, payload []byte)
	// watch is what the observer subscribes to, about the device that a topic
	// heard by it speaks of.
	watch string
	about func(topic []byte) (device int, ok bool)
}

// light is a connected device that costs next to nothing.
type light struct {
	busy atomic.Bool // a change is being made
	// due is when its last change had to happen, in nanoseconds of Unix time.
	due   atomic.Int64
	acked atomic.Int64

	// Of whoever holds busy:
	conn *floor.Client // nil while disconnected
	sent int64
}

// crowd is light devices of one server, and the changes that happen to them.
type crowd struct {
	subject
	lights  []light
	readers sync.WaitGroup
	changes sync.WaitGroup
	closing atomic.Bool
	failed  atomic.Pointer[error]
	late    atomic.Int64 // changes that could not be made: the one before was not done
}

// assemble connects the devices, some at a time.
func assemble(ctx context.Context, s subject, devices int) (*crowd, error) {
	c := &crowd{subject: s, lights: make([]light, devices)}
	err := parallel(devices, func(i int) error { return c.connect(ctx, i) })
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *crowd) connect(ctx context.Context, i int) error {
	conn, err := floor.Open(ctx, &net.Dialer{Timeout: 30 * time.Second}, c.p.addr.MQTT, device(i))
	if err != nil {
		return err
	}
	l := &c.lights[i]
	l.conn, l.sent = conn, 0
	l.acked.Store(0)
	c.readers.Go(func() {
		_ = conn.Listen(func(_, _ []byte) {}, func(uint16) { l.acked.Add(1) })
	})
	return nil
}

// send lets a device publish and waits for nothing.
func (c *crowd) send(i int, topic string, payload []byte) error {
	l := &c.lights[i]
	l.sent++
	return l.conn.Send(topic, payload)
}

// settled waits until everything that was sent is acknowledged.
func (c *crowd) settled(ctx context.Context) error {
	for i := range c.lights {
		l := &c.lights[i]
		for l.conn != nil && l.acked.Load() < l.sent {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is acknowledged %d of %d reports: %w", device(i), l.acked.Load(), l.sent, ctx.Err())
			case <-time.After(time.Millisecond):
			}
		}
	}
	return nil
}

func (c *crowd) close() {
	c.closing.Store(true)
	c.changes.Wait()
	for i := range c.lights {
		if conn := c.lights[i].conn; conn != nil {
			conn.Close()
		}
	}
	c.readers.Wait()
}

// pace lets changes happen at their times, whether earlier ones are done or
// not, until the span is over. It returns how many were to happen.
func (c *crowd) pace(ctx context.Context, o streamOptions, order []int, rng *rand.Rand, span time.Duration) (int, error) {
	begin, n := time.Now(), 0
	for ; ; n++ {
		after := time.Duration(float64(n) / o.rate * float64(time.Second))
		if after >= span {
			return n, nil
		}
		due := begin.Add(after)
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		if err := c.failed.Load(); err != nil {
			return n, *err
		}
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		c.happen(ctx, order[n%len(order)], due, o.pick(rng))
	}
}

// happen makes a change of a device: one that is disconnected connects,
// whatever was to happen.
func (c *crowd) happen(ctx context.Context, i int, due time.Time, to change) {
	l := &c.lights[i]
	if !l.busy.CompareAndSwap(false, true) {
		c.late.Add(1)
		return
	}
	if l.conn != nil && l.acked.Load() < l.sent {
		c.late.Add(1)
		l.busy.Store(false)
		return
	}
	l.due.Store(due.UnixNano())
	c.changes.Go(func() {
		defer l.busy.Store(false)
		var err error
		switch {
		case l.conn == nil:
			err = c.connect(ctx, i)
		case to.kind == connectivity:
			l.conn.Close()
			l.conn = nil
		default:
			topic, payload := c.report(i, to)
			err = c.send(i, topic, payload)
		}
		if err != nil && !c.closing.Load() {
			err = fmt.Errorf("%s: %w", device(i), err)
			c.failed.CompareAndSwap(nil, &err)
		}
	})
}

// observer hears what a server tells of its devices' changes.
type observer struct {
	conn  *floor.Client
	ended chan error
	// on lets latencies be recorded; last is when something was heard.
	on   atomic.Bool
	last atomic.Int64

	mu    sync.Mutex
	hist  *hdrhistogram.Histogram // microseconds
	heard int64
}

// observe watches a crowd; also is called with every topic.
func observe(ctx context.Context, c *crowd, also func(topic []byte)) (*observer, error) {
	conn, err := floor.Open(ctx, &net.Dialer{Timeout: 30 * time.Second}, c.p.addr.MQTT, "observer")
	if err != nil {
		return nil, err
	}
	if err := conn.Watch(c.watch); err != nil {
		conn.Close()
		return nil, err
	}
	o := &observer{conn: conn, ended: make(chan error, 1), hist: hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
	o.last.Store(time.Now().UnixNano())
	go func() {
		o.ended <- conn.Listen(func(topic, _ []byte) {
			now := time.Now().UnixNano()
			o.last.Store(now)
			also(topic)
			i, ok := c.about(topic)
			if !ok || i >= len(c.lights) || !o.on.Load() {
				return
			}
			o.record(now - c.lights[i].due.Load())
		}, func(uint16) {})
	}()
	return o, nil
}

func (o *observer) record(nanoseconds int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard++
	_ = o.hist.RecordValue(min(max(1, nanoseconds/1000), time.Minute.Microseconds()))
}

// quiet waits until nothing has been heard for a while.
func (o *observer) quiet(ctx context.Context, while time.Duration) error {
	for {
		rest := while - time.Since(time.Unix(0, o.last.Load()))
		if rest <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-o.ended:
			o.ended <- err
			return errors.Join(errors.New("the observer was disconnected"), err)
		case <-time.After(rest):
		}
	}
}

func (o *observer) close() {
	o.conn.Close()
	<-o.ended
}
