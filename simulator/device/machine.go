package device

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/muster-iot/muster/agent"
	"github.com/muster-iot/muster/agent/fetch"
	"github.com/muster-iot/muster/agent/journal"
	"github.com/muster-iot/muster/agent/mqtt"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/agent/verify"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/trust"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/simulator/load"
)

// The names on the flash. The journal's two files lie beside them.
const (
	imagesDir    = "images"
	downloadsDir = "downloads"
	currentLink  = "current"
)

// machine is the hardware: two file systems in memory that forget what was
// not synced when the power is cut.
type machine struct {
	flash *durable.Crashable // journal, images, downloads
	trust *durable.Crashable // the verified metadata
}

// newMachine makes a machine that runs a release.
func newMachine(first update.Release) (*machine, error) {
	m := &machine{flash: durable.NewCrashable(), trust: durable.NewCrashable()}
	disk := m.disk()
	if err := errors.Join(disk.MkdirAll(imagesDir, 0o700), disk.MkdirAll(downloadsDir, 0o700)); err != nil {
		return nil, err
	}
	if err := m.writeImage(first); err != nil {
		return nil, err
	}
	return m, disk.SwapSymlink(imageOf(first), currentLink)
}

func (m *machine) disk() durable.Disk        { return durable.Disk{FS: m.flash} }
func (m *machine) journal() *journal.Journal { return journal.New(m.flash) }

// cut lets every operation fail from now on.
func (m *machine) cut() {
	m.flash.CutAt(1)
	m.trust.CutAt(1)
}

// after returns the machine as it is after the cut.
func (m *machine) after(keep func() bool) *machine {
	return &machine{flash: m.flash.Crash(keep), trust: m.trust.Crash(keep)}
}

func imageOf(r update.Release) string {
	return imagesDir + "/" + r.Version + "@" + strconv.FormatInt(r.Seq, 10)
}

// writeImage writes what stands for the installed software.
func (m *machine) writeImage(r update.Release) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return m.disk().WriteFile(imageOf(r), data, 0o600)
}

// image reads an image. One that is not whole is an error.
func (m *machine) image(name string) (update.Release, error) {
	data, err := m.flash.ReadFile(name)
	if err != nil {
		return update.Release{}, err
	}
	var r update.Release
	if err := json.Unmarshal(data, &r); err != nil {
		return update.Release{}, fmt.Errorf("image %s is damaged: %w", name, err)
	}
	return r, nil
}

// current returns what the link points to; zero when there is no link.
func (m *machine) current() (update.Release, error) {
	name, err := m.flash.Readlink(currentLink)
	if errors.Is(err, fs.ErrNotExist) {
		return update.Release{}, nil
	}
	if err != nil {
		return update.Release{}, err
	}
	return m.image(name)
}

// running is current for those who only look; a machine that cannot boot
// runs nothing.
func (m *machine) running() update.Release {
	r, err := m.current()
	if err != nil {
		return update.Release{}
	}
	return r
}

// collect removes all images but the running one.
func (m *machine) collect() error {
	current, err := m.flash.Readlink(currentLink)
	if err != nil {
		return err
	}
	entries, err := m.flash.ReadDir(imagesDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := imagesDir + "/" + e.Name()
		if name == current || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := m.flash.Remove(name); err != nil {
			return err
		}
	}
	return m.flash.SyncDir(imagesDir)
}

// agent builds the real agent on the machine as it is now.
func (d *Device) agent(boot uint64) (*agent.Agent, error) {
	d.mu.Lock()
	m := d.machine
	d.mu.Unlock()
	cfg := d.cfg
	client, err := mqtt.New(mqtt.Config{
		ClientID: string(cfg.Thing), Servers: []string{cfg.MQTT}, TLS: cfg.TLS, Dial: d.network.dial, KeepAlive: cfg.KeepAlive,
	})
	if err != nil {
		return nil, err
	}
	// The folder is never used: only metadata is read through it.
	metadata, err := fetch.New(fetch.Config{BaseURL: cfg.HTTP + "/tuf/", Dir: downloadsDir, Client: cfg.Client, Retries: -1})
	if err != nil {
		return nil, err
	}
	verifier, err := trust.Open(trust.Config{
		FS: m.trust, Root: cfg.Root, Fetch: reachable{verify.Metadata{Fetcher: metadata}, d.network},
	})
	if err != nil {
		return nil, err
	}
	return agent.New(agent.Config{
		Thing:     cfg.Thing,
		Transport: &tap{device: d, transport: client},
		Journal:   watched{m.journal(), d},
		Trust: verify.Trust{
			Verifier: verifier, Products: []string{cfg.Product}, HardwareID: hardware,
			Formats: []string{firmware.FormatAppDir}, AgentVersion: agentVersion,
		},
		Fetcher:    &fetcher{device: d, machine: m},
		Installers: map[string]agent.Installer{cfg.Product: &installer{device: d, machine: m}},
		Inventory:  inventory{},
		Register:   cfg.Register,
		Reconnect:  cfg.Reconnect, Retry: cfg.Retry,
		Seed:    load.Derive(d.seed, "agent", strconv.FormatUint(boot, 10)) | 1,
		Observe: d.phase,
		Logger:  cfg.Logger,
	})
}

// watched is the journal of an agent that is watched as it writes.
type watched struct {
	*journal.Journal
	device *Device
}

// SaveState writes the state, and may be the last thing that is written.
func (w watched) SaveState(s update.State) error {
	err := w.Journal.SaveState(s)
	if err == nil {
		w.device.saved(s)
	}
	return err
}

const (
	hardware     = "virtual"
	agentVersion = "1.0.0"
)

// inventory is what a virtual thing reports beside its version.
type inventory struct{}

// Report returns what never changes, so that a repeated report changes nothing.
func (inventory) Report() map[string]any {
	return map[string]any{"hardware": hardware, "agentVersion": agentVersion}
}
