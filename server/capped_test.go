package server_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/muster-iot/muster/server"
)

// TestCaps: connections that say nothing are refused above the caps, which
// count what is open: an ended one makes room again, and others are served.
func TestCaps(t *testing.T) {
	for _, row := range []struct {
		name         string
		total, perIP int
		other        bool // whether another address is still let in
	}{{"of one address", 100, 3, true}, {"in all", 3, 100, false}} {
		t.Run(row.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })}
			go func() { _ = web.Serve(server.Capped(l, row.total, row.perIP)) }()
			t.Cleanup(func() { _ = web.Close() })
			addr := l.Addr().String()

			var held []net.Conn
			for range 3 {
				held = append(held, dialFrom(t, "127.0.0.1", addr))
			}
			if answers(dialFrom(t, "127.0.0.1", addr)) {
				t.Error("a fourth connection is served")
			}
			if got := answers(dialFrom(t, "127.0.0.2", addr)); got != row.other {
				t.Errorf("another address is served: %v, want %v", got, row.other)
			}
			_ = held[0].Close()
			for deadline := time.Now().Add(patience); !answers(dialFrom(t, "127.0.0.1", addr)); {
				if time.Now().After(deadline) {
					t.Fatal("the place of an ended connection is not given away")
				}
			}
		})
	}
}

func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// answers asks for a page and reports whether it comes.
func answers(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(patience))
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return false
	}
	page, err := io.ReadAll(c)
	return err == nil && len(page) > 0
}
