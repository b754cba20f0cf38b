package broker_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/muster-iot/muster/server/broker"
)

// transport is a way to reach the broker.
type transport struct {
	name   string
	tls    bool
	socket bool // WebSocket
}

func allTransports() []transport {
	return []transport{
		{name: "TCP"},
		{name: "TLS", tls: true},
		{name: "WebSocket", socket: true},
		{name: "WebSocket over TLS", tls: true, socket: true},
	}
}

// onTransports runs a test on each transport.
func onTransports(t *testing.T, f func(t *testing.T, via transport)) {
	t.Helper()
	for _, via := range allTransports() {
		t.Run(via.name, func(t *testing.T) { f(t, via) })
	}
}

// reachable is a broker on one transport. Its listener is the last of all: what
// wraps it is below TLS and HTTP.
type reachable struct {
	*server
	via transport
}

func (via transport) start(t testing.TB, limits broker.Limits, change ...func(*broker.Config)) *reachable {
	t.Helper()
	s := &reachable{via: via}
	started := make(chan struct{})
	change = append(change, func(cfg *broker.Config) {
		if via.tls {
			cfg.Listeners[0] = tls.NewListener(cfg.Listeners[0], &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
		}
		if !via.socket {
			return
		}
		listener := cfg.Listeners[0]
		cfg.Listeners = nil
		timeout := limits.ConnectTimeout
		if timeout == 0 {
			timeout = 10 * time.Second
		}
		web := &http.Server{ReadHeaderTimeout: timeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-started
			s.WebSocket().ServeHTTP(w, r)
		})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = web.Serve(listener)
		}()
		t.Cleanup(func() { _ = web.Close(); <-done })
	})
	s.server = start(t, limits, change...)
	close(started)
	return s
}

// raw opens a TCP connection and nothing above it.
func (s *reachable) raw(t testing.TB) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc.(*net.TCPConn)
}

// dial opens a connection up to the point where MQTT begins.
func (s *reachable) dial(t testing.TB) *wire {
	t.Helper()
	return s.above(t, s.raw(t))
}

// above is MQTT's connection above a TCP connection.
func (s *reachable) above(t testing.TB, nc net.Conn) *wire {
	t.Helper()
	w, err := s.tryAbove(t, nc)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (s *reachable) tryAbove(t testing.TB, nc net.Conn) (*wire, error) {
	if s.via.tls {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true}) // a self-signed certificate
	}
	if s.via.socket {
		_ = nc.SetDeadline(time.Now().Add(patience))
		opened := nc
		d := websocket.Dialer{
			Subprotocols: []string{"mqtt"},
			NetDial:      func(string, string) (net.Conn, error) { return opened, nil },
		}
		ws, _, err := d.Dial("ws://"+s.addr+"/mqtt", nil) // TLS, if any, is below
		if err != nil {
			return nil, err
		}
		_ = nc.SetDeadline(time.Time{})
		nc = &wsStream{Conn: nc, ws: ws}
	}
	return newWire(t, nc), nil
}

// connect opens a clean session.
func (s *reachable) connect(t testing.TB, id string, version byte) *wire {
	t.Helper()
	w := s.dial(t)
	w.hello(connectPacket(id, version))
	return w
}

// wantHealthy proves that a new client is served in full.
func (s *reachable) wantHealthy(t testing.TB) {
	t.Helper()
	w := s.connect(t, "healthy", 4)
	w.subscribe(1, "health/check")
	w.publish("health/check", "ok", 0, 0)
	w.wantPublish("health/check", "ok")
	_ = w.Close()
	eventually(t, "the healthy client's session ended", func() bool {
		return len(s.of("connect", "healthy")) == len(s.reasons("healthy"))
	})
}
