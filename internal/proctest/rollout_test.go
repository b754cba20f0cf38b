package proctest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/firmware/sign"
	"github.com/muster-iot/muster/internal/proctest"
)

// TestKillRolloutInstallsOnce kills the server in every rollout to two real
// agents: each device ends on the new version, with one execution, installed once.
func TestKillRolloutInstallsOnce(t *testing.T) {
	t.Parallel()
	n, rng := rounds(t), seeded(t)
	if os.Getenv("MUSTER_KILL_ROUNDS") == "" {
		n = 3
	}
	r := newRollout(t, rng)
	r.push(1, "first", "thing/agent-0", "thing/agent-1")
	eventually(t, 2*time.Minute, r.pending)
	for round := 1; round <= n; round++ {
		group := fmt.Sprintf("older-%d", round)
		must(t, r.operator.createGroup(t.Context(), group, fmt.Sprintf("attributes.softwareSeq<%d", (round+1)*10_000)))
		r.push(round+1, group, "thinggroup/"+group)
		for range 1 + rng.IntN(2) {
			<-time.After(time.Duration(rng.IntN(1200)) * time.Millisecond)
			r.havoc.server.Kill()
			r.havoc.server.start()
		}
		eventually(t, 2*time.Minute, r.pending)
		r.havoc.verify(group)
		t.Logf("round %d: both agents run version %d", round, r.version)
		// An agent whose sessions keep breaking comes back ever more slowly;
		// one that starts anew does not.
		for _, a := range r.agents {
			a.Stop()
		}
		r.startAgents()
	}
}

// rollout is a server with signed firmware and two agents.
type rollout struct {
	t         *testing.T
	havoc     *havoc
	operator  *operator
	workspace *sign.Workspace
	agents    []*agent
	// version is the newest one and jobs those that brought every one so far.
	version int
	jobs    []string
}

// agent is a muster-agent with its folders.
type agent struct {
	name, install, state string
	log                  *proctest.Log
	*proctest.Process
}

const passphrase = "correct horse"

func newRollout(t *testing.T, rng *rand.Rand) *rollout {
	t.Helper()
	server := newMusterd(t, "--reconnect-grace", "5s")
	w := &world{t: t, api: newAPI(server.http), mqtt: server.mqtt, ledger: proctest.NewLedger(nil)}
	r := &rollout{t: t, havoc: &havoc{world: w, rng: rng, server: server}, operator: &operator{world: w, name: "o", rng: rng}}
	server.start()
	status, err := repo.Client{URL: w.api.base}.Status(t.Context())
	must(t, err)
	r.workspace, _, err = sign.InitSolo(sign.SoloConfig{
		Dir: filepath.Join(t.TempDir(), "keys"), Settings: sign.Settings{Server: w.api.base},
		OnlineKey: status.OnlineKey, Passphrase: []byte(passphrase), Now: time.Now(),
	})
	must(t, err)
	t.Cleanup(func() { _ = r.workspace.Close() })
	for i := range 2 {
		dir := t.TempDir()
		a := &agent{name: fmt.Sprintf("agent-%d", i), install: filepath.Join(dir, "app"), state: filepath.Join(dir, "state"), log: &proctest.Log{}}
		must(t, r.operator.createThing(t.Context(), a.name, false))
		r.agents = append(r.agents, a)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s:\n%s", a.name, a.log)
			}
		})
	}
	r.startAgents()
	return r
}

func (r *rollout) startAgents() {
	r.t.Helper()
	for _, a := range r.agents {
		a.Process = proctest.Start(r.t, command(r.t, "muster-agent", "run", "--mqtt", r.havoc.mqtt, "--http", r.havoc.api.base, "--thing", a.name,
			"--state", a.state, "--product", "app="+a.install, "--root", r.workspace.RootPath(), "--log-level", "debug",
			"--restart", `echo "$MUSTER_VERSION" >>"$MUSTER_DIR/started"`), a.log)
	}
}

// publish signs and uploads a version.
func (r *rollout) publish(version int) firmware.Target {
	r.t.Helper()
	dir := r.t.TempDir()
	must(r.t, os.WriteFile(filepath.Join(dir, "app"), bytes.Repeat(fmt.Appendf(nil, "version %d\n", version), 20_000), 0o755))
	target, err := r.workspace.Add(sign.Release{
		Source: dir, Product: "app", Version: fmt.Sprint(version), Passphrase: []byte(passphrase), Now: time.Now(),
	})
	must(r.t, err)
	_, _, err = repo.Client{URL: r.havoc.api.base}.Publish(r.t.Context(), r.workspace)
	must(r.t, err)
	return target
}

