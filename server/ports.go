package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/muster-iot/muster/server/broker"
)

// ports are the bound listeners; nil where the configuration names none.
type ports struct{ http, mqtt, https, mqtts, ws net.Listener }

// port is one line of the table of what a server listens on.
type port struct {
	flag, addr string
	secure     bool
	bound      *net.Listener
}

func (c Config) ports(p *ports) []port {
	return []port{
		{"--http", c.HTTP, false, &p.http},
		{"--mqtt", c.MQTT, false, &p.mqtt},
		{"--https", c.HTTPS, true, &p.https},
		{"--mqtts", c.MQTTS, true, &p.mqtts},
		{"--ws", c.WS, false, &p.ws},
	}
}

// bind opens every port of a configuration, or none.
func (c Config) bind() (*ports, error) {
	p := &ports{}
	for _, each := range c.ports(p) {
		if each.addr == "" {
			continue
		}
		l, err := net.Listen("tcp", each.addr)
		if err != nil {
			p.close()
			return nil, fmt.Errorf("cannot listen on %s %s: %w", each.flag, each.addr, errors.Unwrap(err))
		}
		*each.bound = l
	}
	return p, nil
}

// close releases the ports; those that were served are closed already.
func (p *ports) close() {
	for _, each := range (Config{}).ports(p) {
		if *each.bound != nil {
			(*each.bound).Close()
		}
	}
}

func (p *ports) addresses() Addresses {
	return Addresses{HTTP: address(p.http), MQTT: address(p.mqtt), HTTPS: address(p.https), MQTTS: address(p.mqtts), WS: address(p.ws)}
}

func address(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// forDevices are the listeners that speak MQTT from the first byte.
func (p *ports) forDevices(secure *tlsConfigs) []net.Listener {
	var all []net.Listener
	if p.mqtt != nil {
		all = append(all, p.mqtt)
	}
	if p.mqtts != nil {
		all = append(all, tls.NewListener(p.mqtts, secure.mqtts))
	}
	return all
}

// webPort is an HTTP server and the listener that it serves.
type webPort struct {
	*http.Server
	listener net.Listener
}

func (w webPort) serve() error {
	serve := w.Serve
	if w.TLSConfig != nil {
		serve = func(l net.Listener) error { return w.ServeTLS(l, "", "") }
	}
	if err := serve(w.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve HTTP on %s: %w", w.listener.Addr(), err)
	}
	return nil
}

// web makes the HTTP servers: the API and MQTT over WebSocket on the HTTP
// ports, MQTT over WebSocket alone, at any path, on its own.
func (s *Server) web(p *ports, api http.Handler, b *broker.Broker, secure *tlsConfigs) []webPort {
	var all []webPort
	add := func(l net.Listener, h http.Handler, config *tls.Config) *http.Server {
		l = capped(l, webConnections, webConnectionsPerIP)
		web := &http.Server{
			Handler: h, TLSConfig: config, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
			ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug), // of clients' mistakes
		}
		all = append(all, webPort{web, l})
		return web
	}
	if p.http != nil {
		add(p.http, api, nil)
	}
	if p.https != nil {
		// A device that asks for MQTT by ALPN gets it on this port too, as on
		// AWS's port 443.
		web := add(p.https, api, secure.https)
		device := func(_ *http.Server, c *tls.Conn, _ http.Handler) { b.Serve(c) }
		web.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
		for _, name := range mqttProtocols {
			web.TLSNextProto[name] = device
		}
	}
	switch {
	case p.ws == nil:
	case secure == nil:
		add(p.ws, b.WebSocket(), nil)
	case s.cfg.Dev:
		add(eitherListener{p.ws, secure.https}, b.WebSocket(), nil)
	default:
		add(p.ws, b.WebSocket(), secure.https)
	}
	return all
}
