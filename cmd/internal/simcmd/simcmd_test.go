package simcmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/cmd/internal/floorcmd"
	"github.com/muster-iot/muster/cmd/internal/simcmd"
	"github.com/muster-iot/muster/server"
	"github.com/muster-iot/muster/simulator/report"
)

// TestMain is muster-sim itself when a test starts it as a child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == floorcmd.Name {
		os.Exit(cli.Main(simcmd.Command()))
	}
	os.Exit(m.Run())
}

// execute runs muster-sim and returns its exit code and what it printed.
func execute(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	c := simcmd.Command()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&errs)
	return cli.Main(c), out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing to do", nil, "say what to do"},
		{"no server", []string{"run"}, "which server?"},
		{"two servers", []string{"run", "--server", "http://a", "--http", "http://b"}, "leave one out"},
		{"no URL", []string{"run", "--server", "localhost"}, "not an http or https URL"},
		{"unknown flag", []string{"run", "--speed", "9"}, "unknown flag"},
		{"an argument", []string{"run", "now"}, "unknown command"},
		{"no devices", []string{"run", "--server", "http://a", "--devices", "0"}, "at least one"},
		{"a bad part", []string{"run", "--server", "http://a", "--drop", "110%"}, "is not a part"},
		{"not a number", []string{"run", "--server", "http://a", "--fail", "NaN"}, "is not a part"},
		{"a bad phase", []string{"run", "--server", "http://a", "--crash-phase", "LUNCH"}, "none of"},
		{"a bad level", []string{"run", "--server", "http://a", "--log-level", "loud"}, "log level"},
		{"no passphrase", []string{"run", "--server", "http://a", "--firmware", "x"}, "--passphrase-file"},
		{"two ramps", []string{"run", "--server", "http://a", "--ramp", "1s", "--ramp-rate", "9"}, "give one of them"},
		{"a bad part of flapping", []string{"run", "--server", "http://a", "--flap", "x"}, "--flap"},
		{"a key without its certificate", []string{"run", "--server", "http://a", "--key", "x"}, "both --cert and --key"},
		{"a bad run", []string{"run", "--server", "http://a", "--run", "a b"}, "name of the run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("MUSTER_PASSPHRASE", "")
			code, _, stderr := execute(c.args...)
			if code != cli.Usage || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, %q; want %d and %q", code, stderr, cli.Usage, c.want)
			}
			if strings.Count(strings.TrimSpace(stderr), "\n") > 0 {
				t.Errorf("more than one line: %q", stderr)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	code, _, stderr := execute("run", "--server", "http://127.0.0.1:1")
	if code != cli.Failed || !strings.Contains(stderr, "firmware repository") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

func TestFraction(t *testing.T) {
	for text, want := range map[string]float64{"10%": 0.1, "0.25": 0.25, "0": 0, "100%": 1, "1": 1} {
		if got, err := simcmd.Fraction(text); err != nil || got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "%", "-1%", "2", "ten", "1%%", "NaN"} {
		if got, err := simcmd.Fraction(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// TestRun is the whole command against a real server: settings from flags,
// environment and file, the report as text and as JSON, and the exit codes.
func TestRun(t *testing.T) {
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
	defer func() { cancel(); <-ended }()
	a := <-ready

	dir := t.TempDir()
	config, summary := filepath.Join(dir, "sim.yaml"), filepath.Join(dir, "summary.json")
	if err := os.WriteFile(config, []byte("devices: 4\nlate: 1\nupdate-time: 100ms\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MUSTER_SIM_SEED", "17")
	args := []string{"run", "--server", "http://" + a.HTTP, "--config", config, "--json", summary, "--drop", "25%", "--drop-time", "50ms"}
	code, stdout, stderr := execute(args...)
	if code != cli.OK || !strings.Contains(stdout, "seed 17") || !strings.Contains(stdout, "everything held") {
		t.Fatalf("exit code %d:\n%s\n%s", code, stdout, stderr)
	}
	data, err := os.ReadFile(summary)
	if err != nil {
		t.Fatal(err)
	}
	var rep report.Report
	if err := json.Unmarshal(data, &rep); err != nil {
		t.Fatal(err)
	}
	if rep.Seed != 17 || rep.Counts.Devices != 5 || rep.Counts.Drops != 2 || !strings.Contains(rep.Replay, "--seed=17") {
		t.Errorf("summary: %s", data)
	}
	// A threshold that nobody can reach.
	code, stdout, stderr = execute("run", "--server", "http://"+a.HTTP, "--devices", "2", "--late", "1", "--update-time", "0", "--max-notify", "1ns", "--json", "-")
	if code != cli.Threshold || !strings.Contains(stderr, "a threshold was missed") || !json.Valid([]byte(stdout)) {
		t.Errorf("exit code %d:\n%s\n%s", code, stdout, stderr)
	}
}
