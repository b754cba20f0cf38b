package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/muster-iot/muster/server/broker"
)

// selfSigned is a certificate for 127.0.0.1.
func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestTLS serves TLS connections, as a TLS listener will hand them over: the
// guard works above TLS too.
func TestTLS(t *testing.T) {
	s := start(t, broker.Limits{ConnectTimeout: 500 * time.Millisecond}, func(cfg *broker.Config) {
		cfg.Listeners[0] = tls.NewListener(cfg.Listeners[0], &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
	})
	hello := func(id string) *wire {
		nc, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true}) // a self-signed certificate
		if err != nil {
			t.Fatal(err)
		}
		w := newWire(t, nc)
		w.hello(connectPacket(id, 4))
		return w
	}
	reader, stalled := hello("reader"), hello("stalled")
	reader.subscribe(0, "a")
	stalled.subscribe(0, "bulk")
	eventually(t, "stalled client disconnected", func() bool {
		s.Publish("bulk", make([]byte, 256<<10))
		return len(s.reasons("stalled")) == 1
	})
	wantReasons(t, s, "stalled", broker.ServerInitiatedDisconnect)
	s.Publish("a", []byte("x"))
	reader.wantPublish("a", "x")

	silent := dial(t, s.addr) // never says a word of TLS
	silent.wantClosed(patience)
	wrong := dial(t, s.addr)
	wrong.raw(encode(t, connectPacket("plain", 4)))
	wrong.wantClosed(patience)
	_ = reader.Close()
	wantReasons(t, s, "reader", broker.ConnectionLost)
}
