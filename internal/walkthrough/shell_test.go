package walkthrough_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// commandTimeout is far above what the slowest command needs on a busy machine.
const commandTimeout = 2 * time.Minute

// A shell is one bash that runs command after command, as a reader's terminal
// does: functions, variables and background processes stay.
type shell struct {
	stdin io.Writer
	lines chan string // its output, each line without its newline; closed at the end
	kill  func()
	count int
}

// startShell starts bash in dir. It and all it left behind end with the test.
func startShell(t *testing.T, dir string, env []string) *shell {
	t.Helper()
	bash := exec.Command("bash", "--noprofile", "--norc")
	bash.Dir, bash.Env = dir, env
	bash.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := bash.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	bash.Stdout, bash.Stderr = in, in
	if err := bash.Start(); err != nil {
		t.Fatal(err)
	}
	s := &shell{
		stdin: stdin, lines: make(chan string, 1024),
		kill: func() { _ = syscall.Kill(-bash.Process.Pid, syscall.SIGKILL) },
	}
	go func() {
		_ = bash.Wait()
		in.Close()
	}()
	go s.scan(out)
	t.Cleanup(func() {
		s.kill()
		for range s.lines { //nolint:revive // until it is closed
		}
	})
	return s
}

func (s *shell) scan(out io.Reader) {
	defer close(s.lines)
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		s.lines <- sc.Text()
	}
}

// run runs one command and returns all that it printed.
func (s *shell) run(command string, timeout time.Duration) (output string, err error) {
	s.count++
	mark := fmt.Sprintf("end of command %d", s.count)
	quoted := "'" + strings.ReplaceAll(command, "'", `'\''`) + "'"
	if _, err := fmt.Fprintf(s.stdin, "eval %s </dev/null\nprintf '\\n%%s\\n' '%s'\n", quoted, mark); err != nil {
		return "", fmt.Errorf("cannot write to the shell: %w", err)
	}
	var b strings.Builder
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				return b.String(), fmt.Errorf("the shell ended in %q", command)
			}
			if line == mark {
				return strings.TrimSuffix(b.String(), "\n"), nil
			}
			b.WriteString(line + "\n")
		case <-deadline.C:
			s.kill()
			return b.String(), fmt.Errorf("%q did not end in %v", command, timeout)
		}
	}
}
