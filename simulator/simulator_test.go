package simulator_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/internal/devcert"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server"
	"github.com/muster-iot/muster/simulator"
	"github.com/muster-iot/muster/simulator/awsapi"
	"github.com/muster-iot/muster/simulator/oracle"
	"github.com/muster-iot/muster/simulator/report"
	"github.com/muster-iot/muster/simulator/scenario"
)

// patience bounds every wait; nothing takes a part of it on an idle machine.
const patience = 60 * time.Second

// running is a server in this process.
type running struct {
	server.Addresses
	stop func()
}

// serve starts a server on loopback. It is stopped when the test ends, or before.
func serve(t *testing.T, dir, http, mqtt string) running {
	t.Helper()
	return serveAt(t, server.Config{Data: dir, HTTP: http, MQTT: mqtt})
}

// serveAt starts a server at the addresses of a configuration.
func serveAt(t *testing.T, cfg server.Config) running {
	t.Helper()
	ready := make(chan server.Addresses, 1)
	cfg.Account, cfg.Region, cfg.Dev, cfg.Logger = server.DefaultAccount, server.DefaultRegion, true, slog.New(slog.DiscardHandler)
	cfg.Ready = func(a server.Addresses) { ready <- a }
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	r := running{stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	}}
	t.Cleanup(r.stop)
	select {
	case r.Addresses = <-ready:
	case err := <-ended:
		t.Fatalf("the server did not start: %v", err)
	}
	return r
}

func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// TestRollout is a whole run through its scenario: a ramp, late joiners, cut
// connections, power cuts in the middle of the update.
func TestRollout(t *testing.T) {
	s := serve(t, t.TempDir(), "127.0.0.1:0", "127.0.0.1:0")
	r, err := scenario.New(scenario.Config{
		Source:  scenario.Source{HTTP: "http://" + s.HTTP},
		Devices: 25, Late: 5, Drop: 0.2, DropTime: 300 * time.Millisecond, Crash: 0.1, UpdateTime: time.Second,
		Timeout: patience, Seed: 1, Run: "test", Replay: "go test",
	})
	if err != nil {
		t.Fatal(err)
	}
	rep, err := r.Run(background(t))
	if err != nil {
		t.Fatal(err)
	}
	if rep.ExitCode() != 0 {
		var b strings.Builder
		_ = rep.Write(&b)
		t.Fatal(b.String())
	}
	c := rep.Counts
	if c.ByVersion["6"] != 30 || c.Succeeded != 30 || c.Installs != 30 || c.Drops != 6 || c.Crashes != 3 {
		t.Errorf("counts: %+v", c)
	}
	for _, i := range rep.Invariants {
		if i.Checks == 0 {
			t.Errorf("invariant %s compared nothing", i.Name)
		}
	}
	for _, l := range rep.Latencies {
		if l.Count == 0 {
			t.Errorf("nothing was measured of %s", l.Name)
		}
	}
	// What the run has made is gone again.
	api, err := awsapi.New("http://"+s.HTTP, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Job(background(t), "sim-test-6"); !awsapi.IsNotFound(err) {
		t.Errorf("the job of the run is still there: %v", err)
	}
}

// clientTLS is what a client trusts, and shows when it is given a certificate.
func clientTLS(t *testing.T, ca, cert, key string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool()}
	cfg.RootCAs.AppendCertsFromPEM(pem)
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg
}

// TestShapes goes through every shape of load: with a hundred things over TLS,
// or with MUSTER_SHAPES_DEVICES of them, over TCP as well.
func TestShapes(t *testing.T) {
	devices, transports := 100, []string{"TLS"}
	if text := os.Getenv("MUSTER_SHAPES_DEVICES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 100 {
			t.Fatalf("MUSTER_SHAPES_DEVICES=%s is no number of 100 or more", text)
		}
		devices, transports = n, []string{"TCP", "TLS"}
	}
	files, err := devcert.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			cfg := scenario.Config{}
			if transport == "TLS" { // on all ways, and things show a certificate
				s := serveAt(t, server.Config{
					Data: t.TempDir(), HTTPS: "127.0.0.1:0", MQTTS: "127.0.0.1:0", Cert: files.ServerCert, Key: files.ServerKey, ClientCA: files.CA,
				})
				cfg.MQTT = "mqtts://" + s.MQTTS
				cfg.Source = scenario.Source{HTTP: "https://" + s.HTTPS, TLS: clientTLS(t, files.CA, files.ClientCert, files.ClientKey)}
			} else {
				cfg.Source.HTTP = "http://" + serve(t, t.TempDir(), "127.0.0.1:0", "127.0.0.1:0").HTTP
			}
			shapes(t, cfg, devices)
		})
	}
}

