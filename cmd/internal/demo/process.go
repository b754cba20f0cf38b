package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// family starts the child processes of a demo, all of the same binary, and
// ends them. Children live no longer than this process: they end when their
// standard input closes, which the kernel does however this process ends, and
// on Linux they are killed then as well.
type family struct {
	binary string
	logs   string // folder of the children's logs

	mu       sync.Mutex
	children []*child
}

// child is one process.
type child struct {
	name string
	log  string
	cmd  *exec.Cmd
	// lifeline is the child's standard input; closing it ends the child.
	lifeline io.Closer
	// first receives the first line that the child writes to standard output.
	first chan string
	// gone is closed when the process has ended; err is valid then.
	gone chan struct{}
	err  error
}

// start runs the binary with arguments. What it writes to standard error is
// appended to a log file named after it.
func (f *family) start(name string, args ...string) (*child, error) {
	log := filepath.Join(f.logs, name+".log")
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the child has its own copy
	c := &child{name: name, log: log, cmd: exec.Command(f.binary, args...), first: make(chan string, 1), gone: make(chan struct{})}
	c.cmd.Stderr, c.cmd.Stdout = file, &firstLine{line: c.first}
	c.cmd.Env = environment()
	bind(c.cmd)
	if c.lifeline, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.gone)
	}()
	f.mu.Lock()
	f.children = append(f.children, c)
	f.mu.Unlock()
	return c, nil
}

// environment is this process's without settings of Muster's programs, which
// would change what a demo does.
func environment() []string {
	var kept []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MUSTER_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// kill ends the child with SIGKILL and waits for it.
func (c *child) kill() error {
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot kill %s: %w", c.name, err)
	}
	<-c.gone
	return nil
}

// ended says that the child has ended by itself, which is always a failure.
func (c *child) ended() error {
	select {
	case <-c.gone:
		return fmt.Errorf("%s ended unexpectedly (%v): %s", c.name, c.cmd.ProcessState, lastLine(c.log))
	default:
		return nil
	}
}

// line waits for the first line of standard output.
func (c *child) line(ctx context.Context, limit time.Duration) (string, error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case l := <-c.first:
		return l, nil
	case <-c.gone:
		return "", c.ended()
	case <-late.C:
		return "", fmt.Errorf("%s did not answer within %s: %s", c.name, limit, lastLine(c.log))
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// stop ends all children, the youngest first: agents before the server. Who
// does not end in time is killed.
func (f *family) stop(limit time.Duration) error {
	f.mu.Lock()
	children := f.children
	f.children = nil
	f.mu.Unlock()
	var errs []error
	for i := len(children) - 1; i >= 0; i-- {
		c := children[i]
		c.lifeline.Close()
		select {
		case <-c.gone:
		case <-time.After(limit):
			errs = append(errs, fmt.Errorf("%s did not stop within %s and was killed", c.name, limit), c.kill())
		}
	}
	return errors.Join(errs...)
}

// firstLine hands on the first line written to it and drops the rest. It is
// written to by one goroutine.
type firstLine struct {
	line chan<- string
	text []byte
	done bool
}

// Write takes everything, so that the child never waits.
func (w *firstLine) Write(p []byte) (int, error) {
	if w.done {
		return len(p), nil
	}
	w.text = append(w.text, p...)
	if line, _, ok := bytes.Cut(w.text, []byte("\n")); ok || len(w.text) > 64<<10 {
		w.line <- string(line)
		w.done, w.text = true, nil
	}
	return len(p), nil
}

// lastLine returns the last line of a log, for error messages.
func lastLine(log string) string {
	data, err := os.ReadFile(log)
	if err != nil {
		return "no log"
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return "its log is empty"
}
