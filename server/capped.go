package server

import (
	"io"
	"net"
	"sync"
)

// The most HTTP connections that are open at once, in all and of one address.
// Those that became MQTT count here and in the broker. A half-open one lasts
// no longer than the time for a request's header.
const (
	webConnections      = 50_000
	webConnectionsPerIP = 10_000
)

// cappedListener closes connections above its caps at once.
type cappedListener struct {
	net.Listener
	total, perIP int

	mu   sync.Mutex
	open int
	byIP map[string]int
}

func capped(l net.Listener, total, perIP int) net.Listener {
	return &cappedListener{Listener: l, total: total, perIP: perIP, byIP: map[string]int{}}
}

func (l *cappedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		ip, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		if l.admit(ip) {
			return &cappedConn{Conn: c, leave: sync.OnceFunc(func() { l.dismiss(ip) })}, nil
		}
		_ = c.Close()
	}
}

func (l *cappedListener) admit(ip string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.total || l.byIP[ip] >= l.perIP {
		return false
	}
	l.open++
	l.byIP[ip]++
	return true
}

func (l *cappedListener) dismiss(ip string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.byIP[ip]--; l.byIP[ip] == 0 {
		delete(l.byIP, ip)
	}
}

// cappedConn counts until it is closed.
type cappedConn struct {
	net.Conn
	leave func()
}

// Close gives the place back.
func (c *cappedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// ReadFrom lets the kernel send files, as it does for the connection itself.
func (c *cappedConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }
