package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muster-iot/muster/agent/journal"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
)

func jsonOf(v any) ([]byte, error) { return json.Marshal(v) }

// binary holds the path of the agent that TestMain has built.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "muster-agent")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "muster-agent")
	if output, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the agent: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// device is a folder on which agents come and go.
type device struct {
	*fleet
	thing string
	dir   string
	cmd   *exec.Cmd
	log   *bytes.Buffer
}

// The commands that the device's owner has configured. restart writes a
// ledger; both wait as long as a file says so, to be killed in the middle.
const (
	restart = `printf '%s\n' "$MUSTER_VERSION" >> "$MUSTER_DIR/started"; while [ -e "$MUSTER_DIR/hold-restart" ]; do sleep 0.02; done`
	healthy = `while [ -e "$MUSTER_DIR/hold-health" ]; do sleep 0.02; done; [ "$(cat "$MUSTER_CURRENT/VERSION")" = "$MUSTER_VERSION" ]`
)

// newDevice starts an agent on a new device and brings it to version 5.
func newDevice(t *testing.T, f *fleet, thing string) *device {
	t.Helper()
	d := &device{fleet: f, thing: thing, dir: t.TempDir(), log: &bytes.Buffer{}}
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("the agent's log:\n%s", d.log)
		}
	})
	d.start()
	f.eventually("the thing's registration", func() bool { _, err := f.api.Shadow(t.Context(), protocol.ThingName(thing)); return err == nil })
	job := protocol.JobID(thing + "-5")
	f.push(job, thing, "5")
	if status := f.ends(job); status != jobs.Succeeded || d.current() != "5" {
		t.Fatalf("first install: %s, version %q", status, d.current())
	}
	return d
}

func (d *device) app() string { return filepath.Join(d.dir, "app") }

// start starts the agent's process.
func (d *device) start() {
	d.t.Helper()
	d.cmd = exec.Command(binary, "run", "--mqtt", d.mqtt, "--http", d.web, "--thing", d.thing, "--register",
		"--state", filepath.Join(d.dir, "state"), "--product", "app="+d.app(), "--root", d.root,
		"--restart", restart, "--health", healthy, "--log-level", "debug")
	d.cmd.Stderr = d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
}

// kill ends the agent's process as a power cut does: at once, by SIGKILL.
func (d *device) kill() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
	d.cmd = nil
}

// hold lets a command of the device wait until the returned function is called.
func (d *device) hold(command string) (release func()) {
	name := filepath.Join(d.app(), "hold-"+command)
	write(d.t, name, "")
	return func() { _ = os.Remove(name) }
}

// phase returns what the journal says.
func (d *device) phase() update.Phase {
	disk, err := durable.OpenOS(filepath.Join(d.dir, "state"))
	if err != nil {
		return ""
	}
	defer disk.Close()
	s, err := journal.New(disk).State()
	if err != nil {
		d.t.Errorf("journal: %v", err)
	}
	return s.Phase
}

func (d *device) current() string {
	data, err := os.ReadFile(filepath.Join(d.app(), "current", "VERSION"))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// started returns the versions that were started, in order.
func (d *device) started() []string {
	data, err := os.ReadFile(filepath.Join(d.app(), "started"))
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.Fields(string(data))
}

// truthful checks that what the fleet knows is what runs.
func (d *device) truthful(status jobs.ExecutionStatus) {
	d.t.Helper()
	want := "5"
	if status == jobs.Succeeded {
		want = "6"
	}
	if got := d.current(); got != want {
		d.t.Errorf("%s is reported and version %s runs", status, got)
	}
	d.eventually("the report of version "+want, func() bool { return d.reported(d.thing) == want })
	if n := count(d.started(), "6"); n > 1 {
		d.t.Errorf("version 6 was started %d times: %v", n, d.started())
	}
	entries, err := os.ReadDir(filepath.Join(d.app(), "versions"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".incoming") || strings.HasPrefix(e.Name(), ".trash") {
			d.t.Errorf("left behind: %s", e.Name())
		}
	}
	if left, _ := os.ReadDir(filepath.Join(d.dir, "state", "downloads")); len(left) > 0 {
		d.t.Errorf("left behind: %v", left)
	}
}

func count(list []string, s string) (n int) {
	for _, item := range list {
		if item == s {
			n++
		}
	}
	return n
}

func TestKill9(t *testing.T) {
	f := startFleet(t)
	for _, row := range []struct {
		phase update.Phase
		hold  string
		want  jobs.ExecutionStatus
	}{
		{update.Downloading, "", jobs.Succeeded},
		{update.Switching, "restart", jobs.Failed},
		{update.Trial, "health", jobs.Succeeded},
	} {
		t.Run(string(row.phase), func(t *testing.T) {
			thing := "kill-" + strings.ToLower(string(row.phase))
			d := newDevice(t, f, thing)
			release := func() {}
			if row.hold != "" {
				release = d.hold(row.hold)
			}
			f.slow.Store(row.phase == update.Downloading)
			defer f.slow.Store(false)
			job := protocol.JobID(thing + "-6")
			f.push(job, thing, "6")
			d.eventually("phase "+string(row.phase), func() bool { return d.phase() == row.phase && d.busy(row.phase) })
			before := f.ranges.Load()
			d.kill()
			release()
			d.start()
			status := f.ends(job)
			if status != row.want {
				t.Errorf("%s, want %s", status, row.want)
			}
			d.truthful(status)
			if row.phase == update.Downloading && f.ranges.Load() == before {
				t.Error("the download was begun anew")
			}
		})
	}
}

// busy reports whether a phase is in the middle of its work.
func (d *device) busy(phase update.Phase) bool {
	switch phase {
	case update.Downloading:
		parts, _ := filepath.Glob(filepath.Join(d.dir, "state", "downloads", "*.part"))
		if len(parts) != 1 {
			return false
		}
		info, err := os.Stat(parts[0])
		return err == nil && info.Size() > 1<<20
	case update.Switching:
		return slices.Contains(d.started(), "6")
	}
	return true
}

// TestKill9AnyTime kills the agent again and again while it updates, and lets
// it live in the end.
func TestKill9AnyTime(t *testing.T) {
	f := startFleet(t)
	f.slow.Store(true)
	defer f.slow.Store(false)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for round := range 4 {
		thing := fmt.Sprintf("any-%d", round)
		f.slow.Store(false)
		d := newDevice(t, f, thing)
		f.slow.Store(true)
		job := protocol.JobID(thing + "-6")
		f.push(job, thing, "6")
		var at []string
		for range 4 {
			<-time.After(time.Duration(random.IntN(700)) * time.Millisecond)
			at = append(at, string(d.phase()))
			d.kill()
			d.start()
		}
		status := f.ends(job)
		t.Logf("killed at %v: %s", at, status)
		if status != jobs.Succeeded && status != jobs.Failed {
			t.Errorf("%s", status)
		}
		d.truthful(status)
		d.kill()
	}
}

// TestStop: SIGTERM ends an agent at once, whatever it does, and the next one
// goes on.
func TestStop(t *testing.T) {
	f := startFleet(t)
	d := newDevice(t, f, "stop")
	for _, c := range []struct {
		name    string
		prepare func()
	}{
		{"idle", func() {}}, // first: a process that has just been started knows no signals yet
		{"downloading", func() {
			f.slow.Store(true)
			f.push("stop-6", "stop", "6")
			d.eventually("the download", func() bool { return d.phase() == update.Downloading })
		}},
	} {
		c.prepare()
		begun := time.Now()
		if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := d.cmd.Wait(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s: stopping took %s", c.name, took)
		}
		f.slow.Store(false)
		d.start()
	}
	if status := f.ends("stop-6"); status != jobs.Succeeded {
		t.Errorf("after all: %s", status)
	}
	d.truthful(jobs.Succeeded)
}
