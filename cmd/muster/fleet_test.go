package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/operate"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/mem"
)

// silent is a gateway to nobody.
type silent struct{}

func (silent) Publish(string, []byte)            {}
func (silent) Send(uint64, string, []byte)       {}
func (silent) PublishAnd(string, []byte, uint64) {}
func (silent) Deliver(protocol.Message)          {}

// fleet is what Muster says of three things: two are in Europe, a dynamic
// group, and dev1 is in Bonn, a static one below Plants.
func fleet(env *testscript.Env) (http.Handler, error) {
	logger := slog.New(slog.DiscardHandler)
	e, err := engine.New(engine.Config{Store: mem.New(), Gateway: silent{}, Rules: rules.Safe(), Account: "123456789012", Region: "us-east-1", Logger: logger})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _ = e.Run(ctx) }()
	env.Defer(func() { cancel(); <-e.Done() })
	<-e.Ready()
	for _, do := range []func() error{
		doing(ctx, e, engine.CreateThing{Name: "dev1", Attributes: map[string]string{"region": "eu", "softwareVersion": "5"}}),
		doing(ctx, e, engine.CreateThing{Name: "dev2", Attributes: map[string]string{"region": "eu", "softwareVersion": "6"}}),
		doing(ctx, e, engine.CreateThing{Name: "dev3"}),
		doing(ctx, e, engine.CreateStaticGroup{Name: "Plants"}),
		doing(ctx, e, engine.CreateStaticGroup{Name: "Bonn", Parent: "Plants"}),
		doing(ctx, e, engine.MoveThing{Thing: "dev1", Add: []protocol.ThingGroupName{"Bonn"}}),
		doing(ctx, e, engine.CreateDynamicGroup{Name: "Europe", Query: "attributes.region:eu"}),
	} {
		if err := do(); err != nil {
			return nil, err
		}
	}
	if err := active(ctx, e, "Europe"); err != nil {
		return nil, err
	}
	return operate.New(operate.Config{Engine: e, Rules: rules.Safe(), Logger: logger})
}

func doing[R any](ctx context.Context, e *engine.Engine, in engine.Input[R]) func() error {
	return func() error {
		_, err := engine.Do(ctx, e, in)
		return err
	}
}

// active waits until a group is ACTIVE.
func active(ctx context.Context, e *engine.Engine, name protocol.ThingGroupName) error {
	for {
		building := false
		err := engine.Read(ctx, e, func(v *engine.View) error {
			g, err := v.Group(name)
			building = g.Status.NeedsScan()
			return err
		})
		if err != nil || !building {
			return err
		}
	}
}
