// Package serverd is the command musterd: flags, environment and file become
// a server.Config, and the server runs. muster demo runs it as a child process.
package serverd

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/server"
	"github.com/muster-iot/muster/server/rules"
)

// settings are the keys of flags, MUSTER_* variables and the file.
type settings struct {
	Data           string        `mapstructure:"data"`
	HTTP           string        `mapstructure:"http"`
	MQTT           string        `mapstructure:"mqtt"`
	HTTPS          string        `mapstructure:"https"`
	MQTTS          string        `mapstructure:"mqtts"`
	WS             string        `mapstructure:"ws"`
	Cert           string        `mapstructure:"cert"`
	Key            string        `mapstructure:"key"`
	ClientCA       string        `mapstructure:"client-ca"`
	Account        string        `mapstructure:"account-id"`
	Region         string        `mapstructure:"region"`
	Profile        rules.Profile `mapstructure:"profile"`
	AWSLimits      string        `mapstructure:"aws-limits"`
	ReconnectGrace time.Duration `mapstructure:"reconnect-grace"`
	LogLevel       string        `mapstructure:"log-level"`
	Dev            bool          `mapstructure:"dev"`
}

// Command returns the command musterd.
func Command() *cobra.Command {
	safe := rules.Safe()
	c := &cobra.Command{
		Use:   "musterd",
		Short: "The fleet server: AWS IoT API over HTTP, devices over MQTT",
		Long: `musterd serves the AWS IoT API and the reserved MQTT topics for a fleet.

Every flag can be set as MUSTER_<FLAG> in the environment (MUSTER_HTTP,
MUSTER_ACCOUNT_ID) or as a key of the YAML file named by --config; a flag wins over
the environment, and that over the file. The addresses in use are printed as
one line of JSON on standard output once the server answers.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := configure(c)
			if err != nil {
				return err
			}
			s, err := server.New(cfg)
			if err != nil {
				return err
			}
			return s.Run(c.Context())
		},
	}
	f := c.Flags()
	f.String("config", "", "YAML file with the same keys as the flags")
	f.String("data", "muster-data", "folder of everything that must survive a restart")
	f.String("http", server.DefaultHTTP, "address of the HTTP API, host:port; port 0 picks a free one, an empty address serves none")
	f.String("mqtt", server.DefaultMQTT, "address of the MQTT broker, host:port; port 0 picks a free one")
	f.String("https", "", "address of the HTTP API with TLS; also MQTT by ALPN, as on AWS's port 443")
	f.String("mqtts", "", "address of the MQTT broker with TLS")
	f.String("ws", "", "address of MQTT over WebSocket alone (it is at /mqtt of --http and --https too); with TLS when --cert is set, under --dev with and without")
	f.String("cert", "", "PEM file of the server's certificate and its chain")
	f.String("key", "", "PEM file of the certificate's key")
	f.String("client-ca", "", "PEM file of the authorities of device certificates: with it, devices on --mqtts must show one")
	f.String("account-id", server.DefaultAccount, "12-digit account id in ARNs")
	f.String("region", server.DefaultRegion, "region in ARNs where a request names none")
	f.String("profile", string(rules.ProfileSafe), "rules where AWS is silent or harmful: safe, or aws, which does what AWS does")
	f.String("aws-limits", "", "AWS's quotas, true or false; without it they are on in the aws profile and off in the safe one")
	f.Lookup("aws-limits").NoOptDefVal = "true"
	f.Duration("reconnect-grace", safe.ReconnectGrace, "time for devices to come back after a restart before they count as disconnected")
	f.String("log-level", "info", "debug, info, warn or error")
	f.Bool("dev", false, "let everybody in, on loopback addresses only")
	return c
}

func configure(c *cobra.Command) (server.Config, error) {
	var s settings
	if err := cli.Settings(c, "MUSTER", &s); err != nil {
		return server.Config{}, err
	}
	logger, err := cli.Logger(s.LogLevel)
	if err != nil {
		return server.Config{}, err
	}
	r, err := s.rules()
	if err != nil {
		return server.Config{}, err
	}
	out := json.NewEncoder(c.OutOrStdout())
	return server.Config{
		Data: s.Data, HTTP: s.HTTP, MQTT: s.MQTT, HTTPS: s.HTTPS, MQTTS: s.MQTTS, WS: s.WS,
		Cert: s.Cert, Key: s.Key, ClientCA: s.ClientCA, Account: s.Account, Region: s.Region,
		Dev: s.Dev, Rules: &r, Built: server.Built(), Logger: logger,
		Ready: func(a server.Addresses) {
			logger.Info("serving", "profile", r.Profile, "awsLimits", r.Limits == rules.AWSLimits())
			if err := out.Encode(a); err != nil {
				logger.Warn("cannot print the addresses", "error", err)
			}
		},
	}, nil
}

// rules are those of the profile, with the limits that were asked for.
func (s settings) rules() (rules.Rules, error) {
	r, err := s.Profile.Rules()
	if err != nil {
		return r, cli.Usagef("--profile: %w", err)
	}
	if s.AWSLimits != "" {
		on, err := strconv.ParseBool(s.AWSLimits)
		if err != nil {
			return r, cli.Usagef("--aws-limits: %q is not true or false", s.AWSLimits)
		}
		r.Limits = rules.SafeLimits()
		if on {
			r.Limits = rules.AWSLimits()
		}
	}
	r.ReconnectGrace = s.ReconnectGrace
	return r, nil
}
