package floor

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Watch subscribes to a topic filter at QoS 0, for Listen to hear.
func (c *Client) Watch(filter string) error {
	body := append(text([]byte{0, 1}, filter), 0)
	if err := c.write(append(head(nil, subscribe, 2, len(body)), body...)); err != nil {
		return err
	}
	p, err := c.in.next()
	if err != nil {
		return fmt.Errorf("cannot subscribe to %s: %w", filter, err)
	}
	if p.kind != suback || len(p.body) != 3 || p.body[2] != 0 {
		return fmt.Errorf("%w: SUBSCRIBE is answered with type %d, % x", errMalformed, p.kind, p.body)
	}
	return nil
}

// Send publishes at QoS 1 and waits for nothing: Listen, which may run on
// another goroutine, hears what comes back.
func (c *Client) Send(topic string, payload []byte) error {
	c.sent = c.sent%0xffff + 1
	c.buf = appendPublish(c.buf[:0], c.sent, topic, payload)
	return c.writeLater(c.buf)
}

// writeLater is write for a connection that is read by another goroutine.
func (c *Client) writeLater(b []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// Listen reads until the connection ends, which is always an error. heard gets
// every message, whose topic and payload are good until it returns, acked the
// packet id of every acknowledgement. What comes at QoS 1 is acknowledged.
func (c *Client) Listen(heard func(topic, payload []byte), acked func(id uint16)) error {
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	for {
		p, err := c.in.next()
		if err != nil {
			return err
		}
		switch p.kind {
		case puback:
			if len(p.body) == 2 {
				acked(binary.BigEndian.Uint16(p.body))
			}
		case publish:
			topic, id, payload, err := p.message()
			if err != nil {
				return err
			}
			heard(topic, payload)
			if len(id) == 0 {
				continue
			}
			if err := c.writeLater(append([]byte{puback << 4, 2}, id...)); err != nil {
				return err
			}
		}
	}
}