// shapes runs the scenario and looks at the figures.
func shapes(t *testing.T, cfg scenario.Config, devices int) {
	const flaps = 4
	late := devices / 10
	cfg.Devices, cfg.Ramp, cfg.Late = devices, time.Duration(devices)*20*time.Millisecond, late
	cfg.Groups = 2 * time.Second
	cfg.Storm, cfg.Flap, cfg.FlapEvery, cfg.Flaps = time.Second, 0.05, 400*time.Millisecond, flaps
	cfg.Timeout, cfg.Seed, cfg.Run = 5*time.Minute, 1, "shapes"
	r, err := scenario.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	_ = rep.Write(&b)
	if rep.ExitCode() != 0 {
		t.Fatal(b.String())
	}
	t.Log(b.String())
	figures := map[string]float64{}
	for _, p := range rep.Phases {
		for _, f := range p.Figures {
			figures[p.Name+": "+f.Name] = f.Value
		}
	}
	all := float64(devices + late)
	flapping := math.Ceil(all * cfg.Flap)
	for name, least := range map[string]float64{
		"ramp: things": float64(devices), "ramp: asked for/s": 49.9, "ramp: connects/s": 5, "roll-out: succeeded": float64(devices),
		"late joiners: things": float64(late), "groups: groups": 14, "groups: changes of things": 20, "groups: drops": 1, "storm: things": all, "storm: in the busiest second": all / 10,
		"storm: connect p99": 1e-6, "storm: change -> membership p99": 1e-6,
		"flapping: things": flapping, "flapping: drops": flaps * flapping, "flapping: left": flapping, "flapping: joined": flapping,
	} {
		if figures[name] < least {
			t.Errorf("%s is %v, at least %v was expected", name, figures[name], least)
		}
	}
	if c := rep.Counts; c.Drops != int(figures["groups: drops"]+all+flaps*flapping) {
		t.Errorf("%d connections were cut", c.Drops)
	}
}

