// Package scenario is what a simulation runs: so far [Rollout], the one in
// which a fleet is found by a query, joins a group, follows its job to the
// next version and leaves, while late joiners come, connections break and
// power fails. It owns the order of what happens and what has to hold in the
// end; the things are a simulator.Fleet's, the judgement is the oracle's, and
// the words are package report's. Read on in phases.go for what happens one
// after the other, in groups.go for groups of all kinds, in shapes.go for storms and flapping, and in firmware.go
// for how the signed versions come to be.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/simulator"
	"github.com/muster-iot/muster/simulator/awsapi"
	"github.com/muster-iot/muster/simulator/report"
)

// Config makes a [Rollout]. Zero fields take their defaults.
type Config struct {
	// Source says where the server is and what is signed. HTTP is required;
	// default product app, from version 5 to 6.
	Source Source
	// MQTT is the broker's address, host:port or mqtts://host:port for TLS;
	// default: what the server says.
	MQTT string
	// Devices is the number of things, which connect within Ramp; default 100,
	// and 10 ms for each. Late more, who were never seen before, join at the
	// same rate when those have come to an end.
	Devices, Late int
	Ramp          time.Duration
	// Drop is the fraction of things whose connections are cut, for DropTime
	// (default 2 s): half of them when they are notified and have not started,
	// half when the roll-out is under way. Crash is the fraction whose power
	// is cut when they enter CrashPhase (default DOWNLOADING).
	Drop, Crash float64
	DropTime    time.Duration
	CrashPhase  update.Phase
	// Groups, when not 0, is for how long groups of all kinds are made, changed
	// and deleted while things change.
	Groups time.Duration
	// Storm, when not 0, cuts all connections at once for that time, at least
	// simulator.StormTime.
	Storm time.Duration
	// Flap is the fraction of things that are cut off Flaps times (default 5),
	// each about once in FlapEvery (default 3 s), for a quarter of that.
	Flap      float64
	FlapEvery time.Duration
	Flaps     int
	// Floor is measured beside the server while late joiners come.
	Floor simulator.Floor
	// Fail is the probability, 0 to 1, of a new version not becoming healthy.
	Fail float64
	// UpdateTime is the longest time that an update takes, download aside.
	UpdateTime time.Duration
	// Timeout bounds all phases together; default 60 s, and 60 s more for each
	// of Groups, Storm and Flap. What has not come to an end by then misses a threshold.
	Timeout time.Duration
	// MaxNotify is a threshold: the p99 of change -> notify-next. 0 is none.
	MaxNotify time.Duration
	// Run tells the groups, jobs and things of one run from those of another
	// on the same server. Default: the time, in short.
	Run string
	// Query is the group's; default the run's connected things on the old
	// version. One that finds other things updates them, too.
	Query string
	// Keep leaves group, job and things on the server.
	Keep bool
	// PerMinute bounds the job's rate; 0 is none.
	PerMinute int
	// Seed decides every draw.
	Seed uint64
	// Replay is the command that runs it again, for the report.
	Replay string
	// Sources are local addresses to connect from.
	Sources []netip.Addr
	// Logger takes what happens beside the report; may be nil.
	Logger *slog.Logger
	// Progress shows what is going on; may be nil.
	Progress *report.Progress
}

// Rollout is one run.
type Rollout struct {
	cfg      Config
	fleet    *simulator.Fleet
	firmware *Firmware
	group    protocol.ThingGroupName
	job      protocol.JobID
	// online and stay are those of storms and flapping; see shapes.go.
	online  protocol.ThingGroupName
	stay    protocol.JobID
	expired bool
	// standing are groups without a job; see groups.go.
	standing []protocol.ThingGroupName

	phases  []report.Phase
	verdict verdict
	more    []report.Threshold // of phases
	ratio   report.Ratio
	settled simulator.Counts // after the roll-out and the late joiners
}

