// Package floorcmd is the hidden command floor: the bare echo that a run
// measures the server against, as a child process like the server itself. It
// prints its address as one line of JSON and ends with its standard input, so
// that it never outlives who started it. What it serves is package floor's.
package floorcmd

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/internal/floor"
)

// Name is the command's.
const Name = "floor"

// Address is the line that the command prints.
type Address struct {
	// MQTT is host:port.
	MQTT string `json:"mqtt"`
}

// Command returns the command.
func Command() *cobra.Command {
	var kind, listen, cert, key string
	c := &cobra.Command{
		Use:    Name,
		Short:  "Serve a bare echo to measure a server against",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := listener(listen, cert, key)
			if err != nil {
				return err
			}
			ctx, end := context.WithCancel(c.Context())
			defer end()
			go func() {
				defer end()
				_, _ = io.Copy(io.Discard, c.InOrStdin())
			}()
			if err := json.NewEncoder(c.OutOrStdout()).Encode(Address{MQTT: l.Addr().String()}); err != nil {
				return fmt.Errorf("cannot print the address: %w", err)
			}
			return floor.Serve(ctx, floor.Kind(kind), l)
		},
	}
	f := c.Flags()
	f.StringVar(&kind, "kind", string(floor.KindEcho), "echo (a bare mochi) or raw (a loop without a broker)")
	f.StringVar(&listen, "listen", "127.0.0.1:0", "address to serve, host:port")
	f.StringVar(&cert, "cert", "", "PEM file of a certificate, to speak TLS")
	f.StringVar(&key, "key", "", "PEM file of its key")
	return c
}

func listener(address, cert, key string) (net.Listener, error) {
	if (cert == "") != (key == "") {
		return nil, cli.Usagef("TLS needs both --cert and --key")
	}
	var pair tls.Certificate
	if cert != "" {
		var err error
		if pair, err = tls.LoadX509KeyPair(cert, key); err != nil {
			return nil, fmt.Errorf("cannot use the certificate: %w", err)
		}
	}
	l, err := net.Listen("tcp", address)
	if err != nil || cert == "" {
		return l, err
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}), nil
}
