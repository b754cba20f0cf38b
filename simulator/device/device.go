// Package device is a virtual thing: the real agent (package agent with its
// real MQTT transport, update machine, journal and verification) on a made-up
// machine, whose flash is in memory and survives simulated power cuts, whose
// installer only pretends to run software, and whose network can be taken
// away. It owns that machine, breaks it when told to, and tells what truly
// happened on it, which is not always what the agent says. It never decides
// anything about an update: the agent does.
//
// Read on in machine.go (flash and boot), network.go (the cable), installer.go
// and fetcher.go (the made-up parts), tap.go (what is seen of the
// conversation), event.go (what is told).
package device

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/muster-iot/muster/agent"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/internal/pause"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/simulator/load"
)

// Config makes a [Device].
type Config struct {
	// Thing is the device's name. Required.
	Thing protocol.ThingName
	// MQTT is the broker's address, host:port or mqtts://host:port for TLS;
	// HTTP the server's base URL, below which /tuf/ has the signed repository.
	// Required.
	MQTT, HTTP string
	// TLS says whom the device trusts and what it shows to the broker where
	// TLS is spoken. Default: the system's roots, no certificate.
	TLS *tls.Config
	// Root is the signed repository's root metadata that the device is born
	// with. Required.
	Root []byte
	// Product is what the device runs, in version Version with the release
	// counter Seq. Required.
	Product, Version string
	Seq              int64
	// Register asks the server to register the thing (rule 29).
	Register bool
	// Client makes the requests to the repository; it is shared by a fleet.
	// Nil makes one for this device.
	Client *http.Client
	// Source is the local address that connections come from. The zero value
	// leaves it to the system.
	Source netip.Addr
	// Reconnect paces connection attempts, Retry what failed otherwise;
	// default ShortestPause to LongestPause.
	Reconnect, Retry agent.Backoff
	// KeepAlive is the agent's. Default 60 s.
	KeepAlive time.Duration
	// UpdateTime bounds how long an update takes, download aside: it is drawn
	// evenly between half of it and all of it. 0 takes no time.
	UpdateTime time.Duration
	// FailureProbability is the probability, 0 to 1, that a new version does
	// not become healthy.
	FailureProbability float64
	// RebootTime is how long a crashed device is down. Default 500 ms.
	RebootTime time.Duration
	// Seed decides everything that is drawn; each device of a fleet has its own.
	Seed uint64
	// Observe is told what happens. It is called from several goroutines and
	// must not block. May be nil.
	Observe func(Event)
	// Logger takes the agent's log. Default: nothing is logged.
	Logger *slog.Logger
}

// Device is one virtual thing. Make it with [New] and call Run once.
type Device struct {
	cfg     Config
	seed    uint64
	network *network
	crash   chan struct{} // capacity 1

	mu      sync.Mutex
	machine *machine // replaced at each crash
	status  Status
	crashAt update.Phase
	// dropOnNotify is how long a drop takes that is due at the next
	// notification; 0 is none.
	dropOnNotify time.Duration
	// sessions counts them; the last one is the current one.
	sessions int
}

// Status is the truth about a device at one moment.
type Status struct {
	Thing protocol.ThingName
	// Running is what the machine runs, whatever the agent says.
	Running update.Release
	// Connected says that the agent has a session.
	Connected bool
	// Phase is the agent's; Execution what it works on, or zero.
	Phase     update.Phase
	Execution update.Identity
	// Installs counts how often a version was made the running one by an
	// update; Crashes and Drops what was done to the device.
	Installs, Crashes, Drops int
}

// Updating says that the device works on an execution.
func (s Status) Updating() bool { return s.Execution != update.Identity{} }

// New checks the configuration and makes the device's flash. It connects to
// nothing.
func New(cfg Config) (*Device, error) {
	switch {
	case !cfg.Thing.Valid():
		return nil, fmt.Errorf("thing name %q is not 1 to 128 of [a-zA-Z0-9:_-]", cfg.Thing)
	case cfg.MQTT == "" || cfg.HTTP == "":
		return nil, errors.New("a virtual thing needs the server's MQTT and HTTP addresses")
	case len(cfg.Root) == 0:
		return nil, errors.New("a virtual thing needs the root of the signed repository")
	case cfg.FailureProbability < 0 || cfg.FailureProbability > 1:
		return nil, fmt.Errorf("failure probability %v is not 0 to 1", cfg.FailureProbability)
	case cfg.UpdateTime < 0:
		return nil, fmt.Errorf("update time %v is negative", cfg.UpdateTime)
	}
	if err := errors.Join(firmware.CheckProduct(cfg.Product), firmware.CheckVersion(cfg.Version)); err != nil {
		return nil, err
	}
	cfg = withDefaults(cfg)
	d := &Device{
		cfg: cfg, seed: cfg.Seed,
		crash: make(chan struct{}, 1), network: newNetwork(cfg.Source),
	}
	first := update.Release{Version: cfg.Version, Seq: cfg.Seq}
	m, err := newMachine(first)
	if err != nil {
		return nil, fmt.Errorf("cannot make the flash of %q: %w", cfg.Thing, err)
	}
	d.machine = m
	d.status = Status{Thing: cfg.Thing, Running: first, Phase: update.Idle}
	return d, nil
}

