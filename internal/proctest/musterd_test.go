package proctest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// programs builds the programs once, when a test first needs them.
type programs struct {
	once sync.Once
	dir  string
	err  error
}

var built programs

func (p *programs) build() {
	if p.dir, p.err = os.MkdirTemp("", "proctest-"); p.err != nil {
		return
	}
	build := exec.Command("go", "build", "-o", p.dir, "./cmd/musterd", "./cmd/muster-agent")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		p.err = fmt.Errorf("cannot build the programs: %w\n%s", err, out)
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

func program(t *testing.T, name string) string {
	t.Helper()
	built.once.Do(built.build)
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

// process is a program that a test has started.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stderr *log
	ended  chan struct{} // closed when it has ended
	err    error         // how, once ended is closed
}

// log keeps what a process writes.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a program; it is killed at the end of the test at the latest.
func start(t *testing.T, stderr *log, stdout io.Writer, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(program(t, name), args...), stderr: stderr, ended: make(chan struct{})}
	p.cmd.Stderr, p.cmd.Stdout = stderr, stdout
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process with SIGKILL and returns when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		p.t.Errorf("%s is not gone 20 s after it was killed", p.name)
	}
}

// stop ends the process with SIGTERM; it must end by itself and well.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
	select {
	case <-p.ended:
		if p.err != nil {
			p.t.Errorf("%s after SIGTERM: %v\n%s", p.name, p.err, p.stderr)
		}
	case <-time.After(20 * time.Second):
		p.t.Errorf("%s does not end after SIGTERM\n%s", p.name, p.stderr)
		p.kill()
	}
}

// musterd is a server with a data folder and addresses that outlive its
// processes.
type musterd struct {
	t                *testing.T
	data, http, mqtt string
	stderr           *log
	args             []string
	*process
}

func newMusterd(t *testing.T, args ...string) *musterd {
	t.Helper()
	m := &musterd{t: t, data: t.TempDir(), http: freeAddress(t), mqtt: freeAddress(t), stderr: &log{}, args: args}
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
	r, w := io.Pipe()
	args := append([]string{"--dev", "--data", m.data, "--http", m.http, "--mqtt", m.mqtt, "--log-level", "warn"}, m.args...)
	m.process = start(m.t, m.stderr, w, "musterd", args...)
	ended := m.process.ended
	go func() {
		<-ended
		w.Close()
	}()
	line := make(chan string, 1)
	go func() {
		out := bufio.NewReader(r)
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
