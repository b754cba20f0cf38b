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
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
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
	// Servers are addresses, each host:port for TCP (mqtt:// may stand before
	// it) or mqtts://host:port for TLS; they are tried in turn, and the last
	// good one first. Required.
	Servers []string
	// TLS says whom to trust and what to show where TLS is spoken. The server
	// has to be named as in its address unless ServerName is set. Default: the
	// system's roots, no certificate.
	TLS *tls.Config
	// Dial opens a connection to host:port, below TLS. Default: TCP.
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
		if _, _, err := split(server); err != nil {
			return nil, err
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
	raw, err := c.dial(ctx, server)
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

// split takes a server's address apart.
func split(server string) (address string, secure bool, err error) {
	address, secure = strings.CutPrefix(server, "mqtts://")
	if !secure {
		address = strings.TrimPrefix(server, "mqtt://")
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return "", false, fmt.Errorf("server address %q is not host:port or mqtts://host:port", server)
	}
	return address, secure, nil
}

// dial opens a connection to a server, with TLS if its address says so.
func (c *Client) dial(ctx context.Context, server string) (net.Conn, error) {
	address, secure, err := split(server)
	if err != nil {
		return nil, err
	}
	raw, err := c.cfg.Dial(ctx, address)
	if err != nil || !secure {
		return raw, err
	}
	cfg := &tls.Config{}
	if c.cfg.TLS != nil {
		cfg = c.cfg.TLS.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(address)
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("cannot speak TLS: %w", err)
	}
	return conn, nil
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
