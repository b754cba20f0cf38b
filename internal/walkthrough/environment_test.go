package walkthrough_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-iot/muster/internal/proctest"
)

// built is musterd.
var built proctest.Programs

func TestMain(m *testing.M) {
	code := m.Run()
	built.Remove()
	os.Exit(code)
}

// awsCLI is the CLI under test: never the first one in PATH, which may be a
// wrapper or another version.
func awsCLI() string {
	if file := os.Getenv("MUSTER_AWS"); file != "" {
		return file
	}
	return "/usr/bin/aws"
}

// needClients skips the test where a client is not installed; with CI=true
// it fails instead, so that nothing goes untested unnoticed.
func needClients(t *testing.T) {
	t.Helper()
	for _, file := range []string{awsCLI(), "mosquitto_sub", "mosquitto_pub", "mosquitto_rr", "bash"} {
		if _, err := exec.LookPath(file); err != nil {
			proctest.Missing(t, fmt.Sprintf("%s is not installed: apt install awscli mosquitto-clients", file))
		}
	}
}

// addresses is the line that musterd prints.
type addresses struct {
	HTTP string `json:"http"`
	MQTT string `json:"mqtt"`
}

// documented are the addresses that transcripts speak of.
var documented = addresses{HTTP: "127.0.0.1:8080", MQTT: "127.0.0.1:1883"}

// fromText returns a command as it must be run; toText what it printed as a
// transcript shows it.
func (a addresses) fromText(s string) string {
	return strings.NewReplacer(documented.HTTP, a.HTTP, documented.MQTT, a.MQTT).Replace(s)
}

func (a addresses) toText(s string) string {
	return strings.NewReplacer(a.HTTP, documented.HTTP, a.MQTT, documented.MQTT).Replace(s)
}

// startServer runs musterd with the given arguments on free ports and returns
// where it listens and the line that it printed. At the end of the test it must
// stop by itself when told to.
func startServer(t *testing.T, dir string, args ...string) (at addresses, printed string) {
	t.Helper()
	server := exec.Command(built.Path(t, "musterd"), args...)
	server.Dir = dir
	server.Env = append(os.Environ(), "MUSTER_HTTP=127.0.0.1:0", "MUSTER_MQTT=127.0.0.1:0")
	process, out := proctest.StartReading(t, server, nil)
	t.Cleanup(func() {
		process.Stop()
		if t.Failed() {
			t.Logf("log of musterd:\n%s", process.Stderr)
		}
	})
	line, err := out.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &at)
	}
	if err != nil {
		t.Fatalf("musterd printed %q: %v", line, err)
	}
	return at, at.toText(line)
}

// environment returns the environment of a reader who has nothing configured,
// and whose Mosquitto clients find the broker on its usual port.
func environment(t *testing.T, dir string, at addresses) []string {
	t.Helper()
	bin, config := filepath.Join(dir, "bin"), filepath.Join(dir, "config")
	for _, d := range []string{bin, config} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(awsCLI(), filepath.Join(bin, "aws")); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(at.MQTT, ":")
	for _, client := range []string{"mosquitto_sub", "mosquitto_pub", "mosquitto_rr"} {
		if err := os.WriteFile(filepath.Join(config, client), []byte("-h "+host+"\n-p "+port+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{
		"PATH=" + bin + ":/usr/bin:/bin:" + os.Getenv("PATH"), "HOME=" + dir, "XDG_CONFIG_HOME=" + config,
		"LANG=C.UTF-8", "TZ=UTC", "AWS_EC2_METADATA_DISABLED=true",
	}
}