// New checks the configuration. It connects to nothing.
func New(cfg Config) (*Rollout, error) {
	cfg = withDefaults(cfg)
	if _, err := awsapi.New(cfg.Source.HTTP, nil); err != nil {
		return nil, err
	}
	for _, check := range []struct {
		ok   bool
		what string
	}{
		{cfg.Devices > 0, "a roll-out needs at least one device"},
		{cfg.Late >= 0, "the number of late joiners is negative"},
		{fraction(cfg.Drop) && fraction(cfg.Crash) && fraction(cfg.Fail) && fraction(cfg.Flap), "fractions are 0 to 1"},
		{cfg.Ramp >= 0 && cfg.DropTime >= 0 && cfg.UpdateTime >= 0 && cfg.Groups >= 0 && cfg.Storm >= 0 && cfg.FlapEvery > 0 && cfg.Timeout > 0, "times are not negative"},
		{cfg.Flaps > 0, "the number of flaps is negative"},
		{cfg.Source.From != cfg.Source.To, "the version to update to is the one to update from"},
		{protocol.JobID(cfg.Run).Valid() && len(cfg.Run) <= 32, "the name of the run is not 1 to 32 of [a-zA-Z0-9_-]"},
		{!strings.Contains(cfg.Run, "%"), "the name of the run has a %"},
	} {
		if !check.ok {
			return nil, errors.New(check.what)
		}
	}
	return &Rollout{
		cfg:    cfg,
		group:  protocol.ThingGroupName("sim-" + cfg.Run + "-v" + cfg.Source.From),
		job:    protocol.JobID("sim-" + cfg.Run + "-" + strings.ReplaceAll(cfg.Source.To, ".", "_")),
		online: protocol.ThingGroupName("sim-" + cfg.Run + "-online"), stay: protocol.JobID("sim-" + cfg.Run + "-stay"),
		verdict: verdict{},
	}, nil
}

func fraction(f float64) bool { return f >= 0 && f <= 1 }

func withDefaults(cfg Config) Config {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&cfg.Source.Product, "app")
	set(&cfg.Source.From, "5")
	set(&cfg.Source.To, "6")
	set(&cfg.Run, time.Now().UTC().Format("0102-150405"))
	set(&cfg.Query, "connectivity.connected:true AND attributes.softwareVersion:"+cfg.Source.From+" AND thingName:sim-"+cfg.Run+"-*")
	cfg.Source.HTTP = strings.TrimSuffix(cfg.Source.HTTP, "/")
	if cfg.Devices == 0 {
		cfg.Devices = 100
	}
	if cfg.Ramp == 0 {
		cfg.Ramp = time.Duration(cfg.Devices) * 10 * time.Millisecond
	}
	if cfg.DropTime == 0 {
		cfg.DropTime = 2 * time.Second
	}
	if cfg.CrashPhase == "" {
		cfg.CrashPhase = update.Downloading
	}
	if cfg.FlapEvery == 0 {
		cfg.FlapEvery = 3 * time.Second
	}
	if cfg.Flaps == 0 {
		cfg.Flaps = 5
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
		for _, shape := range []bool{cfg.Groups > 0, cfg.Storm > 0, cfg.Flap > 0} {
			if shape {
				cfg.Timeout += time.Minute
			}
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Progress == nil {
		cfg.Progress = report.Quiet()
	}
	return cfg
}

// Run carries the scenario out and returns how it went. An error is that it
// could not be carried out; broken invariants and missed thresholds are in
// the report. What it made on the server is removed, unless something did not
// hold: then it is left to be looked at.
func (r *Rollout) Run(ctx context.Context) (rep *report.Report, err error) {
	began := time.Now()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	defer func() {
		r.fleet.Stop()
		if !r.cfg.Keep && (rep == nil || rep.ExitCode() == 0) {
			err = errors.Join(err, r.tidy(ctx))
		}
	}()
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	stop := r.watch(ctx)
	defer stop()
	if err := r.limited(ctx); err != nil {
		return nil, err
	}
	rep = &report.Report{
		Scenario: "rollout", Seed: r.cfg.Seed, Target: r.cfg.Source.HTTP, Run: r.cfg.Run,
		Began: began, Took: time.Since(began), Replay: r.cfg.Replay, Process: report.Measure(),
	}
	results, err := r.fleet.Check(ctx, r.cfg.Replay)
	if err != nil {
		return nil, fmt.Errorf("cannot check the invariants: %w", err)
	}
	stop()
	rep.Phases, rep.Invariants = r.phases, r.verdict.with(results)
	rep.Latencies, rep.Counts = r.fleet.Latencies(), r.fleet.Snapshot()
	rep.Ratio = r.ratio
	if rep.Thresholds, err = r.thresholds(ctx, rep); err != nil {
		return nil, err
	}
	return rep, nil
}

// limited tells the story within its time. That it took too long is no error:
// a threshold says so.
func (r *Rollout) limited(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	err := r.story(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		r.expired = true
		return nil
	}
	return err
}

// prepare publishes the firmware and makes the fleet.
func (r *Rollout) prepare(ctx context.Context) (err error) {
	if r.firmware, err = Prepare(ctx, r.cfg.Source); err != nil {
		return err
	}
	if r.cfg.MQTT == "" {
		api, err := awsapi.New(r.cfg.Source.HTTP, r.cfg.Source.client())
		if err != nil {
			return err
		}
		if r.cfg.MQTT, err = api.MQTTEndpoint(ctx); err != nil {
			return fmt.Errorf("cannot find out where the server speaks MQTT: %w", err)
		}
	}
	r.fleet, err = simulator.New(simulator.Config{
		HTTP: r.cfg.Source.HTTP, MQTT: r.cfg.MQTT, TLS: r.cfg.Source.TLS, Root: r.firmware.Root,
		Product: r.cfg.Source.Product, Version: r.cfg.Source.From, Seq: r.firmware.From.Custom.Seq,
		Prefix: "sim-" + r.cfg.Run + "-%05d", Seed: r.cfg.Seed, Register: true,
		UpdateTime: r.cfg.UpdateTime, FailureProbability: r.cfg.Fail, Sources: r.cfg.Sources,
		Logger: r.cfg.Logger, Agents: r.cfg.Logger,
	})
	return err
}

// watch shows progress and samples the truth of groups until it is stopped.
func (r *Rollout) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.cfg.Progress.Follow(ctx, r.fleet)
	}()
	sampled := make(chan struct{})
	go func() {
		defer close(sampled)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := r.fleet.Sample(ctx); err != nil && ctx.Err() == nil {
					r.cfg.Logger.Warn("cannot look at the groups", "err", err)
				}
			}
		}
	}()
	return func() {
		cancel()
		<-done
		<-sampled
	}
}

