package mqtt_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/listeners"

	"github.com/muster-iot/muster/agent/mqtt"
	"github.com/muster-iot/muster/internal/devcert"
)

// TestTLS: sessions over TLS work, trust the given authority only, hold the
// server to its name, and show a certificate where one is wanted.
func TestTLS(t *testing.T) {
	f, err := devcert.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	server, err := tls.LoadX509KeyPair(f.ServerCert, f.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := tls.LoadX509KeyPair(f.ClientCert, f.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	b := startBroker(t)
	listen := func(auth tls.ClientAuthType) string {
		cfg := &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: auth, ClientCAs: roots}
		l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
		if err != nil {
			t.Fatal(err)
		}
		name := "tls-" + auth.String()
		if err := b.AddListener(listeners.NewNet(name, l)); err != nil {
			t.Fatal(err)
		}
		listener, _ := b.Listeners.Get(name)
		go listener.Serve(b.EstablishConnection)
		return l.Addr().String()
	}
	open, strict := listen(tls.NoClientCert), listen(tls.RequireAndVerifyClientCert)
	for _, c := range []struct {
		name    string
		address string
		cfg     *tls.Config
		says    string
	}{
		{"a known authority", "mqtts://" + open, &tls.Config{RootCAs: roots}, ""},
		{"by another name of the server", "mqtts://" + open, &tls.Config{RootCAs: roots, ServerName: "localhost"}, ""},
		{"a client's certificate", "mqtts://" + strict, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{shown}}, ""},
		{"an unknown authority", "mqtts://" + open, nil, "unknown authority"},
		{"a wrong name", "mqtts://" + open, &tls.Config{RootCAs: roots, ServerName: "example.com"}, "example.com"},
		{"no certificate where one is wanted", "mqtts://" + strict, &tls.Config{RootCAs: roots}, "certificate required"},
		{"plain words to a TLS listener", open, &tls.Config{RootCAs: roots}, "cannot connect"},
		{"TLS to a plain listener", "mqtts://" + b.address, &tls.Config{RootCAs: roots}, "cannot speak TLS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			box, deliver := inbox()
			s, err := client(t, mqtt.Config{Servers: []string{c.address}, TLS: c.cfg}).Connect(t.Context(), []string{"a"}, deliver)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v, want one about %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Publish(t.Context(), "a", []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if m := <-box; m.payload != "hello" {
				t.Errorf("it heard %q", m.payload)
			}
		})
	}
}
