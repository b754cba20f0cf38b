package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/cmd/internal/serverd"
)

// patience is for things that take no time on an idle machine.
const patience = time.Minute

// TestMain makes the test binary be musterd where it is called by that name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"musterd": func() { os.Exit(cli.Main(serverd.Command())) },
	})
}

func TestScripts(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { busy.Close() }) // the scripts run in parallel, after this function
	testscript.Run(t, testscript.Params{
		Dir:      "testdata",
		Deadline: time.Now().Add(2 * patience),
		Setup: func(env *testscript.Env) error {
			env.Setenv("BUSY", busy.Addr().String())
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits STATUS PROGRAM ARG... runs a program that is expected to fail with
// this status after one line on standard error, which stderr then matches.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM ARG...")
	}
	var code int
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		code = -1
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		}
	}
	stderr := ts.ReadFile("stderr")
	switch {
	case fmt.Sprint(code) != args[0]:
		ts.Fatalf("exit status %d, want %s", code, args[0])
	case strings.Count(stderr, "\n") != 1:
		ts.Fatalf("want one line on standard error, got:\n%s", stderr)
	case ts.ReadFile("stdout") != "":
		ts.Fatalf("want nothing on standard output, got:\n%s", ts.ReadFile("stdout"))
	}
}

// A process is a running musterd.
type process struct {
	HTTP, MQTT string
	started    time.Duration // from exec to the line with the addresses
	cmd        *exec.Cmd
	log        *output
	rest       chan string // what it prints after the addresses
}

// output is a buffer that is written and read at the same time.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs musterd in dir, with only the given additions to a clean
// environment, and waits for its addresses.
func start(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command("musterd", args...), log: &output{}, rest: make(chan string, 1)}
	p.cmd.Dir, p.cmd.Stderr = dir, p.log
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	stuck := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer stuck.Stop()
	r := bufio.NewReader(out)
	line, err := r.ReadString('\n')
	p.started = time.Since(begun)
	if err == nil {
		err = json.Unmarshal([]byte(line), &struct{ HTTP, MQTT *string }{&p.HTTP, &p.MQTT})
	}
	if err != nil {
		t.Fatalf("musterd printed %q (%v) and logged:\n%s", line, err, p.log)
	}
	go func() {
		rest, _ := io.ReadAll(r)
		p.rest <- string(rest)
	}()
	return p
}

func free(args ...string) []string {
	return append([]string{"--dev", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"}, args...)
}

// stop tells musterd to end and returns its exit code.
func (p *process) stop(t *testing.T, s os.Signal) int {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	return p.wait(t)
}

func (p *process) wait(t *testing.T) int {
	t.Helper()
	stuck := time.AfterFunc(patience, func() { _ = p.cmd.Process.Signal(syscall.SIGQUIT) })
	defer stuck.Stop()
	rest := <-p.rest
	_ = p.cmd.Wait()
	if rest != "" {
		t.Errorf("musterd printed more than its addresses: %q", rest)
	}
	return p.cmd.ProcessState.ExitCode()
}

// call sends a request as an AWS client of eu-west-1 without a signature would
// and returns status and body.
func (p *process) call(t *testing.T, method, path, body string) (status int, answer map[string]any, header http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+p.HTTP+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			answer = map[string]any{"text": string(text)}
		}
	}
	return resp.StatusCode, answer, resp.Header
}

// must is call for what has to succeed.
func (p *process) must(t *testing.T, method, path, body string) map[string]any {
	t.Helper()
	status, answer, _ := p.call(t, method, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
	return answer
}
