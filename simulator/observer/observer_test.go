package observer_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/simulator/observer"
)

// broker answers one connection after the other, by a script each.
func broker(t *testing.T, scripts ...func(c *conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for _, script := range scripts {
			c, err := l.Accept()
			if err != nil {
				return
			}
			script(&conn{Conn: c, in: bufio.NewReader(c)})
			c.Close()
		}
		l.Close()
	}()
	return l.Addr().String()
}

type conn struct {
	net.Conn
	in *bufio.Reader
}

// take reads a packet and returns its kind and body.
func (c *conn) take() (byte, []byte) {
	first, err := c.in.ReadByte()
	if err != nil {
		return 0, nil
	}
	n, _ := binary.ReadUvarint(c.in)
	body := make([]byte, n)
	_, _ = io.ReadFull(c.in, body)
	return first >> 4, body
}

func (c *conn) welcome() {
	c.take() // CONNECT
	_, _ = c.Write([]byte{0x20, 2, 0, 0})
	c.take() // SUBSCRIBE
}

func (c *conn) granted() { _, _ = c.Write([]byte{0x90, 3, 0, 1, 1}) }

func (c *conn) publish(id byte, text string) {
	body := append([]byte{0, 1, 't', 0, id}, text...)
	_, _ = c.Write(append([]byte{0x32, byte(len(body))}, body...))
}

// listen runs an observer and returns what it was told, in order.
func listen(t *testing.T, address string) (heard chan string, o *observer.Observer) {
	t.Helper()
	heard = make(chan string, 100)
	o, err := observer.New(observer.Config{
		Address: address, ClientID: "o", Filters: []string{"t"},
		Deliver: func(m observer.Message) { heard <- string(m.Payload) + "@" + string(rune('0'+m.Epoch)) },
		Epoch:   func(n int) { heard <- "epoch " + string(rune('0'+n)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the observer ended with %v", err)
		}
	})
	return heard, o
}

func expect(t *testing.T, heard chan string, want ...string) {
	t.Helper()
	var got []string
	deadline := time.After(20 * time.Second)
	for len(got) < len(want) {
		select {
		case h := <-heard:
			got = append(got, h)
		case <-deadline:
			t.Fatalf("heard %q, want %q", got, want)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// TestOrderAndEpochs: messages come in the order of the wire, also one that
// came before the subscription was confirmed; a new connection is a new epoch.
func TestOrderAndEpochs(t *testing.T) {
	acknowledged := make(chan byte, 10)
	address := broker(t, func(c *conn) {
		c.welcome()
		c.publish(1, "early")
		c.granted()
		c.publish(2, "a")
		c.publish(3, "b")
		for range 3 {
			if kind, body := c.take(); kind == 4 && len(body) == 2 {
				acknowledged <- body[1]
			}
		}
	}, func(c *conn) {
		c.take()
		_, _ = c.Write([]byte{0x20, 2, 0, 5}) // not authorized
	}, func(c *conn) {
		c.welcome()
		c.granted()
		c.publish(4, "c")
		c.take()
		c.take() // until the observer leaves
	})
	heard, o := listen(t, address)
	expect(t, heard, "epoch 1", "early@1", "a@1", "b@1", "epoch 2", "c@2")
	<-o.Ready()
	for want := range byte(3) {
		if got := <-acknowledged; got != want+1 {
			t.Errorf("packet %d was acknowledged, want %d", got, want+1)
		}
	}
}

// TestBadBrokers: whatever a broker does, the observer tries again.
func TestBadBrokers(t *testing.T) {
	var scripts []func(*conn)
	for _, answer := range []string{"", "\x20\x02\x00", "\x30\xff\xff\xff\xff\xff", "\x20\x01\x00", "\x20\x02\x00\x00\x90\x03\x00\x01\x80", "\x20\x02\x00\x00\x90\x02\x00\x01"} {
		scripts = append(scripts, func(c *conn) {
			c.take()
			_, _ = c.Write([]byte(answer))
		})
	}
	scripts = append(scripts, func(c *conn) {
		c.welcome()
		c.granted()
		_, _ = c.Write([]byte("\x36\x05\x00\x01t\x00\x01")) // QoS 3
		c.take()
	}, func(c *conn) {
		c.welcome()
		c.granted()
		c.take()
		c.take()
	})
	heard, _ := listen(t, broker(t, scripts...))
	expect(t, heard, "epoch 1", "epoch 2")
}

func TestNewRefuses(t *testing.T) {
	good := observer.Config{Address: "127.0.0.1:1", ClientID: "o", Filters: []string{"t"}, Deliver: func(observer.Message) {}}
	for _, c := range []struct {
		name   string
		change func(*observer.Config)
		want   string
	}{
		{"no address", func(c *observer.Config) { c.Address = "" }, "not host:port"},
		{"no client id", func(c *observer.Config) { c.ClientID = "" }, "client id"},
		{"no filter", func(c *observer.Config) { c.Filters = nil }, "1 to 8 filters"},
		{"nine filters", func(c *observer.Config) { c.Filters = make([]string, 9) }, "1 to 8 filters"},
		{"nobody to deliver to", func(c *observer.Config) { c.Deliver = nil }, "someone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			if _, err := observer.New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
		})
	}
}
