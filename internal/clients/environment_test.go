package clients_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/proctest"
)

// built is musterd.
var built proctest.Programs

func TestMain(m *testing.M) {
	code := m.Run()
	built.Remove()
	os.Exit(code)
}

// addresses is the line that musterd prints.
type addresses struct {
	HTTP, MQTT, HTTPS, MQTTS, WS string
}

// startServer runs musterd with the given arguments, on free ports where they
// name none. At the end of the test it must stop by itself when told to.
func startServer(t *testing.T, args ...string) addresses {
	t.Helper()
	args = append([]string{"--dev", "--data", t.TempDir(), "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--log-level", "warn"}, args...)
	server, out := proctest.StartReading(t, exec.Command(built.Path(t, "musterd"), args...), nil)
	t.Cleanup(func() {
		server.Stop()
		if t.Failed() {
			t.Logf("log of musterd:\n%s", server.Stderr)
		}
	})
	var at addresses
	line, err := out.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &at)
	}
	if err != nil {
		t.Fatalf("musterd printed %q: %v\n%s", line, err, server.Stderr)
	}
	return at
}

// python is Debian's, which has Debian's boto3 and aws CLI; the first one in
// PATH may be another.
const python = "/usr/bin/python3"

// needPython skips the test where Debian's Python cannot import a module.
func needPython(t *testing.T, module, debian string) {
	t.Helper()
	if out, err := exec.Command(python, "-c", "import "+module).CombinedOutput(); err != nil {
		proctest.Missing(t, fmt.Sprintf("%s cannot import %s: apt install %s (%v %.100s)", python, module, debian, err, out))
	}
}

// needProgram skips the test where a program is not installed.
func needProgram(t *testing.T, name, debian string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		proctest.Missing(t, fmt.Sprintf("%s is not installed: apt install %s", name, debian))
	}
}

// needNode skips the test where the clients in JavaScript cannot run, and
// returns the folder of their packages.
func needNode(t *testing.T) string {
	t.Helper()
	needProgram(t, "node", "nodejs")
	needProgram(t, "npm", "npm")
	modules, err := installed()
	if err != nil {
		proctest.Missing(t, err.Error())
	}
	return modules
}

// script returns a command that runs a file of testdata on node, beside the
// packages of the lock file.
func script(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	modules := needNode(t)
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	// Node looks for packages beside the script, by its real path.
	dir := t.TempDir()
	file := filepath.Join(dir, name)
	if err := errors.Join(os.WriteFile(file, text, 0o600), os.Symlink(modules, filepath.Join(dir, "node_modules"))); err != nil {
		t.Fatal(err)
	}
	return exec.Command("node", append([]string{file}, args...)...)
}

// installTime is how long npm may take to fetch and unpack the packages.
const installTime = 5 * time.Minute

// installed returns the folder of the packages, once they are there.
var installed = sync.OnceValues(func() (string, error) {
	lock, err := os.ReadFile("testdata/package-lock.json")
	if err != nil {
		return "", err
	}
	manifest, err := os.ReadFile("testdata/package.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place for npm packages: %w", err)
	}
	sum := sha256.Sum256(append(manifest, lock...))
	dir := filepath.Join(cache, "muster-clients", hex.EncodeToString(sum[:8]))
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	if err := install(dir, manifest, lock); err != nil {
		return "", fmt.Errorf("cannot install the npm packages: %w", err)
	}
	return modules, nil
})

// install fills a folder of its own first: another run may do the same.
func install(dir string, manifest, lock []byte) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	err = errors.Join(os.WriteFile(filepath.Join(fresh, "package.json"), manifest, 0o600),
		os.WriteFile(filepath.Join(fresh, "package-lock.json"), lock, 0o600))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTime)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev")
	npm.Dir = fresh
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