// TestWrongAuthority: a fleet that does not trust the server says so.
func TestWrongAuthority(t *testing.T) {
	t.Parallel() // it takes the time that the fleet waits
	ours, theirs := t.TempDir(), t.TempDir()
	files, err := devcert.Make(ours)
	if err != nil {
		t.Fatal(err)
	}
	other, err := devcert.Make(theirs)
	if err != nil {
		t.Fatal(err)
	}
	s := serveAt(t, server.Config{Data: t.TempDir(), HTTP: "127.0.0.1:0", MQTTS: "127.0.0.1:0", Cert: files.ServerCert, Key: files.ServerKey})
	fleet, err := simulator.New(simulator.Config{
		HTTP: "http://" + s.HTTP, MQTT: "mqtts://" + s.MQTTS, TLS: clientTLS(t, other.CA, "", ""), Root: []byte("{}"), Product: "app", Version: "5", Seq: 50000,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Stop()
	if err := fleet.Start(background(t), 1, 0); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("error %v", err)
	}
}

// TestServerRestart restarts the server while things update: the observer
// begins a second epoch, and the invariants are judged across it.
func TestServerRestart(t *testing.T) {
	dir, ctx := t.TempDir(), background(t)
	s := serve(t, dir, "127.0.0.1:0", "127.0.0.1:0")
	src := scenario.Source{HTTP: "http://" + s.HTTP, Product: "app", From: "5", To: "6"}
	fw, err := scenario.Prepare(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := simulator.New(simulator.Config{
		HTTP: src.HTTP, MQTT: s.MQTT, Root: fw.Root, Product: "app", Version: "5", Seq: fw.From.Custom.Seq,
		Seed: 7, Register: true, UpdateTime: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fleet.Start(ctx, 12, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	defer fleet.Stop()
	until(t, fleet, "connected", func(c simulator.Counts) bool { return c.Connected == 12 })
	group, job := rollOut(t, ctx, fleet, fw)
	fleet.Watch(group, job)
	until(t, fleet, "updating", func(c simulator.Counts) bool { return c.Updating >= 6 })
	s.stop()
	until(t, fleet, "disconnected", func(c simulator.Counts) bool { return c.Connected == 0 })
	serve(t, dir, s.HTTP, s.MQTT)
	until(t, fleet, "updated", func(c simulator.Counts) bool { return c.Succeeded == 12 && c.Connected == 12 && c.Updating == 0 })
	results, err := fleet.Check(ctx, fleet.Replay())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, results)
	if c := fleet.Snapshot(); c.Epochs != 2 || c.ByVersion["6"] != 12 || c.Installs != 12 {
		t.Errorf("counts: %+v", c)
	}
}

// TestCrashWhileInstalling: a power cut in a phase that cannot be resumed
// fails the update and leaves the old version running, and that is reported.
func TestCrashWhileInstalling(t *testing.T) {
	ctx := background(t)
	s := serve(t, t.TempDir(), "127.0.0.1:0", "127.0.0.1:0")
	src := scenario.Source{HTTP: "http://" + s.HTTP, Product: "app", From: "5", To: "6"}
	fw, err := scenario.Prepare(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := simulator.New(simulator.Config{
		HTTP: src.HTTP, MQTT: s.MQTT, Root: fw.Root, Product: "app", Version: "5", Seq: fw.From.Custom.Seq, Seed: 3, Register: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fleet.Start(ctx, 4, 0); err != nil {
		t.Fatal(err)
	}
	defer fleet.Stop()
	until(t, fleet, "connected", func(c simulator.Counts) bool { return c.Connected == 4 })
	if n := fleet.CrashAt(0.5, update.Installing); n != 2 {
		t.Fatalf("%d crashes are armed", n)
	}
	group, job := rollOut(t, ctx, fleet, fw)
	fleet.Watch(group, job)
	until(t, fleet, "done", func(c simulator.Counts) bool {
		return c.Succeeded == 2 && c.Failed == 2 && c.Connected == 4 && c.Updating == 0
	})
	results, err := fleet.Check(ctx, fleet.Replay())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, results)
	if c := fleet.Snapshot(); c.ByVersion["5"] != 2 || c.ByVersion["6"] != 2 || c.Crashes != 2 {
		t.Errorf("counts: %+v", c)
	}
}

// rollOut makes the group and the job.
func rollOut(t *testing.T, ctx context.Context, fleet *simulator.Fleet, fw *scenario.Firmware) (protocol.ThingGroupName, protocol.JobID) {
	t.Helper()
	arn, err := fleet.API().CreateDynamicGroup(ctx, "on-5", "connectivity.connected:true AND attributes.softwareVersion:5")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := json.Marshal(fw.To.Document())
	if err != nil {
		t.Fatal(err)
	}
	if err := fleet.API().CreateJob(ctx, awsapi.JobSpec{ID: "to-6", Targets: []string{arn}, Document: doc, Continuous: true}); err != nil {
		t.Fatal(err)
	}
	return "on-5", "to-6"
}

func until(t *testing.T, fleet *simulator.Fleet, what string, wanted func(simulator.Counts) bool) {
	t.Helper()
	if err := fleet.Until(background(t), wanted); err != nil {
		t.Fatalf("not %s: %v: %s", what, err, report.Line(fleet.Snapshot()))
	}
}

func expect(t *testing.T, results []oracle.Result) {
	t.Helper()
	for _, r := range results {
		for _, v := range r.Violations {
			t.Errorf("%s (%s): %s", r.Name, r.Title, v.What)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := simulator.Config{
		HTTP: "http://127.0.0.1:1", MQTT: "127.0.0.1:2", Root: []byte("{}"), Product: "app", Version: "5", Seq: 50000,
	}
	if _, err := simulator.New(good); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*simulator.Config)
		want   string
	}{
		{"no server", func(c *simulator.Config) { c.HTTP = "" }, "not an http or https URL"},
		{"no broker", func(c *simulator.Config) { c.MQTT = "here" }, "not host:port"},
		{"no root", func(c *simulator.Config) { c.Root = nil }, "root of the signed repository"},
		{"one name for all", func(c *simulator.Config) { c.Prefix = "sim" }, "does not make thing names"},
		{"a bad name", func(c *simulator.Config) { c.Prefix = "sim/%d" }, "does not make thing names"},
		{"a bad version", func(c *simulator.Config) { c.Version = "" }, "version"},
		{"a bad probability", func(c *simulator.Config) { c.FailureProbability = 2 }, "not 0 to 1"},
		{"negative time", func(c *simulator.Config) { c.UpdateTime = -1 }, "negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			if _, err := simulator.New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
		})
	}
}

func TestStartNeedsAServer(t *testing.T) {
	fleet, err := simulator.New(simulator.Config{
		HTTP: "http://127.0.0.1:1", MQTT: "127.0.0.1:1", Root: []byte("{}"), Product: "app", Version: "5", Seq: 50000,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fleet.Add(1, 0); err == nil {
		t.Error("things were added to a fleet that was not started")
	}
	if err := fleet.Start(background(t), 1, 0); err == nil || !strings.Contains(err.Error(), "cannot reach the server") {
		t.Errorf("error %v", err)
	}
	fleet.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := fleet.Until(ctx, func(simulator.Counts) bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