// push publishes a version and makes the job that brings it to the targets.
func (r *rollout) push(version int, job string, targets ...string) {
	r.t.Helper()
	target := r.publish(version)
	document, err := json.Marshal(target.Document())
	must(r.t, err)
	for i := range targets {
		targets[i] = "arn:aws:iot:us-east-1:123456789012:" + targets[i]
	}
	body := object{"targets": targets, "document": string(document), "targetSelection": "CONTINUOUS"}
	must(r.t, r.havoc.api.call(r.t.Context(), iot, "PUT", "/jobs/"+job, body, nil))
	r.version, r.jobs = version, append(r.jobs, job)
	r.havoc.ledger.Exists("job/"+job, "CreateJob "+job)
}

// pending returns what is not yet as it must be after the rollout, and fails
// at once on what can never be made good.
func (r *rollout) pending() []string {
	fleet, err := r.havoc.api.read(r.t.Context(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	problems := fleet.Broken()
	for _, a := range r.agents {
		problems = append(problems, r.pendingAgent(a, fleet)...)
	}
	return problems
}

func (r *rollout) pendingAgent(a *agent, fleet proctest.Fleet) []string {
	r.t.Helper()
	var problems []string
	add := func(format string, args ...any) {
		problems = append(problems, a.name+": "+fmt.Sprintf(format, args...))
	}
	if got := fleet.Things[a.name].Attributes["softwareVersion"]; got != fmt.Sprint(r.version) {
		add("the server thinks it runs version %q", got)
	}
	for _, job := range r.jobs {
		var runs []proctest.Execution
		for _, x := range fleet.Executions {
			if x.Job == job && x.Thing == a.name {
				runs = append(runs, x)
			}
		}
		if len(runs) != 1 || runs[0].Status != "SUCCEEDED" {
			add("executions of %s: %+v", job, runs)
		}
	}
	started, _ := os.ReadFile(filepath.Join(a.install, "started"))
	installs := strings.Fields(string(started))
	if twice := slices.Compact(slices.Sorted(slices.Values(installs))); len(twice) != len(installs) {
		r.t.Fatalf("%s installed a version twice: %v", a.name, installs)
	}
	if len(installs) != r.version {
		add("it installed %v", installs)
	}
	current, _ := os.Readlink(filepath.Join(a.install, "current"))
	if filepath.Base(current) != fmt.Sprint(r.version) {
		add("current is %q", current)
	}
	select {
	case <-a.Ended:
		r.t.Fatalf("%s has ended: %v\n%s", a.name, a.Err, a.Stderr)
	default:
	}
	if len(problems) == 0 {
		problems = append(problems, r.pendingJournal(a)...)
	}
	return problems
}

// pendingJournal judges what the agent's own journal says.
func (r *rollout) pendingJournal(a *agent) []string {
	r.t.Helper()
	var out bytes.Buffer
	cmd := command(r.t, "muster-agent", "status", "--state", a.state, "-o", "json")
	cmd.Stdout = &out
	status := proctest.Start(r.t, cmd, nil)
	<-status.Ended
	must(r.t, status.Err)
	type identity struct {
		JobID                     string
		ExecutionNumber, QueuedAt int64
	}
	var s struct {
		Update struct {
			Phase    string
			Finished []struct {
				Execution identity
				Outcome   struct{ Status string }
			}
		}
		Committed map[string]struct{ Version string }
		Problems  []string
	}
	must(r.t, json.Unmarshal(out.Bytes(), &s))
	if s.Update.Phase != "IDLE" || s.Committed["app"].Version != fmt.Sprint(r.version) || len(s.Problems) > 0 {
		return []string{a.name + ": its journal says " + out.String()}
	}
	seen := map[identity]bool{}
	for _, f := range s.Update.Finished {
		if seen[f.Execution] || f.Outcome.Status != "SUCCEEDED" {
			r.t.Fatalf("%s finished an execution twice or badly: %s", a.name, out.String())
		}
		seen[f.Execution] = true
	}
	return nil
}
