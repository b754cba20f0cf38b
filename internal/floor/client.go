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

// Client is one connection to a floor. It is used by one goroutine.
type Client struct {
	conn net.Conn
	in   *reader
	name []byte
	sent uint16
	buf  []byte
}

// patience bounds each step, so that a floor that is gone ends in an error.
const patience = 10 * time.Second

// Dialer opens connections; that of package tls does, and that of net.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects and subscribes under a name that no other client has.
func Dial(ctx context.Context, d Dialer, address, name string) (*Client, error) {
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the floor: %w", err)
	}
	c := &Client{conn: conn, in: &reader{in: bufio.NewReaderSize(conn, 512)}, name: []byte(name)}
	if err := c.open(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot connect to the floor: %w", err)
	}
	return c, nil
}

func (c *Client) open() error {
	body := append(text(nil, "MQTT"), 4, 0x02, 0, 0) // 3.1.1, a clean session, no keep-alive
	body = text(body, string(c.name))
	if err := c.write(append(head(nil, connect, 0, len(body)), body...)); err != nil {
		return err
	}
	p, err := c.in.next()
	if err != nil {
		return err
	}
	if p.kind != connack || len(p.body) != 2 || p.body[1] != 0 {
		return fmt.Errorf("%w: it answers CONNECT with type %d, % x", errMalformed, p.kind, p.body)
	}
	body = append(text([]byte{0, 1}, out+string(c.name)), 1)
	if err := c.write(append(head(nil, subscribe, 2, len(body)), body...)); err != nil {
		return err
	}
	p, err = c.in.next()
	if err != nil {
		return err
	}
	if p.kind != suback || len(p.body) != 3 || p.body[2] != 1 {
		return fmt.Errorf("%w: it answers SUBSCRIBE with type %d, % x", errMalformed, p.kind, p.body)
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

// Echo publishes a payload and returns when it has come back, which is
// acknowledged, and when its own acknowledgement has come.
func (c *Client) Echo(payload []byte) error {
	c.sent = c.sent%0xffff + 1
	c.buf = appendPublish(c.buf[:0], c.sent, in, c.name, payload)
	if err := c.write(c.buf); err != nil {
		return err
	}
	for acked, back := false, false; !acked || !back; {
		p, err := c.in.next()
		if err != nil {
			return fmt.Errorf("no answer from the floor: %w", err)
		}
		switch p.kind {
		case puback:
			acked = len(p.body) == 2 && binary.BigEndian.Uint16(p.body) == c.sent
		case publish:
			_, id, got, err := p.message()
			if err != nil {
				return err
			}
			if !bytes.Equal(got, payload) {
				return errors.New("the floor answers with another payload")
			}
			back = true
			if err := c.write(append([]byte{puback << 4, 2}, id...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close says goodbye and closes the connection.
func (c *Client) Close() {
	_ = c.write([]byte{disconnect << 4, 0})
	_ = c.conn.Close()
}
