//go:build unix

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// demoRun is muster demo as a process of its own, with a folder for
// everything that it writes.
type demoRun struct {
	t      *testing.T
	folder string
	cmd    *exec.Cmd
	output *lockedBuffer
	ended  chan struct{}
}

// lockedBuffer may be read while a process writes into it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// buildMuster builds the program as users do.
func buildMuster(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "muster")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("cannot build muster: %v\n%s", err, out)
	}
	return binary
}

func startDemo(t *testing.T, binary string, args ...string) *demoRun {
	t.Helper()
	d := &demoRun{t: t, folder: t.TempDir(), output: &lockedBuffer{}, ended: make(chan struct{})}
	d.cmd = exec.Command(binary, append([]string{"demo"}, args...)...)
	d.cmd.Env = append(os.Environ(), "TMPDIR="+d.folder)
	d.cmd.Stdout, d.cmd.Stderr = d.output, d.output
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.ended
	})
	return d
}

// until polls a condition.
func (d *demoRun) until(what string, limit time.Duration, reached func() bool) {
	d.t.Helper()
	late := time.After(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !reached() {
		select {
		case <-late:
			d.t.Fatalf("%s: not within %s; the output is\n%s", what, limit, d.output)
		case <-tick.C:
		}
	}
}

func (d *demoRun) over() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

func (d *demoRun) shows(text string) func() bool {
	return func() bool { return strings.Contains(d.output.String(), text) }
}

// children lists the command lines of the demo's child processes: all of them
// name its folder.
func (d *demoRun) children() []string {
	var found []string
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range all {
		line, err := os.ReadFile(name)
		if err == nil && bytes.Contains(line, []byte(d.folder)) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// left lists what lies in the folder.
func (d *demoRun) left() []string {
	names, err := filepath.Glob(filepath.Join(d.folder, "*"))
	return append(names, errorText(err)...)
}

func errorText(err error) []string {
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}

func (d *demoRun) nothingRemains() {
	d.t.Helper()
	if left := d.left(); len(left) > 0 {
		d.t.Errorf("the demo left %v", left)
	}
	if running := d.children(); len(running) > 0 {
		d.t.Errorf("the demo left processes: %v", running)
	}
}

// TestDemo runs the whole demo with small fleets and all faults, and ends it
// early in every way.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	binary := buildMuster(t)
	for name, test := range map[string]func(*testing.T, string){
		"all of it holds":        testDemoHolds,
		"kept until interrupted": testDemoKept,
		"interrupted":            testDemoInterrupted,
		"killed":                 testDemoKilled,
		"an agent dies":          testDemoAgentDies,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, binary)
		})
	}
}

func testDemoHolds(t *testing.T, binary string) {
	d := startDemo(t, binary, "--devices", "10")
	d.until("the end", 3*time.Minute, d.over)
	out := d.output.String()
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	for _, line := range []string{
		`✓ devices in the fleet index +33 +33\n`,
		`✓ devices on version 6 in the fleet index +33 +33\n`,
		`✓ devices with exactly one SUCCEEDED execution +33 +33\n`,
		`✓ devices on version 6 on their own disks +33 +33\n`,
		`✓ devices that installed it exactly once +33 +33\n`,
		`✓ late joiners that got the job +20 +20\n`,
		`✓ devices dropped off, as the server saw it +1 +1\n`,
		`✓ starts of the server +2 +2\n`,
		`✓ members left in the group +0 +0\n`,
		`✓ invariants broken +0 of 12 +0 of 12\n`,
		`✓ change to notify-next +p50 .*, p99 `,
	} {
		if !regexp.MustCompile(line).MatchString(out) {
			t.Errorf("the summary has no line %q:\n%s", line, out)
		}
	}
	if strings.Contains(out, "✗") || strings.Contains(out, "\x1b") || strings.Contains(out, "level=") {
		t.Errorf("crosses, terminal codes or log lines in the output:\n%s", out)
	}
	d.nothingRemains()
}

func testDemoKept(t *testing.T, binary string) {
	d := startDemo(t, binary, "--devices", "1", "--keep")
	d.until("it keeps running", 3*time.Minute, d.shows("Ctrl-C"))
	if d.over() {
		t.Fatalf("the demo did not wait:\n%s", d.output)
	}
	d.interrupt()
	d.until("the end", 30*time.Second, d.over)
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, d.output)
	}
	d.nothingRemains()
}

func (d *demoRun) interrupt() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Fatal(err)
	}
}

// startRunning starts a demo and waits until all its children run.
func startRunning(t *testing.T, binary string) *demoRun {
	t.Helper()
	d := startDemo(t, binary, "--devices", "3")
	d.until("children run", time.Minute, d.shows("4. Create the dynamic group"))
	return d
}

func testDemoInterrupted(t *testing.T, binary string) {
	d := startRunning(t, binary)
	d.interrupt()
	d.until("the end", 30*time.Second, d.over)
	if code := d.cmd.ProcessState.ExitCode(); code != 1 || !d.shows("muster: interrupted\n")() {
		t.Errorf("exit code %d\n%s", code, d.output)
	}
	d.nothingRemains()
}

func testDemoKilled(t *testing.T, binary string) {
	d := startRunning(t, binary)
	if len(d.children()) != 4 {
		t.Skip("this system does not show processes")
	}
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.until("children end", 20*time.Second, func() bool { return len(d.children()) == 0 })
}

func testDemoAgentDies(t *testing.T, binary string) {
	d := startRunning(t, binary)
	pid := d.childNamed("real-2")
	if pid == 0 {
		t.Skip("this system does not show processes")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.until("the end", time.Minute, d.over)
	if code := d.cmd.ProcessState.ExitCode(); code != 1 || !d.shows("muster: real-2 ended unexpectedly")() {
		t.Errorf("exit code %d\n%s", code, d.output)
	}
	if len(d.left()) != 1 || !d.shows("Everything is kept in "+d.left()[0])() {
		t.Errorf("a failed demo does not keep its folder: %v\n%s", d.left(), d.output)
	}
}

// childNamed returns the process id of a child that runs a thing, or 0.
func (d *demoRun) childNamed(thing string) int {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range all {
		line, err := os.ReadFile(name)
		if err == nil && bytes.Contains(line, []byte(d.folder)) && bytes.Contains(line, []byte("\x00"+thing+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			return pid
		}
	}
	return 0
}

func TestDemoRefuses(t *testing.T) {
	for _, row := range []struct{ name, value, says string }{
		{"no device", "0", "1 to 5000 virtual devices, not 0"},
		{"too many devices", "5001", "1 to 5000 virtual devices, not 5001"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := rootCommand()
			c.SetArgs([]string{"demo", "--devices", row.value})
			c.SilenceErrors, c.SilenceUsage = true, true
			if err := c.Execute(); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("--devices %s: %v", row.value, err)
			}
		})
	}
}
