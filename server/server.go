package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/server/api"
	"github.com/muster-iot/muster/server/broker"
	"github.com/muster-iot/muster/server/dispatch"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/issuer"
	"github.com/muster-iot/muster/server/operate"
	"github.com/muster-iot/muster/server/rules"
	"github.com/muster-iot/muster/server/store/pebble"
)

// Server is the fleet side in one process. Create it with [New], run it once.
type Server struct {
	cfg   Config
	ready atomic.Bool
}

// New checks a configuration. It binds and opens nothing.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		return nil, errors.New("server needs a logger")
	}
	if cfg.Rules == nil {
		safe := rules.Safe()
		cfg.Rules = &safe
	}
	if cfg.Dev {
		dev := *cfg.Rules
		dev.RegisterOnRequest = true
		cfg.Rules = &dev
	}
	return &Server{cfg: cfg}, nil
}

// parts are what a running server consists of.
type parts struct {
	ports  *ports
	store  *pebble.Store
	engine *engine.Engine
	broker *broker.Broker
	repo   *repo.Repository
	web    []webPort
}

// Run serves until ctx ends, then drains: HTTP requests finish, connections close, the
// last batch is committed. Devices are not marked disconnected then: they
// come back to the next start, and their groups do not churn.
func (s *Server) Run(ctx context.Context) (err error) {
	serveCtx, stop := context.WithCancel(ctx)
	defer stop()
	p, err := s.open(serveCtx.Done())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()

	// The engine outlives what feeds it, so that nothing taken is lost.
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	engineDone := make(chan error, 1)
	go func() { engineDone <- p.engine.Run(engineCtx) }()
	select {
	case <-p.engine.Ready():
	case err := <-engineDone:
		stopEngine()
		return err
	}
	go func() {
		// An engine that ends by itself, fenced or broken, ends the server.
		<-p.engine.Done()
		stop()
	}()
	err = s.serve(serveCtx, stop, p)
	stop()
	stopEngine()
	return errors.Join(err, <-engineDone)
}

// open reads the certificates and binds the ports first, because those are the
// most likely mistakes.
func (s *Server) open(stopping <-chan struct{}) (_ *parts, err error) {
	p := &parts{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	secure, err := s.cfg.secure()
	if err != nil {
		return nil, err
	}
	if p.ports, err = s.cfg.bind(); err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(s.cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("cannot use data folder %s: %w", s.cfg.Data, err)
	}
	if p.store, err = pebble.Open(pebble.Config{Dir: filepath.Join(s.cfg.Data, "store"), Logger: s.cfg.Logger}); err != nil {
		return nil, err
	}
	if p.repo, err = repo.Open(repo.Config{
		Dir: filepath.Join(s.cfg.Data, "firmware"), NotBefore: func() time.Time { return p.engine.Floor() },
	}); err != nil {
		return nil, err
	}
	return p, s.assemble(p, secure, stopping)
}

// assemble wires the parts. The gateway is the one cycle: the engine sends
// through the broker, whose messages come to the engine.
func (s *Server) assemble(p *parts, secure *tlsConfigs, stopping <-chan struct{}) (err error) {
	gateway := &Gateway{}
	p.engine, err = engine.New(engine.Config{
		Store: p.store, Gateway: gateway, Rules: *s.cfg.Rules,
		Account: s.cfg.Account, Region: s.cfg.Region, Floor: s.cfg.Built, Logger: s.cfg.Logger,
	})
	if err != nil {
		return err
	}
	dispatcher, err := dispatch.New(dispatch.Config{Engine: p.engine, Gateway: gateway, Logger: s.cfg.Logger})
	if err != nil {
		return err
	}
	p.broker, err = broker.New(broker.Config{
		Listeners: p.ports.forDevices(secure), Handler: Handler{dispatcher, stopping}, Authorizer: broker.AllowAll{}, Logger: s.cfg.Logger,
	})
	if err != nil {
		return err
	}
	gateway.Broker = p.broker
	devices, err := issuer.New(filepath.Join(s.cfg.Data, "identity"))
	if err != nil {
		return err
	}
	aws, err := api.New(api.Config{
		Engine: p.engine, Region: s.cfg.Region, Account: s.cfg.Account,
		Messages: Messages{dispatcher, p.broker}, Issuer: devices, Endpoint: p.ports.addresses().broker(), JobsEndpoint: p.ports.addresses().web(), Dev: s.cfg.Dev, Logger: s.cfg.Logger,
	})
	if err != nil {
		return err
	}
	own, err := operate.New(operate.Config{Engine: p.engine, Rules: *s.cfg.Rules, Logger: s.cfg.Logger})
	if err != nil {
		return err
	}
	p.web = s.web(p.ports, s.routes(aws, own, p), p.broker, secure)
	return nil
}

// routes puts the surfaces side by side: ours have their own prefixes,
// everything else is the AWS API, whose escaped paths must reach it untouched
// by a mux that cleans them.
func (s *Server) routes(aws, own http.Handler, p *parts) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/mqtt", p.broker.WebSocket())
	mux.Handle("/tuf/", p.repo.Serve())
	repository := p.repo.Operate(s.cfg.Logger)
	mux.Handle("/muster/v1/repository", repository)
	mux.Handle("/muster/v1/repository/", repository)
	mux.Handle("/muster/v1/", own)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", s.readyz(p.engine.CheckClock))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); first {
		case "tuf", "muster", "mqtt", "healthz", "readyz":
			mux.ServeHTTP(w, r)
		default:
			aws.ServeHTTP(w, r)
		}
	})
}

// serve runs the surfaces until ctx ends; the first that fails stops the others.
func (s *Server) serve(ctx context.Context, stop func(), p *parts) error {
	var g errgroup.Group
	run := func(f func() error) {
		g.Go(func() error {
			defer stop()
			return f()
		})
	}
	run(func() error { return p.broker.Run(ctx) })
	run(func() error { return p.repo.Run(ctx, s.cfg.Logger) })
	for _, web := range p.web {
		run(web.serve)
	}
	run(func() error {
		<-ctx.Done()
		s.ready.Store(false)
		return s.drain(p.web)
	})
	s.ready.Store(true)
	if s.cfg.Ready != nil {
		s.cfg.Ready(p.ports.addresses())
	}
	return g.Wait()
}

// drain lets HTTP requests finish, but not for ever: a slow download is cut and
// resumed from the next start.
func (s *Server) drain(web []webPort) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var g errgroup.Group
	for _, w := range web {
		g.Go(func() error {
			err := w.Shutdown(ctx)
			if errors.Is(err, context.DeadlineExceeded) {
				s.cfg.Logger.Warn("HTTP requests are cut: they did not finish in time", "address", w.listener.Addr(), "time", drainTime)
				return w.Close()
			}
			return err
		})
	}
	return g.Wait()
}

// drainTime is how long HTTP requests may go on after the server was told to stop.
const drainTime = 5 * time.Second

// close releases what was opened.
func (p *parts) close() error {
	if p.ports != nil {
		p.ports.close()
	}
	if p.repo != nil {
		p.repo.Close()
	}
	if p.store == nil {
		return nil
	}
	if err := p.store.Close(); err != nil {
		return fmt.Errorf("cannot close the store: %w", err)
	}
	return nil
}
