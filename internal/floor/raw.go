package floor

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"sync"
)

// Raw serves the part of MQTT that an echo needs with a goroutine for each
// connection: a message to in/X is acknowledged and answered to out/X by one
// write to the same connection, whatever that has subscribed to. It closes the
// listener and every connection when ctx ends, and returns nil then.
func Raw(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	talks, end := context.WithCancel(ctx)
	defer end()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		all.Go(func() {
			stop := context.AfterFunc(talks, func() { c.Close() })
			defer stop()
			defer c.Close()
			_ = talk(c)
		})
	}
}

// talk serves one connection until it ends.
func talk(c net.Conn) error {
	r := &reader{in: bufio.NewReaderSize(c, 512)}
	var answer []byte
	var sent uint16
	for {
		p, err := r.next()
		if err != nil || p.kind == disconnect {
			return err
		}
		answer = answer[:0]
		switch p.kind {
		case connect:
			answer = append(answer, connack<<4, 2, 0, 0)
		case subscribe:
			if answer, err = granted(answer, p.body); err != nil {
				return err
			}
		case pingreq:
			answer = append(answer, pingresp<<4, 0)
		case publish:
			topic, id, payload, err := p.message()
			if err != nil {
				return err
			}
			if len(id) == 2 {
				answer = append(append(answer, puback<<4, 2), id...)
			}
			if name, ok := bytes.CutPrefix(topic, []byte(in)); ok {
				sent = sent%0xffff + 1
				answer = appendPublish(answer, sent, out+string(name), payload)
			}
		}
		if len(answer) == 0 {
			continue
		}
		if _, err := c.Write(answer); err != nil {
			return err
		}
	}
}

// granted appends a SUBACK that grants QoS 1 to every filter.
func granted(b, body []byte) ([]byte, error) {
	if len(body) < 2 {
		return nil, errMalformed
	}
	id, rest := body[:2], body[2:]
	n := 0
	for len(rest) > 0 {
		var ok bool
		if _, rest, ok = cut(rest); !ok || len(rest) == 0 {
			return nil, errMalformed
		}
		rest = rest[1:]
		n++
	}
	b = append(head(b, suback, 0, 2+n), id...)
	return append(b, bytes.Repeat([]byte{1}, n)...), nil
}
