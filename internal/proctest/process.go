package proctest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// endTime is how long a process may take to be gone.
const endTime = 20 * time.Second

// Programs are commands of this module, each built when a test first needs it.
// The zero value is ready; TestMain removes them.
type Programs struct {
	mu  sync.Mutex
	dir string
}

// Path returns the file of a command of this module, for example musterd.
func (p *Programs) Path(t *testing.T, name string) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	file, err := p.build(name)
	if err != nil {
		t.Fatalf("cannot build %s: %v", name, err)
	}
	return file
}

func (p *Programs) build(name string) (file string, err error) {
	if p.dir == "" {
		if p.dir, err = os.MkdirTemp("", "programs-"); err != nil {
			return "", err
		}
	}
	file = filepath.Join(p.dir, name)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := seeSources(); err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-o", file, "github.com/muster-iot/muster/cmd/"+name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return file, nil
}

// seeSources looks at all sources, so that go test does not take an old result
// for theirs: it knows the files that a test reads, but not those of a program
// that it builds.
func seeSources() error {
	for _, dir := range []string{"cmd", "server", "agent", "protocol", "firmware", "internal"} {
		if err := filepath.WalkDir(filepath.Join("../..", dir), func(string, fs.DirEntry, error) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// Remove deletes the built files.
func (p *Programs) Remove() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// Missing skips the test because something is not installed; with CI=true it
// fails instead, so that nothing goes untested unnoticed.
func Missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Process is a program that a test has started.
type Process struct {
	// Stderr is what it wrote there.
	Stderr *Log
	// Ended is closed when the process is gone; then Err says how it ended.
	Ended <-chan struct{}
	Err   error

	t   *testing.T
	cmd *exec.Cmd
}

// Start runs a command, whose standard error goes to stderr (nil: to a log of its
// own). It is killed at the end of the test at the latest.
func Start(t *testing.T, cmd *exec.Cmd, stderr *Log) *Process {
	t.Helper()
	if stderr == nil {
		stderr = &Log{}
	}
	ended := make(chan struct{})
	p := &Process{Stderr: stderr, Ended: ended, t: t, cmd: cmd}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.Err = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(p.Kill)
	return p
}

// StartReading is Start, and returns what the process prints; all of it must be
// read before it can end.
func StartReading(t *testing.T, cmd *exec.Cmd, stderr *Log) (*Process, *bufio.Reader) {
	t.Helper()
	r, w := io.Pipe()
	cmd.Stdout = w
	p := Start(t, cmd, stderr)
	go func() {
		<-p.Ended
		w.Close()
	}()
	t.Cleanup(func() { r.Close() })
	return p, bufio.NewReader(r)
}

// Kill ends the process with SIGKILL and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	select {
	case <-p.Ended:
	case <-time.After(endTime):
		p.t.Errorf("%s is not gone %v after it was killed", p.cmd.Path, endTime)
	}
}

// Stop ends the process with SIGTERM; it must end by itself and well.
func (p *Process) Stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("%s: %v", p.cmd.Path, err)
	}
	select {
	case <-p.Ended:
		if p.Err != nil {
			p.t.Errorf("%s after SIGTERM: %v\n%s", p.cmd.Path, p.Err, p.Stderr)
		}
	case <-time.After(endTime):
		p.t.Errorf("%s does not end after SIGTERM\n%s", p.cmd.Path, p.Stderr)
		p.Kill()
	}
}

// Log keeps what a process writes.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
