// Package mqtt is the agent's transport over MQTT 3.1.1, on paho. It owns how
// a session is opened and what a lost one looks like: a clean session, a
// fixed client id, several server addresses tried in turn, bounded waits. It
// never reconnects by itself and holds no queue: the agent opens the next
// session with jittered pauses, and asks again for what matters (rule 30).
// It is the only importer of paho.
package mqtt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/muster-iot/muster/agent"
)

// Config makes a [Client].
type Config struct {
	// ClientID is the thing's name. Required.
	ClientID string
	// Servers are addresses, host:port each; they are tried in turn, and the
	// last good one first. Required.
	Servers []string
	// Dial opens a connection to one of them. Default: TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// KeepAlive is how long a quiet connection goes without a ping. Default 60 s.
	KeepAlive time.Duration
	// ConnectTimeout bounds one attempt at one address. Default 30 s.
	ConnectTimeout time.Duration
	// WriteTimeout bounds one write. Default 30 s.
	WriteTimeout time.Duration
}

// Client opens sessions. It is an [agent.Transport].
type Client struct {
	cfg  Config
	good atomic.Int32 // index of the address that worked last
}

// New checks the configuration. It opens nothing.
func New(cfg Config) (*Client, error) {
	if cfg.ClientID == "" {
		return nil, errors.New("an MQTT client needs a client id")
	}
	if len(cfg.Servers) == 0 {
		return nil, errors.New("an MQTT client needs a server address, host:port")
	}
	for _, server := range cfg.Servers {
		if _, _, err := net.SplitHostPort(server); err != nil {
			return nil, fmt.Errorf("server address %q is not host:port", server)
		}
	}
	if cfg.Dial == nil {
		var dialer net.Dialer
		cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&cfg.KeepAlive, 60 * time.Second}, {&cfg.ConnectTimeout, 30 * time.Second}, {&cfg.WriteTimeout, 30 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	return &Client{cfg: cfg}, nil
}

// Connect opens a session at the first address that takes it.
func (c *Client) Connect(ctx context.Context, filters []string, deliver func(topic string, payload []byte)) (agent.Session, error) {
	var errs []error
	first := int(c.good.Load())
	for i := range c.cfg.Servers {
		n := (first + i) % len(c.cfg.Servers)
		s, err := c.open(ctx, c.cfg.Servers[n], filters, deliver)
		if err == nil {
			c.good.Store(int32(n))
			return s, nil
		}
		errs = append(errs, fmt.Errorf("cannot connect to %s: %w", c.cfg.Servers[n], err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// open opens a session at one address.
func (c *Client) open(ctx context.Context, server string, filters []string, deliver func(string, []byte)) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	raw, err := c.cfg.Dial(ctx, server)
	if err != nil {
		return nil, err
	}
	conn := newConn(raw)
	s := &session{conn: conn, client: paho.NewClient(c.options(conn, deliver))}
	err = s.await(ctx, s.client.Connect)
	if err == nil {
		err = s.subscribe(ctx, filters)
	}
	if err != nil {
		_ = conn.Close() // paho notices, and ends what it has begun
		return nil, err
	}
	return s, nil
}

// options are paho's settings: everything that it would do by itself is off.
func (c *Client) options(conn *conn, deliver func(string, []byte)) *paho.ClientOptions {
	o := paho.NewClientOptions()
	// paho only needs some address: the connection is opened already.
	o.Servers = []*url.URL{{Scheme: "tcp", Host: "server"}}
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return conn, nil })
	o.SetProtocolVersion(4)
	o.SetClientID(c.cfg.ClientID)
	o.SetCleanSession(true)
	o.SetOrderMatters(false)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetConnectTimeout(c.cfg.ConnectTimeout)
	o.SetKeepAlive(c.cfg.KeepAlive)
	o.SetWriteTimeout(c.cfg.WriteTimeout)
	o.SetStore(paho.NewOrderedMemoryStore())
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { deliver(m.Topic(), m.Payload()) })
	o.SetConnectionLostHandler(nil)
	return o
}

// conn is a connection whose end can be waited for. paho reads a packet in
// three small reads; the buffer makes them one.
type conn struct {
	net.Conn
	in     *bufio.Reader
	once   sync.Once
	closed chan struct{}
	err    error
}

func newConn(c net.Conn) *conn {
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 512), closed: make(chan struct{})}
}

// Read reads from the buffer.
func (c *conn) Read(p []byte) (int, error) { return c.in.Read(p) }

// Close closes the connection once. paho closes it in every case in which a
// session ends, so this is where an end is noticed.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.err = c.Conn.Close()
		close(c.closed)
	})
	return c.err
}
