// Package agent is the device side of Muster: it connects, reports what it
// runs, takes the next job, updates, and reports how that ended, for as long
// as it runs. It owns the loop around the pure machine in agent/update: the
// machine decides, the loop carries its effects out on the parts in [Config]
// and feeds their ends back. Everything that touches the world is such a
// part, so that any number of agents live in one process, each with its own
// world, real or made up: there is no global state, no environment variable
// and nothing that runs while a device is idle but its connection.
//
// Reading order: agent.go, loop.go (events in, effects out), talk.go (what is
// said to the fleet side), link.go (sessions), work.go (what is done here).
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/protocol"
	document "github.com/muster-iot/muster/protocol/update"
)

// Transport opens sessions with the fleet side; agent/mqtt is the real one.
type Transport interface {
	// Connect opens one session: it returns once the device is connected and
	// subscribed to the filters. deliver is called for every message, perhaps
	// concurrently, and does not block. The agent calls Connect again, with
	// jittered pauses, whenever a session has ended.
	Connect(ctx context.Context, filters []string, deliver func(topic string, payload []byte)) (Session, error)
}

// Session is one connection.
type Session interface {
	// Publish returns when the fleet side has taken the message (QoS 1).
	Publish(ctx context.Context, topic string, payload []byte) error
	// Done is closed when the connection is lost or closed.
	Done() <-chan struct{}
	// Close ends the connection and returns when it is gone.
	Close()
}

// Journal is the device's memory; agent/journal is the real one. It is called
// from one goroutine.
type Journal interface {
	// State returns the zero State when nothing was ever written, and a State
	// in phase [update.Unreadable] with an error when it cannot be trusted.
	State() (update.State, error)
	SaveState(update.State) error
	// Committed returns what each product runs; an error comes with an empty map.
	Committed() (map[string]update.Release, error)
	SaveCommitted(map[string]update.Release) error
}

// Trust knows which targets are properly signed. Errors are an
// [update.Refusal] for a target that is not for this device,
// [update.ErrUnavailable] when the server cannot be reached, or anything else
// for metadata that cannot be trusted.
type Trust interface {
	// Resolve returns the signed target that a job document names if this
	// device may install it over what the product runs now.
	Resolve(ctx context.Context, now time.Time, doc document.Document, committed update.Release) (firmware.Target, error)
}

// Fetcher brings targets onto the device; agent/fetch is the real one.
type Fetcher interface {
	// Fetch downloads a target, going on where an earlier call stopped. The
	// file is complete, hashed and durable when it returns nil.
	Fetch(ctx context.Context, t firmware.Target) error
	// Verify hashes the fetched file again.
	Verify(ctx context.Context, t firmware.Target) error
	// File returns where the fetched file is.
	File(t firmware.Target) string
	// Remove deletes the file and every part of it.
	Remove(t firmware.Target) error
}

// Installer installs one product; agent/install has the real ones. Every
// method may be repeated after a crash and then ends in the same state.
type Installer interface {
	// Prepare says, before the download, why the target cannot be installed:
	// its format is unknown ([update.Refusal]) or the disk is too small.
	Prepare(ctx context.Context, t firmware.Target) error
	// Install puts the new version beside the running one, durably, from the
	// staged file, whose hash it checks itself.
	Install(ctx context.Context, t firmware.Target, file string) error
	// Switch makes the new version the running one.
	Switch(ctx context.Context, t firmware.Target) error
	// Check returns nil when the new version is the one that runs, and healthy.
	Check(ctx context.Context, t firmware.Target) error
	// Commit makes the new version stay and collects old ones. It fails when
	// another one runs.
	Commit(ctx context.Context, t firmware.Target) error
	// Rollback makes a release run and removes what the failed target left.
	// Either may be zero: nothing was installed before; nothing is known of
	// a failed one.
	Rollback(ctx context.Context, to update.Release, failed firmware.Target) error
}

// Adopter is an [Installer] that can tell what runs on a device that no update
// has committed anything on.
type Adopter interface {
	// Current returns the zero Release when nothing is installed.
	Current() (update.Release, error)
}

