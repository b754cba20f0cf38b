package agent_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/agent"
	"github.com/muster-iot/muster/agent/journal"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	document "github.com/muster-iot/muster/protocol/update"
)

// BenchmarkIdle measures what an idle agent costs beside its transport.
func BenchmarkIdle(b *testing.B) {
	const agents = 1000
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		goroutines := runtime.NumGoroutine()
		stop := idle(b, agents)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse)/agents, "B/agent")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/agents, "goroutines/agent")
		stop()
	}
}

// idle starts agents without a world and returns when all are connected.
func idle(b *testing.B, n int) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running, connected sync.WaitGroup
	for range n {
		connected.Add(1)
		w := newWorld()
		a, err := agent.New(agent.Config{
			Thing: thing, Transport: quiet{connected.Done}, Journal: journal.New(w.disk),
			Trust: nothing{}, Fetcher: nothing{}, Installers: map[string]agent.Installer{"app": nothing{}},
		})
		if err != nil {
			b.Fatal(err)
		}
		running.Go(func() { _ = a.Run(ctx) })
	}
	connected.Wait()
	return func() { cancel(); running.Wait() }
}

// quiet is a transport on which nothing is ever said.
type quiet struct{ connected func() }

func (q quiet) Connect(context.Context, []string, func(string, []byte)) (agent.Session, error) {
	return &quietSession{quiet: q}, nil
}

type quietSession struct {
	quiet
	once sync.Once
}

func (s *quietSession) Publish(ctx context.Context, _ string, _ []byte) error {
	s.once.Do(s.connected)
	<-ctx.Done()
	return ctx.Err()
}
func (s *quietSession) Done() <-chan struct{} { return nil }
func (s *quietSession) Close()                {}

// nothing is a device on which nothing happens.
type nothing struct{}

func (nothing) Resolve(context.Context, time.Time, document.Document, update.Release) (t firmware.Target, err error) {
	return t, err
}
func (nothing) Fetch(context.Context, firmware.Target) error                    { return nil }
func (nothing) Verify(context.Context, firmware.Target) error                   { return nil }
func (nothing) File(firmware.Target) string                                     { return "" }
func (nothing) Remove(firmware.Target) error                                    { return nil }
func (nothing) Prepare(context.Context, firmware.Target) error                  { return nil }
func (nothing) Install(context.Context, firmware.Target, string) error          { return nil }
func (nothing) Switch(context.Context, firmware.Target) error                   { return nil }
func (nothing) Check(context.Context, firmware.Target) error                    { return nil }
func (nothing) Commit(context.Context, firmware.Target) error                   { return nil }
func (nothing) Rollback(context.Context, update.Release, firmware.Target) error { return nil }
