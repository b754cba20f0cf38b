// Package testbed is a whole fleet side in one process without a network:
// engine, dispatcher and broker as musterd puts them together, reached over
// in-memory pipes. Inside a testing/synctest bubble it runs in virtual time,
// so that a day of a fleet takes seconds, with real agents or any MQTT client
// at the other end. It owns the parts and their pipes; it never decides what
// devices do.
//
//	bed := testbed.New(t, testbed.Options{})
//	client, err := mqtt.New(mqtt.Config{ClientID: "gw-1", Servers: []string{"gw-1:1883"}, Dial: bed.Dial})
package testbed

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/muster-iot/muster/server"
	"github.com/muster-iot/muster/server/broker"
	"github.com/muster-iot/muster/server/dispatch"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/mem"
)

// Options make a [Bed]; the zero value is a server with the safe rules that
// registers devices on request, on a store in memory.
type Options struct {
	// Store keeps the fleet; it is neither made nor closed by the bed when it is set.
	Store store.Store
	// Rules are in force. Default: the safe profile with RegisterOnRequest.
	Rules *rules.Rules
	// Limits are the broker's; zero fields are its defaults.
	Limits broker.Limits
	// Logger takes what engine, dispatcher and broker log. Default: nothing.
	Logger *slog.Logger
}

// Bed is a running fleet side. Its methods may be called from any goroutine.
type Bed struct {
	t       testing.TB
	options Options

	mu  sync.Mutex
	run *run // nil while it is stopped
	// pipes are the open ones by name; unplugged names cannot dial.
	pipes     map[string]map[net.Conn]bool
	unplugged map[string]bool
}

// run is one life of the server between a start and a stop.
type run struct {
	engine   *engine.Engine
	broker   *broker.Broker
	stopping chan struct{} // closed first: ends of sessions are not reported any more
	stop     func() error
}

// Errors of [Bed.Dial].
var (
	ErrUnplugged = errors.New("the cable is out")
	ErrStopped   = errors.New("the server is down")
)

// New starts a fleet side that is stopped at the end of the test, within the
// bubble if there is one.
func New(t testing.TB, o Options) *Bed {
	t.Helper()
	if o.Store == nil {
		o.Store = mem.New()
	}
	if o.Rules == nil {
		safe := rules.Safe()
		safe.RegisterOnRequest = true
		o.Rules = &safe
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Bed{t: t, options: o, pipes: map[string]map[net.Conn]bool{}, unplugged: map[string]bool{}}
	b.Start()
	t.Cleanup(b.Stop)
	return b
}

// Start starts a stopped bed again on its store.
func (b *Bed) Start() {
	b.t.Helper()
	r, err := start(b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.run = r
}

// Stop ends the server like a shutdown of musterd: connections close, nobody
// is marked disconnected, the last batch is committed. A stopped bed stays so.
func (b *Bed) Stop() {
	b.t.Helper()
	b.mu.Lock()
	r := b.run
	b.run = nil
	b.mu.Unlock()
	if r == nil {
		return
	}
	if err := r.stop(); err != nil {
		b.t.Error(err)
	}
}

// Engine returns the running engine, nil while the bed is stopped.
func (b *Bed) Engine() *engine.Engine {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.run == nil {
		return nil
	}
	return b.run.engine
}

// Dial connects to the broker. It has the form that the agent's transport
// wants; the host in the address is no place but the caller's own name, the
// one for [Bed.Unplug].
func (b *Bed) Dial(ctx context.Context, address string) (net.Conn, error) {
	name, _, _ := strings.Cut(address, ":")
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case b.unplugged[name]:
		return nil, ErrUnplugged
	case b.run == nil:
		return nil, ErrStopped
	}
	near, far := net.Pipe()
	if b.pipes[name] == nil {
		b.pipes[name] = map[net.Conn]bool{}
	}
	b.pipes[name][near] = true
	serving := b.run.broker
	go func() {
		serving.Serve(far)
		near.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.pipes[name], near)
	}()
	return near, nil
}

// Unplug cuts all connections of a name, without a goodbye, and refuses new
// ones until [Bed.Plug].
func (b *Bed) Unplug(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unplugged[name] = true
	for c := range b.pipes[name] {
		c.Close()
	}
}

// Plug lets a name connect again.
func (b *Bed) Plug(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.unplugged, name)
}

// start runs engine and broker. It returns when the fleet is loaded.
func start(o Options) (*run, error) {
	r := &run{stopping: make(chan struct{})}
	gateway := &server.Gateway{}
	var err error
	r.engine, err = engine.New(engine.Config{
		Store: o.Store, Gateway: gateway, Rules: *o.Rules, Account: "123456789012", Region: "us-east-1", Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	dispatcher, err := dispatch.New(dispatch.Config{Engine: r.engine, Gateway: gateway, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	r.broker, err = broker.New(broker.Config{
		Handler: server.Handler{Dispatcher: dispatcher, Stopping: r.stopping}, Authorizer: broker.AllowAll{}, Limits: o.Limits, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	gateway.Broker = r.broker
	return r, r.serve()
}

// serve starts the goroutines, the engine first; stop ends them in the other
// order, so that nothing taken is lost.
func (r *run) serve() error {
	engineCtx, stopEngine := context.WithCancel(context.Background())
	engineEnded := make(chan error, 1)
	go func() { engineEnded <- r.engine.Run(engineCtx) }()
	select {
	case <-r.engine.Ready():
	case err := <-engineEnded:
		stopEngine()
		return err
	}
	brokerCtx, stopBroker := context.WithCancel(context.Background())
	brokerEnded := make(chan error, 1)
	go func() { brokerEnded <- r.broker.Run(brokerCtx) }()
	r.stop = func() error {
		close(r.stopping)
		stopBroker()
		err := <-brokerEnded
		stopEngine()
		return errors.Join(err, <-engineEnded)
	}
	return nil
}
