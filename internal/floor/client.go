package floor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// Client is one MQTT 3.1.1 connection that costs as little as can be. It is
// used by one goroutine.
type Client struct {
	conn net.Conn
	in   *reader
	name string
	sent uint16
	buf  []byte
}

// patience bounds each step, so that a floor that is gone ends in an error.
const patience = 10 * time.Second

// Dialer opens connections; that of package tls does, and that of net.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects to a floor and subscribes to its answers under a name that no
// other client has.
func Dial(ctx context.Context, d Dialer, address, name string) (*Client, error) {
	c, err := Open(ctx, d, address, name)
	if err != nil {
		return nil, fmt.Errorf("no floor: %w", err)
	}
	if err := c.Subscribe(out + name); err != nil {
		c.Close()
		return nil, fmt.Errorf("no floor: %w", err)
	}
	return c, nil
}

// Open connects to any MQTT server with a client id, a clean session and no
// keep-alive.
func Open(ctx context.Context, d Dialer, address, name string) (*Client, error) {
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", address, err)
	}
	c := &Client{conn: conn, in: &reader{in: bufio.NewReaderSize(conn, 512)}, name: name}
	if err := c.open(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot connect to %s: %w", address, err)
	}
	return c, nil
}

func (c *Client) open() error {
	body := append(text(nil, "MQTT"), 4, 0x02, 0, 0)
	body = text(body, c.name)
	if err := c.write(append(head(nil, connect, 0, len(body)), body...)); err != nil {
		return err
	}
	p, err := c.in.next()
	if err != nil {
		return err
	}
	if p.kind != connack || len(p.body) != 2 || p.body[1] != 0 {
		return fmt.Errorf("%w: CONNECT is answered with type %d, % x", errMalformed, p.kind, p.body)
	}
	return nil
}

// Subscribe subscribes to a topic at QoS 1.
func (c *Client) Subscribe(topic string) error {
	body := append(text([]byte{0, 1}, topic), 1)
	if err := c.write(append(head(nil, subscribe, 2, len(body)), body...)); err != nil {
		return err
	}
	p, err := c.in.next()
	if err != nil {
		return fmt.Errorf("cannot subscribe to %s: %w", topic, err)
	}
	if p.kind != suback || len(p.body) != 3 || p.body[2] != 1 {
		return fmt.Errorf("%w: SUBSCRIBE is answered with type %d, % x", errMalformed, p.kind, p.body)
	}
	return nil
}

func (c *Client) write(b []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// Echo publishes a payload and returns when it has come back.
func (c *Client) Echo(payload []byte) error {
	got, err := c.Request(in+c.name, payload, out+c.name)
	if err == nil && !bytes.Equal(got, payload) {
		err = errors.New("the floor answers with another payload")
	}
	return err
}

// Request publishes a payload at QoS 1 and returns what comes on the topic of
// the answer, which may be empty for none, once both have come: the answer,
// which is acknowledged if it must be, and the acknowledgement. The answer is
// good until the next call; messages of other topics are passed over.
func (c *Client) Request(topic string, payload []byte, answer string) (got []byte, err error) {
	c.sent = c.sent%0xffff + 1
	c.buf = appendPublish(c.buf[:0], c.sent, topic, payload)
	if err := c.write(c.buf); err != nil {
		return nil, err
	}
	for acked, back := false, answer == ""; !acked || !back; {
		p, err := c.in.next()
		if err != nil {
			return nil, fmt.Errorf("no answer on %q: %w", answer, err)
		}
		switch p.kind {
		case puback:
			acked = acked || len(p.body) == 2 && binary.BigEndian.Uint16(p.body) == c.sent
		case publish:
			name, id, body, err := p.message()
			if err != nil {
				return nil, err
			}
			if string(name) == answer {
				back, got = true, append(got[:0], body...)
			}
			if len(id) == 0 {
				continue
			}
			if err := c.write(append([]byte{puback << 4, 2}, id...)); err != nil {
				return nil, err
			}
		}
	}
	return got, nil
}

// Close says goodbye and closes the connection.
func (c *Client) Close() {
	_ = c.write([]byte{disconnect << 4, 0})
	_ = c.conn.Close()
}