// Inventory tells what a device reports about itself beside its versions;
// agent/inventory is the real one.
type Inventory interface {
	// Report returns members of the shadow's reported section.
	Report() map[string]any
}

// Backoff bounds the pauses between attempts: the n-th one is drawn evenly
// from 0 to min(Max, Base·2ⁿ), so that a fleet does not come back in waves.
type Backoff struct {
	// Base is 1 s when 0, Max 60 s.
	Base, Max time.Duration
}

// Config makes an agent.
type Config struct {
	// Thing is the device's name, and its client id. Required.
	Thing protocol.ThingName
	// Transport, Journal, Trust and Fetcher are the agent's world. Required.
	Transport Transport
	Journal   Journal
	Trust     Trust
	Fetcher   Fetcher
	// Installers holds what the agent manages, by product. At least one.
	Installers map[string]Installer
	// Primary is the product whose version the device reports as its
	// softwareVersion. Default: the only one, or the first by name.
	Primary string
	// Inventory adds to the shadow report; nil adds nothing.
	Inventory Inventory
	// Register asks a server that allows it to register this thing (rule 29).
	Register bool
	// Reconnect paces connection attempts; Retry what failed within a session
	// or a work.
	Reconnect, Retry Backoff
	// AnswerTimeout bounds the wait for an answer. Default 30 s.
	AnswerTimeout time.Duration
	// Seed makes the jitter reproducible; 0 draws one.
	Seed uint64
	// Observe is called by the agent's loop after every change of phase; it
	// must not block. May be nil.
	Observe func(update.State)
	// Logger takes what happens. Default: nothing is logged.
	Logger *slog.Logger
}

// Agent is one device. Make it with [New] and call Run once.
type Agent struct {
	cfg Config
	log *slog.Logger

	// Owned by the loop's goroutine (loop.go).
	state     update.State
	committed map[string]update.Release
	work      work
	talk      talk
	rand      *rand.Rand

	// Written by other goroutines, read by the loop.
	ends     chan workEnd
	answers  chan answer
	sessions chan *link
	hints    hintBox
}

// New checks the configuration. It touches nothing.
func New(cfg Config) (*Agent, error) {
	switch {
	case !cfg.Thing.Valid():
		return nil, fmt.Errorf("thing name %q is not 1 to 128 of [a-zA-Z0-9:_-]", cfg.Thing)
	case cfg.Transport == nil, cfg.Journal == nil, cfg.Trust == nil, cfg.Fetcher == nil:
		return nil, errors.New("an agent needs a transport, a journal, a trust and a fetcher")
	case len(cfg.Installers) == 0:
		return nil, errors.New("an agent needs at least one product to manage")
	}
	if cfg.Primary == "" {
		cfg.Primary = slices.Sorted(keys(cfg.Installers))[0]
	}
	if cfg.Installers[cfg.Primary] == nil {
		return nil, fmt.Errorf("product %q is the primary one, but it is not managed", cfg.Primary)
	}
	cfg.Reconnect, cfg.Retry = cfg.Reconnect.withDefaults(), cfg.Retry.withDefaults()
	if cfg.AnswerTimeout <= 0 {
		cfg.AnswerTimeout = 30 * time.Second
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Agent{
		cfg: cfg, log: cfg.Logger.With("thing", cfg.Thing),
		rand:     rand.New(rand.NewPCG(cfg.Seed, 0)),
		ends:     make(chan workEnd, 1),
		answers:  make(chan answer, 1),
		sessions: make(chan *link),
		hints:    hintBox{box: make(chan hint, 1)},
	}, nil
}

func (b Backoff) withDefaults() Backoff {
	if b.Base <= 0 {
		b.Base = time.Second
	}
	if b.Max <= 0 {
		b.Max = time.Minute
	}
	return b
}

// pause draws the pause before the attempt that follows n failed ones.
func (b Backoff) pause(r *rand.Rand, n int) time.Duration {
	bound := b.Max
	if n < 30 && b.Base<<n < b.Max {
		bound = b.Base << n
	}
	return time.Duration(r.Int64N(int64(bound) + 1))
}