// The pauses of devices by default: the first is drawn up to the shortest, each
// up to twice the one before, none above the longest.
const (
	ShortestPause = 200 * time.Millisecond
	LongestPause  = 5 * time.Second
)

func withDefaults(cfg Config) Config {
	for _, b := range []*agent.Backoff{&cfg.Reconnect, &cfg.Retry} {
		if b.Base <= 0 {
			b.Base = ShortestPause
		}
		if b.Max <= 0 {
			b.Max = LongestPause
		}
	}
	if cfg.RebootTime <= 0 {
		cfg.RebootTime = 500 * time.Millisecond
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, ResponseHeaderTimeout: 30 * time.Second,
		}}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// Run is the device's life until ctx ends: it boots, and boots again after
// each crash.
func (d *Device) Run(ctx context.Context) error {
	for boot := uint64(1); ; boot++ {
		crashed, err := d.boot(ctx, boot)
		if err != nil || !crashed {
			return err
		}
		if !pause.For(ctx, d.cfg.RebootTime) {
			return nil
		}
		d.network.plug()
	}
}

// boot runs an agent until ctx ends or the power is cut.
func (d *Device) boot(ctx context.Context, boot uint64) (crashed bool, err error) {
	a, err := d.agent(boot)
	if err != nil {
		return false, fmt.Errorf("cannot boot %q: %w", d.cfg.Thing, err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case err := <-ended:
		return false, err
	case <-d.crash:
	}
	d.powerOff()
	stop()
	<-ended
	d.reboot()
	return true, nil
}

// powerOff cuts the power: nothing leaves the device any more, then nothing is
// written any more. The agent notices later, as it ends.
func (d *Device) powerOff() {
	d.network.unplug()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.machine.cut()
}

// reboot makes the machine as it is after the power cut.
func (d *Device) reboot() {
	d.mu.Lock()
	d.status.Crashes++
	n := d.status.Crashes
	kept := load.Rand(d.seed, "flash", fmt.Sprint(n))
	d.machine = d.machine.after(func() bool { return kept.IntN(2) == 0 })
	d.status.Running = d.machine.running()
	if s, err := d.machine.journal().State(); err == nil {
		d.status.Phase, d.status.Execution = s.Phase, s.Execution
	}
	running := d.status.Running
	d.mu.Unlock()
	d.tell(Event{Kind: Crashed, Running: running})
}

// offline notes the end of a session, unless a newer one has begun.
func (d *Device) offline(session int) {
	d.mu.Lock()
	ended := d.status.Connected && d.sessions == session
	if ended {
		d.status.Connected = false
	}
	d.mu.Unlock()
	if ended {
		d.tell(Event{Kind: Disconnected})
	}
}

// Status returns the truth about the device.
func (d *Device) Status() Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

// Drop cuts the device's connection without a goodbye and keeps it off the
// network for a time.
func (d *Device) Drop(off time.Duration) {
	d.mu.Lock()
	d.status.Drops++
	d.mu.Unlock()
	d.tell(Event{Kind: Dropped})
	d.network.drop(off)
}

// DropOnNotify arms one drop: the connection is cut when a notification of a
// queued execution has arrived, before the agent has heard it.
func (d *Device) DropOnNotify(off time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dropOnNotify = off
}

// notified carries out a drop that is due.
func (d *Device) notified() {
	d.mu.Lock()
	off := d.dropOnNotify
	d.dropOnNotify = 0
	d.mu.Unlock()
	if off > 0 {
		d.Drop(off)
	}
}

// Crash cuts the device's power: what was not synced to the flash is lost at
// random, and the agent starts again on the rest.
func (d *Device) Crash() {
	select {
	case d.crash <- struct{}{}:
	default: // it is crashing already
	}
}

// CrashAt arms one crash in a phase: the power is cut when the phase has just
// been journaled, before any of its work is done.
func (d *Device) CrashAt(p update.Phase) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashAt = p
}

// phase follows the agent. It is called from the agent's loop.
func (d *Device) phase(s update.State) {
	d.mu.Lock()
	d.status.Phase, d.status.Execution = s.Phase, s.Execution
	d.mu.Unlock()
	d.tell(Event{Kind: PhaseEntered, Phase: s.Phase, Execution: s.Execution})
}

// saved is called when the agent has journaled a state.
func (d *Device) saved(s update.State) {
	d.mu.Lock()
	due := d.crashAt != "" && d.crashAt == s.Phase
	if due {
		d.crashAt = ""
	}
	d.mu.Unlock()
	if due {
		d.powerOff()
		d.Crash()
	}
}

// switched notes what the machine runs from now on.
func (d *Device) switched(to update.Release, byUpdate bool) {
	d.mu.Lock()
	from, id := d.status.Running, d.status.Execution
	d.status.Running = to
	changed := from != to
	if changed && byUpdate {
		d.status.Installs++
	}
	d.mu.Unlock()
	switch {
	case changed && byUpdate:
		d.tell(Event{Kind: Installed, Execution: id, Running: to})
	case changed:
		d.tell(Event{Kind: WentBack, Execution: id, Running: to})
	}
}

// tell stamps an event and passes it on.
func (d *Device) tell(e Event) {
	if d.cfg.Observe == nil {
		return
	}
	e.At, e.Thing = time.Now(), d.cfg.Thing
	d.cfg.Observe(e)
}
