package scenario_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/firmware/sign"
	"github.com/muster-iot/muster/server"
	"github.com/muster-iot/muster/simulator/scenario"
)

// serve starts a server on loopback until the test ends and returns its URL.
func serve(t *testing.T) string {
	t.Helper()
	ready := make(chan server.Addresses, 1)
	s, err := server.New(server.Config{
		Data: t.TempDir(), HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", Account: server.DefaultAccount, Region: server.DefaultRegion,
		Dev: true, Logger: slog.New(slog.DiscardHandler), Ready: func(a server.Addresses) { ready <- a },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	select {
	case a := <-ready:
		return "http://" + a.HTTP
	case err := <-ended:
		t.Fatalf("the server did not start: %v", err)
		return ""
	}
}

// TestPrepare walks the ways in which signed versions come to be: a key for
// one run, what is there already, and the owner's folder.
func TestPrepare(t *testing.T) {
	ctx, url := context.Background(), serve(t)
	src := scenario.Source{HTTP: url, Product: "app", From: "5", To: "6"}
	first, err := scenario.Prepare(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	if first.From.Custom.Seq != 50000 || first.To.Custom.Version != "6" || len(first.Root) == 0 {
		t.Errorf("prepared %+v", first)
	}
	again, err := scenario.Prepare(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	if again.To.SHA256 != first.To.SHA256 || string(again.Root) != string(first.Root) {
		t.Error("what the server has was not taken")
	}
	src.To = "7"
	if _, err := scenario.Prepare(ctx, src); err == nil || !strings.Contains(err.Error(), "--firmware DIR") {
		t.Errorf("nobody can sign version 7, and the error is %v", err)
	}
}

func TestPrepareFromWorkspace(t *testing.T) {
	ctx, url := context.Background(), serve(t)
	status, err := repo.Client{URL: url}.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dir, pass := filepath.Join(t.TempDir(), "w"), []byte("a good passphrase")
	w, _, err := sign.InitSolo(sign.SoloConfig{Dir: dir, OnlineKey: status.OnlineKey, Passphrase: pass, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	src := scenario.Source{HTTP: url, Product: "app", From: "1.0", To: "1.1", Workspace: dir, Passphrase: []byte("a wrong passphrase")}
	if _, err := scenario.Prepare(ctx, src); err == nil || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("a wrong passphrase: %v", err)
	}
	src.Passphrase = pass
	made, err := scenario.Prepare(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	src.Passphrase = nil // nothing is left to sign
	again, err := scenario.Prepare(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	if made.To.SHA256 != again.To.SHA256 {
		t.Error("a version that is there already was signed again")
	}
	src.Workspace = t.TempDir()
	if _, err := scenario.Prepare(ctx, src); err == nil {
		t.Error("an empty folder counts as a workspace")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*scenario.Config)
		want   string
	}{
		{"no server", func(c *scenario.Config) { c.Source.HTTP = "" }, "not an http or https URL"},
		{"less than no devices", func(c *scenario.Config) { c.Devices = -1 }, "at least one device"},
		{"less than no joiners", func(c *scenario.Config) { c.Late = -1 }, "late joiners"},
		{"more than all", func(c *scenario.Config) { c.Drop = 1.5 }, "0 to 1"},
		{"a negative time", func(c *scenario.Config) { c.DropTime = -1 }, "negative"},
		{"nothing to update", func(c *scenario.Config) { c.Source.To = "5" }, "the one to update from"},
		{"a bad name", func(c *scenario.Config) { c.Run = "a/b" }, "name of the run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := scenario.Config{Source: scenario.Source{HTTP: "http://127.0.0.1:1"}}
			if _, err := scenario.New(cfg); err != nil {
				t.Fatal(err)
			}
			c.change(&cfg)
			if _, err := scenario.New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	r, err := scenario.New(scenario.Config{Source: scenario.Source{HTTP: "http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "cannot ask for the server's firmware repository") {
		t.Errorf("error %v", err)
	}
}

// TestMissedThreshold: a roll-out that cannot end in its time is no error, it
// has a threshold that says so, and leaves what it made to be looked at.
func TestMissedThreshold(t *testing.T) {
	r, err := scenario.New(scenario.Config{
		Source: scenario.Source{HTTP: serve(t)}, Devices: 2, Ramp: time.Millisecond, Timeout: 3 * time.Second, UpdateTime: time.Hour, Run: "slow",
	})
	if err != nil {
		t.Fatal(err)
	}
	rep, err := r.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if rep.ExitCode() != 99 {
		var b strings.Builder
		_ = rep.Write(&b)
		t.Errorf("exit code %d:\n%s", rep.ExitCode(), b.String())
	}
}
