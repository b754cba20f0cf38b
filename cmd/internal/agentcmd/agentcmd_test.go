package agentcmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-iot/muster/agent/journal"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/cmd/internal/agentcmd"
	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/protocol/jobs"
)

// execute runs the command as main does and returns what it prints.
func execute(t *testing.T, ctx context.Context, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := agentcmd.Command()
	var out, errs bytes.Buffer
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(ctx)
	if errs.Len() > 0 {
		t.Errorf("on standard error: %s", &errs)
	}
	return out.String(), err
}

func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestRunRefuses(t *testing.T) {
	good := []string{"run", "--mqtt", "127.0.0.1:1", "--http", "http://127.0.0.1:1", "--thing", "pump-17", "--product", "app=/opt/app", "--state"}
	usage := &cli.ExitError{}
	for _, row := range []struct {
		name  string
		args  []string
		want  string
		usage bool
	}{
		{"no server", []string{"run", "--thing", "x"}, "--mqtt is missing", true},
		{"no http", []string{"run", "--mqtt", "x:1", "--thing", "x"}, "--http is missing", true},
		{"no product", []string{"run", "--mqtt", "x:1", "--http", "http://x", "--thing", "x"}, "--product is missing", true},
		{"bad thing", []string{"run", "--mqtt", "x:1", "--http", "http://x", "--thing", "a b", "--product", "app=/a"}, `thing name "a b" is not`, true},
		{"bad product", []string{"run", "--product", "app"}, `product "app" is not PRODUCT=FOLDER`, true},
		{"bad product name", []string{"run", "--product", "App=/a"}, `product "App" is not 1 to 64`, true},
		{"product twice", []string{"run", "--product", "app=/a", "--product", "app=/b"}, `product "app" is given twice`, true},
		{"command of no product", []string{"run", "--product", "app=/a", "--product", "tv=/b", "--restart", "x"}, `restart command "x" does not say which product it is for`, true},
		{"half a certificate", append(append([]string{}, good...), t.TempDir(), "--cert", "x.pem"), "both --cert and --key", true},
		{"no such authority", append(append([]string{}, good...), t.TempDir(), "--ca", "none.pem"), "cannot read the certificates to trust", false},
		{"bad address", append(append([]string{}, good...), t.TempDir(), "--mqtt", "nowhere"), `server address "nowhere" is not host:port`, true},
		{"bad url", append(append([]string{}, good...), t.TempDir(), "--http", "ftp://x"), `is not an http or https URL`, true},
		{"bad log level", append(append([]string{}, good...), t.TempDir(), "--log-level", "loud"), `log level "loud"`, true},
		{"no root", append(append([]string{}, good...), t.TempDir()), "no firmware root", false},
		{"missing hardware file", append(append([]string{}, good...), t.TempDir(), "--hardware-file", "/no/such"), "cannot read the hardware id", false},
		{"bad hardware id", append(append([]string{}, good...), t.TempDir(), "--hardware-file", file(t, "a\x01b")), "hardware id", false},
		{"state is a file", append(append([]string{}, good...), file(t, "")), "cannot make the state folder", false},
		{"missing file", []string{"run", "--config", "/no/such"}, "cannot read the configuration file /no/such", false},
		{"unknown setting", []string{"run", "--config", file(t, "colour: red\n")}, `unknown setting "colour"`, true},
		{"broken file", []string{"run", "--config", file(t, "a: [\n")}, "cannot read the configuration file", false},
		{"argument", []string{"run", "now"}, `unknown argument "now"`, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := execute(t, t.Context(), row.args...)
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v, want %q on one line", err, row.want)
			}
			if got := errors.As(err, &usage) && usage.Code == cli.Usage; got != row.usage {
				t.Errorf("%v is a usage error: %v", err, got)
			}
		})
	}
}

