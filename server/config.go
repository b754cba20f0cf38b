// Package server assembles the fleet side: it opens the store, binds the
// ports and runs engine, broker, dispatcher and HTTP surfaces until it is told
// to stop. It decides nothing itself; every decision is in a package below.
package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"time"

	"github.com/muster-iot/muster/server/rules"
)

// Config configures a [Server].
type Config struct {
	// Data is the folder of everything that must survive a restart.
	Data string
	// HTTP, MQTT, HTTPS, MQTTS and WS are the addresses to listen on, host:port;
	// port 0 picks a free one, an empty address serves none. MQTT over
	// WebSocket is at /mqtt of HTTP and HTTPS; WS serves nothing else, with TLS
	// when there is a certificate, and under Dev without it as well.
	HTTP, MQTT, HTTPS, MQTTS, WS string
	// Cert and Key are PEM files with the server's certificate, followed by
	// its chain, and its key. ClientCA holds the authorities of the devices'
	// certificates: with it a device on MQTTS must show one.
	Cert, Key, ClientCA string
	// Account and Region appear in ARNs; a request's own region wins (rule 27).
	Account, Region string
	// Dev accepts any AWS credentials and lets any MQTT client use any topic;
	// it is refused on addresses that are not loopback.
	Dev bool
	// Rules decide where AWS is silent; the zero value is the safe profile.
	Rules *rules.Rules
	// Built is a time known to have passed: the server's time never goes below
	// it (rule 17). Zero is none.
	Built  time.Time
	Logger *slog.Logger
	// Ready is told the bound addresses once the server answers; may be nil.
	Ready func(Addresses)
}

// Addresses are where a running server listens, host:port; empty where it does not.
type Addresses struct {
	HTTP  string `json:"http,omitempty"`
	MQTT  string `json:"mqtt,omitempty"`
	HTTPS string `json:"https,omitempty"`
	MQTTS string `json:"mqtts,omitempty"`
	WS    string `json:"ws,omitempty"`
}

// broker is the address that devices are told.
func (a Addresses) broker() string { return cmp.Or(a.HTTPS, a.MQTTS, a.MQTT, a.WS, a.HTTP) }

// web is the address that callers of the HTTP planes are told.
func (a Addresses) web() string { return cmp.Or(a.HTTPS, a.HTTP) }

// Default addresses of musterd.
const (
	DefaultHTTP    = "127.0.0.1:8080"
	DefaultMQTT    = "127.0.0.1:1883"
	DefaultAccount = "123456789012"
	DefaultRegion  = "us-east-1"
)

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	regionForm  = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
)

// ErrNoIdentity says that only --dev can run yet.
var ErrNoIdentity = errors.New("musterd cannot check who its clients are yet: run it with --dev, which listens on loopback only")

// Validate returns the first thing that is wrong with a configuration.
func (c Config) Validate() error {
	switch {
	case c.Data == "":
		return errors.New("no data folder: set --data DIR")
	case !accountForm.MatchString(c.Account):
		return fmt.Errorf("account id %q is not 12 digits: set --account-id", c.Account)
	case !regionForm.MatchString(c.Region):
		return fmt.Errorf("region %q is not of the form us-east-1: set --region", c.Region)
	case !c.Dev:
		return ErrNoIdentity
	}
	listening := false
	for _, each := range c.ports(&ports{}) {
		if each.addr == "" {
			continue
		}
		listening = true
		host, _, err := net.SplitHostPort(each.addr)
		if err != nil {
			return fmt.Errorf("%s %q is not host:port", each.flag, each.addr)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("%s %q is not a loopback address: --dev lets everybody in, so it listens on loopback only", each.flag, each.addr)
		}
	}
	if !listening {
		return errors.New("nothing to listen on: set --http and --mqtt")
	}
	return c.checkTLS()
}
