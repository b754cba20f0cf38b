package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
)

// mqttProtocols are the ALPN names with which devices ask for MQTT; AWS's SDKs
// always offer the first.
var mqttProtocols = []string{"x-amzn-mqtt-ca", "mqtt"}

// tlsConfigs are the settings of the secure ports.
type tlsConfigs struct{ mqtts, https *tls.Config }

// secure reads the certificate files; nil when none are named. With
// a client CA a device must show a certificate of it on the MQTT port; on the
// HTTPS port, where API clients sign their requests instead, it may.
func (c Config) secure() (*tlsConfigs, error) {
	if c.Cert == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("cannot use --cert %s with --key %s: %w", c.Cert, c.Key, err)
	}
	base := tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	mqtts, https := base.Clone(), base.Clone()
	mqtts.NextProtos = mqttProtocols
	https.NextProtos = append([]string{"http/1.1"}, mqttProtocols...)
	if c.ClientCA != "" {
		pem, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("cannot read --client-ca: %w", err)
		}
		authorities := x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot use --client-ca %s: it holds no certificate in PEM", c.ClientCA)
		}
		mqtts.ClientCAs, https.ClientCAs = authorities, authorities
		mqtts.ClientAuth, https.ClientAuth = tls.RequireAndVerifyClientCert, tls.VerifyClientCertIfGiven
	}
	// AWS's name for HTTP is none that net/http knows: such a client is served
	// as one that names nothing.
	unnamed := https.Clone()
	unnamed.NextProtos = nil
	https.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, "x-amzn-http-ca") {
			return unnamed, nil
		}
		return nil, nil
	}
	return &tlsConfigs{mqtts, https}, nil
}

// checkTLS returns what is wrong with the combination of the TLS settings.
func (c Config) checkTLS() error {
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("--cert and --key belong together: set both or none")
	case c.ClientCA != "" && c.Cert == "":
		return errors.New("--client-ca needs --cert and --key")
	}
	for _, each := range c.ports(&ports{}) {
		if each.secure && each.addr != "" && c.Cert == "" {
			return fmt.Errorf("%s needs a certificate: set --cert and --key", each.flag)
		}
	}
	return nil
}

// eitherListener serves clients with TLS and without on one port, for
// development: the first byte tells which.
type eitherListener struct {
	net.Listener
	config *tls.Config
}

func (l eitherListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &eitherConn{Conn: c, config: l.config}, nil
}

// eitherConn becomes one or the other with its first Read, which comes before
// any Write: in HTTP the client speaks first. Deadlines and the end are those
// of the connection below.
type eitherConn struct {
	net.Conn
	config *tls.Config
	begin  sync.Once
	stream io.ReadWriter // set by the first Read
	failed error         // of the first Read
}

func (c *eitherConn) Read(p []byte) (int, error) {
	c.begin.Do(c.decide)
	if c.failed != nil {
		return 0, c.failed
	}
	return c.stream.Read(p)
}

func (c *eitherConn) Write(p []byte) (int, error) { return c.stream.Write(p) }

// tlsHandshake is the first byte of a TLS connection: a record of type handshake.
const tlsHandshake = 0x16

func (c *eitherConn) decide() {
	first := make([]byte, 1)
	if _, c.failed = io.ReadFull(c.Conn, first); c.failed != nil {
		return
	}
	whole := &unreadConn{c.Conn, first}
	c.stream = whole
	if first[0] == tlsHandshake {
		c.stream = tls.Server(whole, c.config)
	}
}

// unreadConn gives back what was read ahead.
type unreadConn struct {
	net.Conn
	ahead []byte
}

func (c *unreadConn) Read(p []byte) (int, error) {
	if len(c.ahead) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.ahead)
	c.ahead = c.ahead[n:]
	return n, nil
}
