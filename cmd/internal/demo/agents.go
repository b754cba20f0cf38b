package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/muster-iot/muster/protocol"
)

// realAgents is how many devices are processes of their own.
const realAgents = 3

// realDevice is a device that is a process of its own, with its own folders.
type realDevice struct {
	name  protocol.ThingName
	dir   string // folder of everything below
	child *child
}

// The agent runs these on its device. The restart command keeps a ledger of
// every version that was started, which the demo counts in the end; the health
// command is the product's own.
const (
	restartCommand = `printf '%s\n' "$MUSTER_VERSION" >> "$MUSTER_DIR/started"`
	healthCommand  = `sh "$MUSTER_CURRENT/health"`
)

// startAgents starts the real agents. They register themselves, which a
// development server allows.
func startAgents(f *family, m *musterd, folder, root string) ([]*realDevice, error) {
	// An empty configuration keeps that of an agent on this machine out.
	config := filepath.Join(folder, "agents.yaml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the agents' configuration: %w", err)
	}
	var devices []*realDevice
	for i := range realAgents {
		name := fmt.Sprintf("real-%d", i+1)
		d := &realDevice{name: protocol.ThingName(name), dir: filepath.Join(folder, name)}
		args := []string{
			"muster-agent", "run", "--config", config,
			"--mqtt", m.broker(), "--http", m.url(), "--thing", name, "--register",
			"--state", filepath.Join(d.dir, "state"), "--product", product + "=" + d.install(),
			"--root", root, "--restart", restartCommand, "--health", healthCommand, "--health-timeout", "20s",
		}
		if m.tls != nil {
			args = append(args, "--ca", m.tls.CA)
		}
		var err error
		if d.child, err = f.start(name, args...); err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// install is the product's folder on the device.
func (d *realDevice) install() string { return filepath.Join(d.dir, product) }

// running reads from the device's disk which version is the current one.
func (d *realDevice) running() string {
	data, err := os.ReadFile(filepath.Join(d.install(), "current", "VERSION"))
	if err != nil {
		return "none"
	}
	return strings.TrimSpace(string(data))
}

// started reads which versions were started on the device, in order.
func (d *realDevice) started() []string {
	data, err := os.ReadFile(filepath.Join(d.install(), "started"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}
