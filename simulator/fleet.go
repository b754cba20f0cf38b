// Package simulator runs many virtual things on the real agent's code against
// a real server, hurts them, and knows what truly happened. A [Fleet] is the
// things and the observer that listens to the server's events; it measures how
// long changes take and keeps the history that package oracle judges. It never
// touches the server but as devices, operators and listeners do.
//
//	fleet, err := simulator.New(simulator.Config{HTTP: url, MQTT: addr, Root: root, Product: "app", Version: "5", Seq: 50000, Register: true})
//	err = fleet.Start(ctx, 100, 5*time.Second)
//	defer fleet.Stop()
//	... create group and job; fleet.Watch(group, job) ...
//	err = fleet.Until(ctx, func(c simulator.Counts) bool { return c.ByVersion["6"] == c.Devices })
//	results, err := fleet.Check(ctx, "how to run this again")
//
// Read on in measure.go (latencies), faults.go (drops and crashes) and
// judge.go (what the oracle gets to see).
package simulator

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/muster-iot/muster/internal/pause"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/simulator/awsapi"
	"github.com/muster-iot/muster/simulator/device"
	"github.com/muster-iot/muster/simulator/load"
	"github.com/muster-iot/muster/simulator/observer"
	"github.com/muster-iot/muster/simulator/oracle"
)

// Event is one thing that happened on a virtual thing.
type Event = device.Event

// Config makes a [Fleet].
type Config struct {
	// HTTP is the server's base URL, http://host:port. Required.
	HTTP string
	// MQTT is the broker's address, host:port or mqtts://host:port for TLS.
	// Required; awsapi's MQTTEndpoint asks the server for it.
	MQTT string
	// TLS says whom things, observer and judge trust and what they show, over
	// MQTT and HTTPS. Default: the system's roots, no certificate.
	TLS *tls.Config
	// Root is the root metadata of the server's signed repository. Required.
	Root []byte
	// Product is what the things run; they are born with Version, whose
	// release counter is Seq. Required.
	Product, Version string
	Seq              int64
	// Prefix makes the names: a format with one number. Default "sim-%05d".
	Prefix string
	// Seed decides every draw.
	Seed uint64
	// Register lets the things ask to be registered (rule 29).
	Register bool
	// UpdateTime is the longest time that an update takes, download aside.
	UpdateTime time.Duration
	// FailureProbability is that of a new version not becoming healthy, 0 to 1.
	FailureProbability float64
	// Sources are local addresses to connect from, taken in turn. Default:
	// those of device.Sources.
	Sources []netip.Addr
	// Logger takes what the fleet does; Agents what its agents log. Default:
	// nothing is logged.
	Logger, Agents *slog.Logger
	// Observe is told what happens on the things, from many goroutines; it
	// must not block. May be nil.
	Observe func(Event)
}

// Fleet is a number of virtual things. Make it with [New], start it once.
type Fleet struct {
	cfg      Config
	api      *awsapi.Client
	client   *http.Client // of all things, to the repository
	observer *observer.Observer
	oracle   *oracle.Oracle
	measure  *measure

	stop context.CancelFunc
	ctx  context.Context //nolint:containedctx // the things' life, which Start begins and Stop ends
	all  sync.WaitGroup

	mu      sync.Mutex
	members []*member
	byName  map[protocol.ThingName]*member
	failed  error // the first thing that could not run
	batches int   // of things, for their ramps
	faults  int   // injected, for their draws
}

// member is one thing of the fleet.
type member struct {
	device *device.Device
}

