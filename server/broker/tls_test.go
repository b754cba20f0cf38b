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

// TestPlainOnTLS: who speaks MQTT where TLS is expected is not served.
func TestPlainOnTLS(t *testing.T) {
	s := transport{tls: true}.start(t, broker.Limits{})
	w := newWire(t, s.raw(t))
	w.raw(encode(t, connectPacket("plain", 4)))
	w.wantClosed(patience)
	if got := s.of("connect", ""); len(got) != 0 {
		t.Errorf("sessions %v", got)
	}
	s.wantHealthy(t)
}
