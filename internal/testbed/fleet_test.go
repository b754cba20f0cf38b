package testbed_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/agent"
	"github.com/muster-iot/muster/agent/mqtt"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/internal/testbed"
	"github.com/muster-iot/muster/protocol"
	document "github.com/muster-iot/muster/protocol/update"
)

// machine is a made-up device: what an agent keeps and runs, for ever correct
// and a little slow. It implements all parts of the agent but its transport.
type machine struct {
	name string
	// slow is how long each step of an update takes, by product.
	slow map[string]time.Duration

	mu        sync.Mutex
	state     update.State
	committed map[string]update.Release
	// running is the release of product app.
	running   update.Release
	installed []string // "PRODUCT VERSION"
	flaps     int
}

func newMachine(name string, slow map[string]time.Duration) *machine {
	return &machine{name: name, slow: slow, committed: map[string]update.Release{}, running: update.Release{Version: "5", Seq: 50_000}}
}

func (m *machine) State() (update.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state, nil
}

func (m *machine) SaveState(s update.State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = s
	return nil
}

func (m *machine) Committed() (map[string]update.Release, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.committed), nil
}

func (m *machine) SaveCommitted(c map[string]update.Release) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.committed = maps.Clone(c)
	return nil
}

// Resolve trusts every document.
func (m *machine) Resolve(_ context.Context, _ time.Time, d document.Document, _ update.Release) (firmware.Target, error) {
	return firmware.Target{Path: d.Target, Length: 1, Custom: firmware.Custom{
		Product: d.Product, Version: d.Version, Seq: d.Seq, HardwareIDs: []string{firmware.AnyHardware}, TargetFormat: firmware.FormatAppDir,
	}}, nil
}

func (m *machine) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (m *machine) Fetch(ctx context.Context, t firmware.Target) error { return m.step(ctx, t) }
func (m *machine) Verify(context.Context, firmware.Target) error      { return nil }
func (m *machine) File(t firmware.Target) string                      { return t.Path }
func (m *machine) Remove(firmware.Target) error                       { return nil }
func (m *machine) Prepare(context.Context, firmware.Target) error     { return nil }
func (m *machine) Check(ctx context.Context, t firmware.Target) error { return m.step(ctx, t) }
func (m *machine) Commit(context.Context, firmware.Target) error      { return nil }
func (m *machine) Install(ctx context.Context, t firmware.Target, _ string) error {
	return m.step(ctx, t)
}

func (m *machine) step(ctx context.Context, t firmware.Target) error {
	return m.wait(ctx, m.slow[t.Custom.Product])
}

func (m *machine) Switch(_ context.Context, t firmware.Target) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.Custom.Product == "app" {
		m.running = update.ReleaseOf(t)
	}
	m.installed = append(m.installed, t.Custom.Product+" "+t.Custom.Version)
	return nil
}

func (m *machine) Rollback(_ context.Context, to update.Release, _ firmware.Target) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.installed = append(m.installed, "back to "+to.Version)
	return nil
}

// app is the machine as the installer of the product that it is born with.
type app struct{ *machine }

func (a app) Current() (update.Release, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.running, nil
}

// live runs the machine's agent until ctx ends.
func (m *machine) live(ctx context.Context, t *testing.T, bed *testbed.Bed) {
	transport, err := mqtt.New(mqtt.Config{ClientID: m.name, Servers: []string{m.name + ":1883"}, Dial: bed.Dial, KeepAlive: 10 * time.Minute})
	if err != nil {
		t.Error(err)
		return
	}
	a, err := agent.New(agent.Config{
		Thing: protocol.ThingName(m.name), Transport: transport, Journal: m, Trust: m, Fetcher: m,
		Installers: map[string]agent.Installer{"app": app{m}, "config": m}, Primary: "app",
		Register: true, Seed: uint64(m.slow["app"]),
	})
	if err != nil {
		t.Error(err)
		return
	}
	if err := a.Run(ctx); err != nil {
		t.Errorf("%s: %v", m.name, err)
	}
}

// flap takes the machine's cable out and puts it back until ctx ends.
func (m *machine) flap(ctx context.Context, rng *rand.Rand, bed *testbed.Bed) {
	defer bed.Plug(m.name)
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(rng.Int64N(int64(most-least)))
	}
	for m.wait(ctx, between(5*time.Minute, 3*time.Hour)) == nil {
		m.mu.Lock()
		m.flaps++
		m.mu.Unlock()
		bed.Unplug(m.name)
		if m.wait(ctx, between(time.Second, 40*time.Minute)) != nil {
			return
		}
		bed.Plug(m.name)
	}
}

// TestDayOfAFleet is a day of 20 devices whose connections come and go and
// some of which appear only in the course of it. They are busy with their
// configuration when a continuous job comes that brings each of them from version 5
// to 6: once, whatever happens, a stop of the server included.
func TestDayOfAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		if text := os.Getenv("MUSTER_SEED"); text != "" {
			var err error
			if seed, err = strconv.ParseUint(text, 0, 64); err != nil {
				t.Fatalf("MUSTER_SEED=%q is not a number", text)
			}
		}
		t.Logf("seed: MUSTER_SEED=%#x", seed)
		rng := rand.New(rand.NewPCG(seed, 0))
		upTo := func(d time.Duration) time.Duration { return time.Duration(1 + rng.Int64N(int64(d))) }
		bed := testbed.New(t, testbed.Options{})
		f := &fleet{t: t, bed: bed}
		ctx, stop := context.WithCancel(t.Context())
		flapping, calm := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		defer calm()
		for i := range 20 {
			m := newMachine(fmt.Sprintf("gw-%02d", i), map[string]time.Duration{"config": upTo(time.Hour), "app": upTo(10 * time.Minute)})
			f.machines = append(f.machines, m)
			late := time.Duration(0)
			if i >= 14 {
				late = upTo(12 * time.Hour)
			}
			flaps := rand.New(rand.NewPCG(seed, uint64(i+1)))
			wg.Go(func() {
				if m.wait(ctx, late) == nil {
					m.live(ctx, t, bed)
				}
			})
			wg.Go(func() { m.flap(flapping, flaps, bed) })
		}
		f.createGroup("online", "connectivity.connected:true")
		f.createGroup("v5-online", "connectivity.connected:true AND attributes.softwareVersion:5")
		<-time.After(time.Hour)
		f.createJob("config-1", "online", "config", "1", 10_000, 0)
		f.createJob("fw-6", "v5-online", "app", "6", 60_000, 1)
		<-time.After(upTo(8 * time.Hour))
		bed.Stop()
		<-time.After(upTo(20 * time.Minute))
		bed.Start()
		<-time.After(14 * time.Hour)
		calm() // what is off comes back, and what is late is done
		<-time.After(5 * time.Hour)
		synctest.Wait()
		f.wantUpdated("v5-online", "config-1", "fw-6")
	})
}