// New checks the configuration. It connects to nothing.
func New(cfg Config) (*Fleet, error) {
	if cfg.Prefix == "" {
		cfg.Prefix = "sim-%05d"
	}
	if !protocol.ThingName(nameOf(cfg.Prefix, 0)).Valid() || nameOf(cfg.Prefix, 0) == nameOf(cfg.Prefix, 1) {
		return nil, fmt.Errorf("prefix %q does not make thing names: give a format such as sim-%%05d", cfg.Prefix)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.HTTP = strings.TrimSuffix(cfg.HTTP, "/")
	if cfg.Sources == nil {
		cfg.Sources = device.Sources(cfg.MQTT)
	}
	api, err := awsapi.New(cfg.HTTP, &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: cfg.TLS, MaxIdleConnsPerHost: parallel, IdleConnTimeout: 30 * time.Second},
	})
	if err != nil {
		return nil, err
	}
	f := &Fleet{
		cfg: cfg, api: api, oracle: oracle.New(), measure: newMeasure(), byName: map[protocol.ThingName]*member{},
		client: &http.Client{Transport: &http.Transport{
			TLSClientConfig: cfg.TLS, MaxIdleConnsPerHost: 16, MaxConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, ResponseHeaderTimeout: 30 * time.Second,
		}},
	}
	f.observer, err = observer.New(observer.Config{
		Address: cfg.MQTT, TLS: cfg.TLS, ClientID: "muster-sim-observer-" + strconv.FormatUint(cfg.Seed, 36),
		Filters: []string{
			"$aws/events/thingGroupMembership/#", "$aws/events/presence/#", "$aws/events/jobExecution/#",
		},
		Deliver: f.message, Epoch: f.epoch, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	if _, err := f.newMember(0); err != nil {
		return nil, err // the configuration of the things is checked by making one
	}
	return f, nil
}

func nameOf(format string, n int) string { return fmt.Sprintf(format, n) }

// newMember makes thing n without starting it.
func (f *Fleet) newMember(n int) (*member, error) {
	cfg := device.Config{
		Thing: protocol.ThingName(nameOf(f.cfg.Prefix, n)), MQTT: f.cfg.MQTT, TLS: f.cfg.TLS, HTTP: f.cfg.HTTP, Root: f.cfg.Root,
		Product: f.cfg.Product, Version: f.cfg.Version, Seq: f.cfg.Seq, Register: f.cfg.Register, Client: f.client,
		UpdateTime: f.cfg.UpdateTime, FailureProbability: f.cfg.FailureProbability,
		// The place in the fleet, not the name, decides the draws.
		Seed: load.Derive(f.cfg.Seed, "device", strconv.Itoa(n)), Observe: f.observe, Logger: f.cfg.Agents,
	}
	if len(f.cfg.Sources) > 0 {
		cfg.Source = f.cfg.Sources[n%len(f.cfg.Sources)]
	}
	d, err := device.New(cfg)
	if err != nil {
		return nil, err
	}
	return &member{device: d}, nil
}

// API returns the client through which the fleet talks to the server.
func (f *Fleet) API() *awsapi.Client { return f.api }

// Start switches the server's events on, listens to them, and starts n things
// spread over a time. It returns once the server is listened to; the things
// start meanwhile. The fleet ends with ctx or with Stop.
func (f *Fleet) Start(ctx context.Context, n int, over time.Duration) error {
	if f.ctx != nil {
		return errors.New("the fleet has been started already")
	}
	f.ctx, f.stop = context.WithCancel(ctx)
	if err := f.api.EnableEvents(ctx, event.ThingGroupMembership, event.JobExecution); err != nil {
		f.stop()
		return fmt.Errorf("cannot switch the server's events on: %w", err)
	}
	f.all.Go(func() { f.fail(f.observer.Run(f.ctx)) })
	select {
	case <-f.observer.Ready():
	case <-f.ctx.Done():
		return f.ctx.Err()
	case <-time.After(15 * time.Second):
		f.stop()
		return fmt.Errorf("cannot listen to the server's events at %s: %w", f.cfg.MQTT, cmp.Or(f.observer.Err(), errors.New("it does not answer")))
	}
	return f.Add(n, over)
}

// Add starts n more things, spread over a time.
func (f *Fleet) Add(n int, over time.Duration) error {
	if f.ctx == nil {
		return errors.New("the fleet has not been started")
	}
	ramp := load.Ramp{N: n, Over: over}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.batches++
	jitter := load.Rand(f.cfg.Seed, "ramp", strconv.Itoa(f.batches))
	begin := time.Now()
	batch, due := make([]*member, n), make([]time.Time, n)
	for i := range batch {
		m, err := f.newMember(len(f.members))
		if err != nil {
			return err
		}
		thing := m.device.Status().Thing
		f.members = append(f.members, m)
		f.byName[thing] = m
		batch[i], due[i] = m, begin.Add(ramp.At(i, jitter))
		f.measure.expect(thing, due[i])
	}
	f.all.Go(func() { f.begin(batch, due, ramp.PerSecond()) })
	return nil
}

// begin starts things when they are due, but never faster than the rate of
// their ramp, with a tenth of a second's as a burst: a machine that was busy
// does not make up for it by a storm.
func (f *Fleet) begin(batch []*member, due []time.Time, rate float64) {
	bucket := load.Bucket{PerSecond: rate, Burst: int(rate / 10)}
	for i, m := range batch {
		if !pause.For(f.ctx, time.Until(due[i])) || !pause.For(f.ctx, bucket.Take(time.Now())) {
			return
		}
		f.all.Go(func() { f.fail(m.device.Run(f.ctx)) })
	}
}

// fail remembers the first failure of the simulator itself.
func (f *Fleet) fail(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = err
		f.cfg.Logger.Error("a part of the simulator ended", "err", err)
	}
}