// TestSettings: a flag wins over the environment, and that over the file;
// lists and commands come through whole from each of them.
func TestSettings(t *testing.T) {
	config := file(t, strings.Join([]string{
		"mqtt: [a.example:1883, b.example:1883]", "http: http://from-file", "thing: from-file",
		"product:", "  - app=/opt/app", "  - tv=/opt/tv", "restart:", "  - app=systemctl restart app, or not", "health: tv=curl -f 'http://x/?a=b'",
		"health-timeout: 30s", "state: /var/lib/x",
	}, "\n"))
	t.Setenv("MUSTER_AGENT_CONFIG", config)
	got := settings(t)
	want := agentcmd.Config{
		MQTT: []string{"a.example:1883", "b.example:1883"}, HTTP: "http://from-file", Thing: "from-file", State: "/var/lib/x",
		Products: []agentcmd.Product{
			{Name: "app", Dir: "/opt/app", Restart: "systemctl restart app, or not"},
			{Name: "tv", Dir: "/opt/tv", Health: "curl -f 'http://x/?a=b'"},
		},
		HealthTimeout: 30 * time.Second, LogLevel: "info",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("from the file:\n" + diff)
	}
	for key, value := range map[string]string{
		"MQTT": "c.example:1, d.example:2", "THING": "from-env", "PRODUCT": "app=/opt/app", "RESTART": "service app restart, please",
		"HEALTH": "true", "REGISTER": "true", "HEALTH_TIMEOUT": "1m", "HARDWARE_FILE": file(t, "rpi4\n"),
	} {
		t.Setenv("MUSTER_AGENT_"+key, value)
	}
	want.MQTT, want.Thing, want.Register, want.HealthTimeout, want.HardwareID = []string{"c.example:1", "d.example:2"}, "from-env", true, time.Minute, "rpi4"
	want.Products = []agentcmd.Product{{Name: "app", Dir: "/opt/app", Restart: "service app restart, please", Health: "true"}}
	if diff := cmp.Diff(want, settings(t)); diff != "" {
		t.Error("from the environment:\n" + diff)
	}
	got = settings(t, "--thing", "from-flag", "--mqtt", "e.example:3", "--restart", `sh -c "a, b" && echo "c"`, "--health", "app=x=y")
	want.Thing, want.MQTT = "from-flag", []string{"e.example:3"}
	want.Products[0].Restart, want.Products[0].Health = `sh -c "a, b" && echo "c"`, "x=y"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("from flags:\n" + diff)
	}
}

func settings(t *testing.T, args ...string) agentcmd.Config {
	t.Helper()
	cfg, err := agentcmd.Load(args)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestStatus(t *testing.T) {
	dir := t.TempDir()
	disk, err := durable.OpenOS(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if out, err := execute(t, t.Context(), "status", "--state", dir); err != nil || out != "phase  IDLE\n" {
		t.Errorf("first start: %q, %v", out, err)
	}
	j := journal.New(disk)
	err = errors.Join(j.SaveState(update.State{
		Schema: update.Schema, Phase: update.Downloading, Since: 1_740_830_400, Execution: update.Identity{JobID: "fw-6", ExecutionNumber: 2},
		Finished: []update.Finished{{Execution: update.Identity{JobID: "fw-5"}, Outcome: update.Outcome{Status: jobs.Failed, Reason: "no room"}, At: 1_740_830_000}},
	}), j.SaveCommitted(map[string]update.Release{"app": {Version: "5", Seq: 50000}}))
	if err != nil {
		t.Fatal(err)
	}
	want := `phase        DOWNLOADING since 2025-03-01T12:00:00Z
job          fw-6 (execution 2)
product app  version 5, seq 50000
ended        2025-03-01T11:53:20Z fw-5 FAILED: no room
`
	out, err := execute(t, t.Context(), "status", "--state", dir)
	if diff := cmp.Diff(want, out); diff != "" || err != nil {
		t.Error(err, diff)
	}
	out, err = execute(t, t.Context(), "status", "--state", dir, "-o", "json")
	var parsed struct{ Update struct{ Phase string } }
	if json.Unmarshal([]byte(out), &parsed) != nil || parsed.Update.Phase != "DOWNLOADING" || err != nil {
		t.Errorf("json: %s, %v", out, err)
	}
	if err := os.WriteFile(filepath.Join(dir, journal.StateFile), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := execute(t, t.Context(), "status", "--state", dir); err == nil || !strings.Contains(out, "UNREADABLE") {
		t.Errorf("corrupt: %q, %v", out, err)
	}
	for _, args := range [][]string{{"status", "--state", "/no/such"}, {"status", "-o", "xml"}} {
		if _, err := execute(t, t.Context(), args...); err == nil {
			t.Errorf("%v succeeds", args)
		}
	}
}

func TestVersion(t *testing.T) {
	if out, err := execute(t, t.Context(), "--version"); err != nil || !strings.Contains(out, agentcmd.Version) {
		t.Errorf("%q, %v", out, err)
	}
}
