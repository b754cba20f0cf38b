package agentcmd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/muster-iot/muster/agent"
	"github.com/muster-iot/muster/agent/fetch"
	"github.com/muster-iot/muster/agent/health"
	"github.com/muster-iot/muster/agent/install"
	"github.com/muster-iot/muster/agent/inventory"
	"github.com/muster-iot/muster/agent/journal"
	"github.com/muster-iot/muster/agent/mqtt"
	"github.com/muster-iot/muster/agent/verify"
	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/trust"
	"github.com/muster-iot/muster/internal/durable"
)

// build puts the agent's real parts together. closing releases them.
func build(cfg Config, logger *slog.Logger) (_ *agent.Agent, closing func(), err error) {
	if err := durable.MkdirAll(cfg.State, 0o700); err != nil {
		return nil, nil, fmt.Errorf("cannot make the state folder: %w", err)
	}
	unlock, err := lock(filepath.Join(cfg.State, "lock"))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot use the state folder %s: %w", cfg.State, err)
	}
	closers := []func() error{unlock}
	closeAll := func() {
		for _, c := range closers {
			_ = c()
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	installers, names, err := installers(cfg, logger)
	if err != nil {
		return nil, nil, err
	}
	secure, err := cli.ClientTLS(cfg.CA, cfg.Cert, cfg.Key, "")
	if err != nil {
		return nil, nil, err
	}
	transport, err := mqtt.New(mqtt.Config{ClientID: string(cfg.Thing), Servers: cfg.MQTT, TLS: secure})
	if err != nil {
		return nil, nil, usage(err)
	}
	fetcher, err := newFetcher(cfg, secure, logger)
	if err != nil {
		return nil, nil, usage(err)
	}
	verifier, err := newVerifier(cfg, fetcher)
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, verifier.Close)
	disk, err := durable.OpenOS(cfg.State)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot use the state folder: %w", err)
	}
	closers = append(closers, disk.Close)
	a, err := agent.New(agent.Config{
		Thing:      cfg.Thing,
		Transport:  transport,
		Journal:    journal.New(disk),
		Fetcher:    fetcher,
		Installers: installers,
		Primary:    names[0],
		Trust: verify.Trust{
			Verifier: verifier, Products: names, HardwareID: cfg.HardwareID,
			Formats: []string{firmware.FormatAppDir}, AgentVersion: Version,
		},
		Inventory: inventory.Source{
			Hardware: cfg.HardwareID, AgentVersion: Version, Started: time.Now(), DataDir: cfg.State,
		},
		Register: cfg.Register,
		Logger:   logger,
	})
	return a, closeAll, err
}

func installers(cfg Config, logger *slog.Logger) (map[string]agent.Installer, []string, error) {
	byName := map[string]agent.Installer{}
	var names []string
	for _, p := range cfg.Products {
		installer, err := install.NewAppDir(install.AppDirConfig{
			Product: p.Name, Dir: p.Dir, Restart: p.Restart, Health: p.Health,
			Trial: health.Window{Timeout: cfg.HealthTimeout}, Logger: logger,
		})
		if err != nil {
			return nil, nil, usage(err)
		}
		byName[p.Name], names = installer, append(names, p.Name)
	}
	return byName, names, nil
}

func newFetcher(cfg Config, secure *tls.Config, logger *slog.Logger) (*fetch.Fetcher, error) {
	return fetch.New(fetch.Config{
		BaseURL: strings.TrimSuffix(cfg.HTTP, "/") + "/tuf/",
		Dir:     filepath.Join(cfg.State, "downloads"),
		Client: &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second, TLSHandshakeTimeout: 30 * time.Second, TLSClientConfig: secure,
		}},
		Logger: logger,
	})
}

// newVerifier opens the trusted metadata; the root file counts at the first
// start only.
func newVerifier(cfg Config, fetcher *fetch.Fetcher) (*trust.Verifier, error) {
	var root []byte
	if cfg.Root != "" {
		data, err := os.ReadFile(cfg.Root)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("cannot read the trusted root: %w", err)
		}
		root = data
	}
	return trust.Open(trust.Config{
		Dir: filepath.Join(cfg.State, "trust"), Root: root, Fetch: verify.Metadata{Fetcher: fetcher},
	})
}