// Stop ends all things with a goodbye and waits for them.
func (f *Fleet) Stop() {
	if f.stop == nil {
		return
	}
	f.stop()
	f.all.Wait()
	f.client.CloseIdleConnections()
}

// observe takes what happens on a thing.
func (f *Fleet) observe(e Event) {
	f.measure.observe(e)
	f.record(e)
	if f.cfg.Observe != nil {
		f.cfg.Observe(e)
	}
}

// epoch notes that the observer listens, anew from the second time on: then
// what the groups hold is looked up, because the events in between are lost.
func (f *Fleet) epoch(n int) {
	f.oracle.Epoch(time.Now())
	if n == 1 {
		return
	}
	f.all.Go(func() {
		if err := f.Sample(f.ctx); err != nil && f.ctx.Err() == nil {
			f.cfg.Logger.Warn("cannot look at the groups", "err", err)
		}
	})
}

// message takes an event of the server.
func (f *Fleet) message(m observer.Message) {
	if change, ok := f.oracle.Message(m.At, m.Epoch, m.Topic, m.Payload); ok && f.oracle.Follows(change.Group) {
		f.measure.membership(change)
	}
}

// Counts is what a fleet looks like at one moment, by the things' own truth.
type Counts struct {
	Devices   int            `json:"devices"`
	Connected int            `json:"connected"`
	ByVersion map[string]int `json:"byVersion"`
	// Updating counts things that work on an execution right now.
	Updating int `json:"updating"`
	// Installs counts how often an update made a version the running one.
	Installs int `json:"installs"`
	// Succeeded, Failed and Rejected count reports that the server accepted.
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Rejected  int `json:"rejected"`
	// Drops and Crashes count what was done to the things.
	Drops   int `json:"drops"`
	Crashes int `json:"crashes"`
	// Joins and Leaves count membership events of the watched group.
	Joins  int `json:"joins"`
	Leaves int `json:"leaves"`
	// Epochs counts connections of the observer: one more than it lost.
	Epochs int `json:"epochs"`
}

// Snapshot counts.
func (f *Fleet) Snapshot() Counts {
	c := Counts{ByVersion: map[string]int{}}
	for _, s := range f.Devices() {
		c.Devices++
		c.ByVersion[s.Running.Version]++
		c.Installs += s.Installs
		c.Drops += s.Drops
		c.Crashes += s.Crashes
		if s.Connected {
			c.Connected++
		}
		if s.Updating() {
			c.Updating++
		}
	}
	f.oracle.Count(func(t oracle.Tally) {
		c.Succeeded, c.Failed, c.Rejected = t.Succeeded, t.Failed, t.Rejected
		c.Joins, c.Leaves, c.Epochs = t.Joins, t.Leaves, t.Epochs
	})
	return c
}

// Devices returns the truth about every thing, in the order of their names.
func (f *Fleet) Devices() []device.Status {
	f.mu.Lock()
	members := f.members[:len(f.members):len(f.members)]
	f.mu.Unlock()
	list := make([]device.Status, len(members))
	for i, m := range members {
		list[i] = m.device.Status()
	}
	return list
}

// Until waits until the counts are as wanted, ctx ends, or a part of the
// simulator fails.
func (f *Fleet) Until(ctx context.Context, wanted func(Counts) bool) error {
	for {
		f.mu.Lock()
		err := f.failed
		f.mu.Unlock()
		if err != nil {
			return err
		}
		if wanted(f.Snapshot()) {
			return nil
		}
		if !pause.For(ctx, 50*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}
