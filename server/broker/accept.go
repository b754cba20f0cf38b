package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"
)

const (
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = time.Second
	listenerID   = "broker" // of every connection, for mochi
)

// acceptLoop serves every connection that a listener accepts. An error, such
// as no file descriptor left, is waited out; only a closed listener ends it.
func (b *Broker) acceptLoop(ctx context.Context, listener net.Listener) error {
	backoff := firstBackoff
	for {
		nc, err := listener.Accept()
		switch {
		case err == nil:
			backoff = firstBackoff
			go b.Serve(nc)
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		}
		b.log.Warn("cannot accept an MQTT connection; trying again", "error", err, "in", backoff)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// Serve serves one connection, wherever it comes from, and returns when its
// session has ended and it is closed. It may be called before and during Run;
// afterwards, and above the caps on connections, it only closes nc.
func (b *Broker) Serve(nc net.Conn) {
	c := b.newConn(nc)
	if !b.admit(c) {
		_ = nc.Close()
		return
	}
	defer b.dismiss(c)
	err := b.converse(c)
	_ = c.Close()
	if c.session != nil {
		b.finish(c.session, err)
	} else {
		b.log.Debug("MQTT connection without session", "remote", nc.RemoteAddr(), "error", err)
	}
	<-c.flushed
}

// admit counts a connection in, unless there are too many.
func (b *Broker) admit(c *conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing || len(b.conns) >= b.limits.Connections {
		return false
	}
	if c.ip != "" {
		if b.perIP[c.ip] >= b.limits.ConnectionsPerIP {
			return false
		}
		b.perIP[c.ip]++
	}
	b.conns[c] = struct{}{}
	b.serving.Add(1)
	return true
}

func (b *Broker) dismiss(c *conn) {
	b.mu.Lock()
	delete(b.conns, c)
	if c.ip != "" {
		if b.perIP[c.ip]--; b.perIP[c.ip] == 0 {
			delete(b.perIP, c.ip)
		}
	}
	b.mu.Unlock()
	b.serving.Done()
}

// panicError is a panic of the connection's goroutine.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// converse runs mochi on the connection until it ends. A packet that makes
// mochi panic ends its own connection only.
func (b *Broker) converse(c *conn) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	if err := c.expectConnect(b.limits.ConnectTimeout, b.limits.ConnectBytes); err != nil {
		return err
	}
	return b.mqtt.EstablishConnection(listenerID, c)
}