// connect starts the fleet, which lives until the end of the run.
func (r *Rollout) connect(ctx context.Context) error {
	r.cfg.Progress.Say("%d things connect on version %s", r.cfg.Devices, r.cfg.Source.From)
	r.fleet.Mark()
	return r.fleet.Start(ctx, r.cfg.Devices, r.cfg.Ramp)
}

// thresholds compares the end with what was wanted.
func (r *Rollout) thresholds(ctx context.Context, rep *report.Report) ([]report.Threshold, error) {
	members, err := r.fleet.API().Members(ctx, r.group)
	if err != nil {
		return nil, fmt.Errorf("cannot list group %s: %w", r.group, err)
	}
	c, all := rep.Counts, r.cfg.Devices+r.cfg.Late
	updated := c.ByVersion[r.cfg.Source.To]
	if r.settled.Devices == all {
		c.Failed = r.settled.Failed // the job of the shapes fails on old things once more
	}
	list := []report.Threshold{
		{Name: "came to an end", Want: "within " + r.cfg.Timeout.String(), Got: rep.Took.Round(time.Millisecond).String(), OK: !r.expired},
		{Name: "things", Want: fmt.Sprint(all), Got: fmt.Sprint(c.Devices), OK: c.Devices == all},
		{Name: "connected", Want: fmt.Sprint(all), Got: fmt.Sprint(c.Connected), OK: c.Connected == all},
	}
	if r.cfg.Fail == 0 {
		list = append(list,
			report.Threshold{Name: "on version " + r.cfg.Source.To, Want: fmt.Sprint(all), Got: fmt.Sprint(updated), OK: updated == all},
			report.Threshold{Name: "members of " + string(r.group), Want: "0", Got: fmt.Sprint(len(members)), OK: len(members) == 0})
	} else {
		failed := all - updated
		list = append(list, report.Threshold{
			Name: "failed updates are reported", Want: fmt.Sprint(failed), Got: fmt.Sprint(c.Failed), OK: c.Failed == failed,
		})
	}
	list = append(list, r.more...)
	if r.cfg.MaxNotify > 0 {
		for _, l := range rep.Latencies {
			if l.Name == simulator.LatencyNotify {
				list = append(list, report.Threshold{
					Name: l.Name + " p99", Want: "<= " + r.cfg.MaxNotify.String(), Got: l.P99.String(), OK: l.Count > 0 && l.P99 <= r.cfg.MaxNotify,
				})
			}
		}
	}
	return list, nil
}
