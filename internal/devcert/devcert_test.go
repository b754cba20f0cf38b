package devcert_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/muster-iot/muster/internal/devcert"
)

// pool reads a file of certificates.
func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(data) {
		t.Fatalf("%s has no certificate", file)
	}
	return p
}

// TestHandshake: both sides know each other by the files, by every name that
// the server has, and by no other.
func TestHandshake(t *testing.T) {
	f, err := devcert.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := tls.LoadX509KeyPair(f.ServerCert, f.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tls.LoadX509KeyPair(f.ClientCert, f.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		server string
		certs  []tls.Certificate
		ok     bool
	}{
		{"by name", "localhost", []tls.Certificate{client}, true},
		{"by address", "127.0.0.1", []tls.Certificate{client}, true},
		{"by address of IPv6", "::1", []tls.Certificate{client}, true},
		{"another name", "example.com", []tls.Certificate{client}, false},
		{"a client without a certificate", "localhost", nil, false},
		{"the server's certificate as a client's", "localhost", []tls.Certificate{server}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			defer b.Close()
			taken := make(chan error, 1)
			go func() {
				taken <- tls.Server(a, &tls.Config{
					Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool(t, f.CA),
				}).Handshake()
				a.Close()
			}()
			asked := tls.Client(b, &tls.Config{RootCAs: pool(t, f.CA), ServerName: c.server, Certificates: c.certs}).Handshake()
			b.Close()
			if ok := asked == nil && <-taken == nil; ok != c.ok {
				t.Errorf("handshake works: %t, the client says %v", ok, asked)
			}
		})
	}
}

func TestMakeRefuses(t *testing.T) {
	if _, err := devcert.Make(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("certificates were written to a folder that is not there")
	}
}
