package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/devcert"
	"github.com/muster-iot/muster/server"
)

const patience = 30 * time.Second

// fleet is a running server with every port, and certificates for it.
type fleet struct {
	server.Addresses
	files  devcert.Files
	client *tls.Config // trusts the server and shows a certificate
}

func start(t *testing.T, change func(*server.Config)) fleet {
	t.Helper()
	files, err := devcert.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := server.Config{
		Data: t.TempDir(), HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", HTTPS: "127.0.0.1:0", MQTTS: "127.0.0.1:0", WS: "127.0.0.1:0",
		Cert: files.ServerCert, Key: files.ServerKey, ClientCA: files.CA,
		Account: server.DefaultAccount, Region: server.DefaultRegion, Dev: true, Logger: slog.New(slog.DiscardHandler),
	}
	ready := make(chan server.Addresses, 1)
	cfg.Ready = func(a server.Addresses) { ready <- a }
	if change != nil {
		change(&cfg)
	}
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	f := fleet{files: files, client: trust(t, files)}
	select {
	case f.Addresses = <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("not ready")
	}
	return f
}

func trust(t *testing.T, files devcert.Files) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	own, err := tls.LoadX509KeyPair(files.ClientCert, files.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{own}}
}

// connect is a CONNECT packet of MQTT 3.1.1, clean session, client id "t".
const connect = "\x10\x0d\x00\x04MQTT\x04\x02\x04\xb0\x00\x01t"

// speaksMQTT says CONNECT and reports whether CONNACK answers.
func speaksMQTT(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, connect); err != nil {
		return false
	}
	ack := make([]byte, 4)
	_, err := io.ReadFull(c, ack)
	return err == nil && string(ack) == "\x20\x02\x00\x00"
}

