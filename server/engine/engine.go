package engine

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
)

// Gateway carries messages to connected clients. Its methods must not block
// on a slow client; the engine calls them in the order of the commits.
type Gateway interface {
	// Publish sends to all subscribers of the topic.
	Publish(topic string, payload []byte)
	// Send goes straight to one session at QoS 0, subscribed or not.
	Send(session uint64, topic string, payload []byte)
	// PublishAnd sends to all subscribers and, once, to the session.
	PublishAnd(topic string, payload []byte, session uint64)
	// Deliver sends a client's message to all subscribers of its topic.
	Deliver(m protocol.Message)
}

// Audience is a Gateway that knows who listens. What nobody would hear is then
// not even made: most devices' events have no subscriber.
type Audience interface {
	// Heard reports whether the topic has subscribers.
	Heard(topic string) bool
}

// Subscribers in place of a session sends the answers to a request to the
// subscribers of their topics: the request came from no session.
const Subscribers = math.MaxUint64

// Config configures an [Engine].
type Config struct {
	Store   store.Store
	Gateway Gateway
	Rules   rules.Rules
	// Account and Region appear in ARNs of events and jobs.
	Account, Region string
	// RetainedLimits bound the retained messages.
	RetainedLimits RetainedLimits
	// Floor is a time known to have passed, such as that of the build; zero is
	// none. The fleet's time never goes below it (rule 17).
	Floor time.Time
	// Batch bounds the inputs of one commit; 0 is 256.
	Batch int
	// NewID makes ids of things, groups and events; nil is random UUIDs.
	NewID  func() string
	Logger *slog.Logger
}

// Engine is the worker of a fleet. Create it with [New], start it with Run.
type Engine struct {
	cfg   Config
	boot  string
	in    chan *call
	ready chan struct{}
	done  chan struct{}
	floor atomic.Int64 // Unix nanoseconds; written by the worker (clock.go)
	// searches holds one for every search that is running.
	searches chan struct{}
}

// New returns an engine over a store. It touches nothing until Run.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.Gateway == nil || cfg.Logger == nil {
		return nil, errors.New("engine needs a store, a gateway and a logger")
	}
	if cfg.Batch == 0 {
		cfg.Batch = 256
	}
	cfg.RetainedLimits = cfg.RetainedLimits.withDefaults()
	if cfg.NewID == nil {
		cfg.NewID = uuid.NewString
	}
	e := &Engine{
		cfg: cfg, boot: cfg.NewID(), in: make(chan *call, cfg.Batch),
		ready: make(chan struct{}), done: make(chan struct{}),
		// One processor is left to the loop, if there are several.
		searches: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)),
	}
	e.raise(cfg.Floor)
	return e, nil
}

// Ready is closed when the stored fleet has been loaded.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Done is closed when Run has ended.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Input is something that happens to the fleet; R is what it answers. The
// inputs are the exported struct types of this package.
type Input[R any] interface {
	step(t *tx) (R, error)
}

// call is an input on its way through the loop.
type call struct {
	run  func(t *tx) error
	done chan error // capacity 1
}

// errStopped answers inputs that come when the loop has ended.
var errStopped = protocol.Errorf(protocol.Unavailable, "the server is shutting down: try again")

// Do hands an input to the loop and returns its answer after what it changed
// is durable. Errors are *protocol.Error; of code Unavailable when the outcome
// was not committed. When ctx ends first, the input may still happen.
func Do[R any](ctx context.Context, e *Engine, in Input[R]) (R, error) {
	var answer, none R
	err := e.submit(ctx, func(t *tx) (err error) {
		answer, err = in.step(t)
		return err
	})
	if err != nil {
		return none, err
	}
	return answer, nil
}

// Read calls f on the loop with a view of the fleet and returns when
// everything that the view showed is durable. f must not keep the view.
func Read(ctx context.Context, e *Engine, f func(v *View) error) error {
	return e.submit(ctx, func(t *tx) error { return f(&View{t}) })
}

func (e *Engine) submit(ctx context.Context, run func(t *tx) error) error {
	c := &call{run: run, done: make(chan error, 1)}
	select {
	case e.in <- c:
	case <-e.done:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-e.done:
		// The loop answers everything it took before it ends.
		select {
		case err := <-c.done:
			return err
		default:
			return errStopped
		}
	}
}

// effect is a message that leaves after the commit.
type effect struct {
	topic   string
	payload []byte
	session uint64 // of a straight answer; 0 is none
	fan     bool   // to subscribers
	// made, if set, makes the payload when it is released, of values that do not
	// change and without the state, which is further by then.
	made func() []byte

	message *protocol.Message      // in place of topic and payload
	to      func(protocol.Message) // where it goes; nil is to subscribers
}

func (g effect) release(to Gateway) {
	switch {
	case g.message != nil && g.to != nil:
		g.to(*g.message)
	case g.message != nil:
		to.Deliver(*g.message)
	case g.made != nil:
		if a, ok := to.(Audience); !ok || a.Heard(g.topic) {
			to.Publish(g.topic, g.made())
		}
	case g.fan && g.session != 0:
		to.PublishAnd(g.topic, g.payload, g.session)
	case g.fan:
		to.Publish(g.topic, g.payload)
	default:
		to.Send(g.session, g.topic, g.payload)
	}
}
