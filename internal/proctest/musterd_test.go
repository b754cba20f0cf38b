package proctest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/proctest"
)

// built are the programs under test.
var built proctest.Programs

func TestMain(m *testing.M) {
	code := m.Run()
	built.Remove()
	os.Exit(code)
}

// command is one of the programs under test with its arguments.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(built.Path(t, name), args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	return cmd
}

// musterd is a server with a data folder and addresses that outlive its
// processes.
type musterd struct {
	t                *testing.T
	data, http, mqtt string
	stderr           *proctest.Log
	args             []string
	*proctest.Process
}

func newMusterd(t *testing.T, args ...string) *musterd {
	t.Helper()
	m := &musterd{t: t, data: t.TempDir(), http: freeAddress(t), mqtt: freeAddress(t), stderr: &proctest.Log{}, args: args}
	t.Cleanup(func() {
		for line := range strings.Lines(m.stderr.String()) {
			if strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "panic:") || strings.Contains(line, "fatal error") {
				t.Errorf("musterd says: %s", line)
			}
		}
	})
	return m
}

// freeAddress returns a loopback address below the ports that the kernel hands
// out: a client that dials one of those while nobody listens may connect to
// itself and keep the server out.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 200 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(20_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// launch starts the process and does not wait; the first line that it prints
// comes from the channel.
func (m *musterd) launch() <-chan string {
	m.t.Helper()
	args := append([]string{"--dev", "--data", m.data, "--http", m.http, "--mqtt", m.mqtt, "--log-level", "warn"}, m.args...)
	var out *bufio.Reader
	m.Process, out = proctest.StartReading(m.t, command(m.t, "musterd", args...), m.stderr)
	line := make(chan string, 1)
	go func() {
		text, _ := out.ReadString('\n')
		line <- text
		_, _ = io.Copy(io.Discard, out)
	}()
	return line
}

// start starts the process and returns when it answers.
func (m *musterd) start() {
	m.t.Helper()
	select {
	case text := <-m.launch():
		if want := fmt.Sprintf("{%q:%q,%q:%q}\n", "http", m.http, "mqtt", m.mqtt); text != want {
			m.t.Fatalf("musterd printed %q, want %q\n%s", text, want, m.stderr)
		}
	case <-time.After(30 * time.Second):
		m.t.Fatalf("musterd does not start\n%s", m.stderr)
	}
}

// eventually polls until f returns nothing, and fails with what it returned.
func eventually(t *testing.T, within time.Duration, f func() []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for {
		problems := f()
		if len(problems) == 0 {
			return
		}
		if err := pause(ctx, 20*time.Millisecond); errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("after %v:\n%s", within, strings.Join(problems, "\n"))
		}
	}
}

// pause waits for a while or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
