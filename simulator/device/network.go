package device

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// errUnplugged is what dialing answers while the device is off the network.
var errUnplugged = errors.New("the network is unreachable")

// network is the device's cable. Connections are made through it, and end
// without a goodbye when it is pulled.
type network struct {
	dialer net.Dialer

	mu        sync.Mutex
	conn      *line // the newest one
	unplugged bool
	until     time.Time // dropped until then
}

func newNetwork(source netip.Addr) *network {
	n := &network{dialer: net.Dialer{Timeout: 10 * time.Second}}
	if source.IsValid() {
		n.dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		n.dialer.Control = latePort
	}
	return n
}

// dial opens a connection while the cable is in.
func (n *network) dial(ctx context.Context, address string) (net.Conn, error) {
	if !n.reachable() {
		return nil, errUnplugged
	}
	conn, err := n.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.unplugged || time.Now().Before(n.until) {
		conn.Close()
		return nil, errUnplugged
	}
	n.conn = &line{Conn: conn}
	return n.conn, nil
}

func (n *network) reachable() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.unplugged && !time.Now().Before(n.until)
}

// drop pulls the cable for a time.
func (n *network) drop(off time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if until := time.Now().Add(off); until.After(n.until) {
		n.until = until
	}
	n.hangUp()
}

// unplug pulls the cable until plug.
func (n *network) unplug() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unplugged = true
	n.hangUp()
}

func (n *network) plug() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unplugged = false
}

func (n *network) hangUp() {
	if n.conn != nil {
		n.conn.cut.Store(true)
		n.conn.Close()
		n.conn = nil
	}
}

// line is a connection that may be cut. paho takes a read from a closed
// connection for the end of its own doing and would notice a cut only when a
// ping stays unanswered, so that a read says that the line was cut.
type line struct {
	net.Conn
	cut atomic.Bool
}

func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if err != nil && l.cut.Load() {
		err = errUnplugged
	}
	return n, err
}