// upgrades asks for MQTT over WebSocket and reports whether it is granted.
func upgrades(t *testing.T, c net.Conn, path string) bool {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	request := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
	if _, err := io.WriteString(c, request); err != nil {
		return false
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusSwitchingProtocols && response.Header.Get("Sec-Websocket-Protocol") == "mqtt"
}

// TestPorts: what is spoken on each port, by the names that clients ask for.
func TestPorts(t *testing.T) {
	f := start(t, nil)
	secure := func(addr string, names ...string) net.Conn {
		t.Helper()
		cfg := f.client.Clone()
		cfg.NextProtos = names
		c, err := tls.Dial("tcp", addr, cfg)
		if err != nil {
			t.Fatalf("%s %v: %v", addr, names, err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	plain := func(addr string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	for name, c := range map[string]net.Conn{
		"mqtt":                         plain(f.MQTT),
		"mqtts without ALPN":           secure(f.MQTTS),
		"mqtts, x-amzn-mqtt-ca":        secure(f.MQTTS, "x-amzn-mqtt-ca"),
		"mqtts, mqtt":                  secure(f.MQTTS, "mqtt"),
		"https, x-amzn-mqtt-ca":        secure(f.HTTPS, "x-amzn-mqtt-ca"),
		"https, mqtt":                  secure(f.HTTPS, "mqtt"),
		"https, the device's name too": secure(f.HTTPS, "h2", "x-amzn-mqtt-ca"),
	} {
		if !speaksMQTT(c) {
			t.Errorf("%s: no CONNACK", name)
		}
	}
	for name, ok := range map[string]bool{
		"http, /mqtt":            upgrades(t, plain(f.HTTP), "/mqtt"),
		"https, /mqtt":           upgrades(t, secure(f.HTTPS), "/mqtt"),
		"https, x-amzn-http-ca":  upgrades(t, secure(f.HTTPS, "x-amzn-http-ca"), "/mqtt"),
		"ws, /mqtt":              upgrades(t, plain(f.WS), "/mqtt"),
		"ws with TLS, /mqtt":     upgrades(t, secure(f.WS), "/mqtt"),
		"ws with TLS, at /":      upgrades(t, secure(f.WS, "http/1.1"), "/"),
		"not http, another path": !upgrades(t, plain(f.HTTP), "/mqtts"),
	} {
		if !ok {
			t.Errorf("%s: does not hold", name)
		}
	}
	web := http.Client{Transport: &http.Transport{TLSClientConfig: f.client}, Timeout: patience}
	defer web.CloseIdleConnections()
	response, err := web.Get("https://" + f.HTTPS + "/endpoint?endpointType=iot:Data-ATS")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); !strings.Contains(string(body), f.HTTPS) {
		t.Errorf("DescribeEndpoint answers %s, not the port that serves both", body)
	}
}

// TestHandshakes: who is refused before a word of MQTT or HTTP is said.
func TestHandshakes(t *testing.T) {
	f := start(t, nil)
	other, err := devcert.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := tls.LoadX509KeyPair(other.ClientCert, other.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		addr   string
		change func(*tls.Config)
		ok     bool
	}{
		{"mqtts, own certificate", f.MQTTS, func(*tls.Config) {}, true},
		{"mqtts, no certificate", f.MQTTS, func(c *tls.Config) { c.Certificates = nil }, false},
		{"mqtts, a foreign certificate", f.MQTTS, func(c *tls.Config) { c.Certificates = []tls.Certificate{foreign} }, false},
		{"mqtts, ALPN of HTTP", f.MQTTS, func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, false},
		{"mqtts, TLS 1.1", f.MQTTS, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }, false},
		{"https, no certificate", f.HTTPS, func(c *tls.Config) { c.Certificates = nil }, true},
		{"https, a foreign certificate", f.HTTPS, func(c *tls.Config) { c.Certificates = []tls.Certificate{foreign} }, false},
		{"https, unknown ALPN", f.HTTPS, func(c *tls.Config) { c.NextProtos = []string{"spdy"} }, false},
	} {
		cfg := f.client.Clone()
		row.change(cfg)
		words := connect
		if row.addr == f.HTTPS {
			words = "GET /healthz HTTP/1.0\r\n\r\n"
		}
		if got := shakes(t, row.addr, cfg, words); got != row.ok {
			t.Errorf("%s: accepted %v, want %v", row.name, got, row.ok)
		}
	}
}

// shakes reports whether a server accepts a client's handshake: in TLS 1.3 the
// client learns of a refusal with its first read only.
func shakes(t *testing.T, addr string, cfg *tls.Config, words string) bool {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(patience))
	c := tls.Client(raw, cfg)
	if c.Handshake() != nil {
		return false
	}
	if _, err := io.WriteString(c, words); err != nil {
		return false
	}
	_, err = c.Read(make([]byte, 1))
	return err == nil
}

// TestCertificateFiles: what is wrong with them is said with the flag's name.
func TestCertificateFiles(t *testing.T) {
	files, err := devcert.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	whole := server.Config{
		Data: t.TempDir(), MQTTS: "127.0.0.1:0", Cert: files.ServerCert, Key: files.ServerKey, ClientCA: files.CA,
		Account: server.DefaultAccount, Region: server.DefaultRegion, Dev: true, Logger: slog.New(slog.DiscardHandler),
	}
	for _, row := range []struct {
		name   string
		change func(*server.Config)
		want   string
	}{
		{"no port", func(c *server.Config) { c.MQTTS = "" }, "nothing to listen on"},
		{"no certificate", func(c *server.Config) { c.Cert, c.Key, c.ClientCA = "", "", "" }, "--mqtts needs a certificate: set --cert and --key"},
		{"no key", func(c *server.Config) { c.Key = "" }, "--cert and --key belong together"},
		{"client CA alone", func(c *server.Config) { c.Cert, c.Key, c.MQTTS, c.MQTT = "", "", "", "127.0.0.1:0" }, "--client-ca needs --cert and --key"},
		{"missing file", func(c *server.Config) { c.Cert = "none.pem" }, "cannot use --cert none.pem"},
		{"another's key", func(c *server.Config) { c.Key = files.ClientKey }, "private key does not match"},
		{"CA that is a key", func(c *server.Config) { c.ClientCA = files.ServerKey }, "it holds no certificate"},
		{"missing CA", func(c *server.Config) { c.ClientCA = "none.pem" }, "cannot read --client-ca"},
	} {
		cfg := whole
		row.change(&cfg)
		s, err := server.New(cfg)
		if err == nil {
			err = s.Run(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
}
