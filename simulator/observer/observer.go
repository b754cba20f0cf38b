// Package observer is a small MQTT 3.1.1 client that only listens: it
// subscribes to the service's events and hands them on in the order in which
// they came over the wire. It owns one connection and renews it when it is
// lost; each renewal begins a new epoch, because events may have been missed
// in between. It shares no code with the agent or the server, so that what
// it sees does not depend on what is judged. Read on in packet.go.
package observer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// Message is one message as it came.
type Message struct {
	// At is when it arrived here.
	At time.Time
	// Epoch counts connections from 1; between two epochs messages may be lost.
	Epoch   int
	Topic   string
	Payload []byte
}

// Config makes an [Observer].
type Config struct {
	// Address is the broker's, host:port or mqtts://host:port for TLS. Required.
	Address string
	// TLS says whom to trust and what to show where TLS is spoken. Default:
	// the system's roots, no certificate.
	TLS *tls.Config
	// ClientID must not be that of a device. Required.
	ClientID string
	// Filters are subscribed to at QoS 1; at most eight. Required.
	Filters []string
	// Deliver takes every message, one at a time and in order. Required.
	Deliver func(Message)
	// Epoch is called, before any message of it, when a new epoch has begun
	// and the subscriptions hold. May be nil.
	Epoch func(epoch int)
	// Logger takes lost connections. Default: nothing is logged.
	Logger *slog.Logger
}

// Observer listens. Make it with [New] and call Run once.
type Observer struct {
	cfg   Config
	ready chan struct{}
	once  sync.Once

	mu   sync.Mutex
	last error
}

// New checks the configuration. It opens nothing.
func New(cfg Config) (*Observer, error) {
	switch {
	case cfg.ClientID == "" || len(cfg.ClientID) > 128:
		return nil, errors.New("an observer needs a client id of 1 to 128 bytes")
	case len(cfg.Filters) == 0 || len(cfg.Filters) > 8:
		return nil, errors.New("an observer needs 1 to 8 filters")
	case cfg.Deliver == nil:
		return nil, errors.New("an observer needs someone to deliver to")
	}
	if _, _, err := net.SplitHostPort(strings.TrimPrefix(cfg.Address, secure)); err != nil {
		return nil, fmt.Errorf("broker address %q is not host:port or mqtts://host:port", cfg.Address)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Observer{cfg: cfg, ready: make(chan struct{})}, nil
}

// Err returns why the last connection ended or did not come to be, if it did.
func (o *Observer) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// Ready is closed once the subscriptions hold for the first time.
func (o *Observer) Ready() <-chan struct{} { return o.ready }

const (
	// keepAlive is the promise of the CONNECT; a ping leaves twice as often.
	keepAlive = 30 * time.Second
	// patience bounds each step of opening a connection, and each write.
	patience = 10 * time.Second
	// pause bounds the pause before the next attempt to connect.
	pause = 300 * time.Millisecond
)

// Run listens until ctx ends. Connections that end are renewed.
func (o *Observer) Run(ctx context.Context) error {
	for epoch := 1; ; {
		subscribed, err := o.listen(ctx, epoch)
		if ctx.Err() != nil {
			return nil
		}
		o.mu.Lock()
		o.last = err
		o.mu.Unlock()
		o.cfg.Logger.Info("the observer lost its connection", "address", o.cfg.Address, "err", err)
		if subscribed {
			epoch++
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

// listen is one connection. It reports whether the subscriptions ever held.
func (o *Observer) listen(ctx context.Context, epoch int) (subscribed bool, err error) {
	conn, err := o.dial(ctx)
	if err != nil {
		return false, err
	}
	l := &link{conn: conn, in: bufio.NewReader(conn)}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	if err := l.open(o.cfg.ClientID, o.cfg.Filters); err != nil {
		return false, err
	}
	if o.cfg.Epoch != nil {
		o.cfg.Epoch(epoch)
	}
	o.once.Do(func() { close(o.ready) })
	done := make(chan struct{})
	var pinging sync.WaitGroup
	pinging.Go(func() { l.ping(done) })
	defer pinging.Wait()
	defer close(done)
	return true, l.read(epoch, o.cfg.Deliver)
}

// secure begins the address of a broker that speaks TLS.
const secure = "mqtts://"

func (o *Observer) dial(ctx context.Context) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: patience}
	if address, ok := strings.CutPrefix(o.cfg.Address, secure); ok {
		return (&tls.Dialer{NetDialer: dialer, Config: o.cfg.TLS}).DialContext(ctx, "tcp", address)
	}
	return dialer.DialContext(ctx, "tcp", o.cfg.Address)
}

// link is one connection; writes come from the reader and from the ping.
type link struct {
	conn net.Conn
	in   *bufio.Reader
	mu   sync.Mutex
	// early holds messages that came before the subscriptions were confirmed.
	early []packet
}

func (l *link) write(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := l.conn.Write(b)
	return err
}

// open connects and subscribes.
func (l *link) open(clientID string, filters []string) error {
	if err := l.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := l.write(connectPacket(clientID, keepAlive)); err != nil {
		return fmt.Errorf("cannot connect: %w", err)
	}
	if err := l.expect(connack, func(body []byte) error {
		if len(body) != 2 || body[1] != 0 {
			return fmt.Errorf("the broker refuses the connection: % x", body)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := l.write(subscribePacket(1, filters)); err != nil {
		return fmt.Errorf("cannot subscribe: %w", err)
	}
	return l.expect(suback, func(body []byte) error {
		if len(body) != 2+len(filters) {
			return fmt.Errorf("the broker answers %d filters with % x", len(filters), body)
		}
		for i, granted := range body[2:] {
			if granted > 2 {
				return fmt.Errorf("the broker refuses the filter %s", filters[i])
			}
		}
		return nil
	})
}

// expect reads up to a packet of the wanted kind; messages before it are kept.
func (l *link) expect(kind byte, check func(body []byte) error) error {
	for {
		p, err := readPacket(l.in)
		switch {
		case err != nil:
			return fmt.Errorf("no answer from the broker: %w", err)
		case p.kind == kind:
			return check(p.body)
		case p.kind == publish:
			l.early = append(l.early, p)
		}
	}
}

// read delivers messages until the connection ends.
func (l *link) read(epoch int, deliver func(Message)) error {
	for {
		var p packet
		var err error
		if len(l.early) > 0 {
			p, l.early = l.early[0], l.early[1:]
		} else {
			if err := l.conn.SetReadDeadline(time.Now().Add(2 * keepAlive)); err != nil {
				return err
			}
			if p, err = readPacket(l.in); err != nil {
				return err
			}
		}
		if p.kind != publish {
			continue
		}
		m, id, err := p.message()
		if err != nil {
			return err
		}
		m.At, m.Epoch = time.Now(), epoch
		deliver(m)
		if id != 0 {
			if err := l.write(pubackPacket(id)); err != nil {
				return err
			}
		}
	}
}

// ping keeps the connection alive. A write that fails ends the reader too.
func (l *link) ping(done <-chan struct{}) {
	ticker := time.NewTicker(keepAlive / 2)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			if l.write([]byte{pingreq << 4, 0}) != nil {
				l.conn.Close()
				return
			}
		}
	}
}
