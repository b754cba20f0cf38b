// Package demo is muster demo: a whole fleet on one machine that is updated
// before the user's eyes while devices drop off and the server is killed, and
// a judgement at the end of what came of it. It owns a temporary folder and
// the child processes in it (the server and some agents, all of this binary),
// and it sees the fleet only as everybody can: through the AWS API, the
// devices' own disks and what the simulator witnessed. It decides nothing
// about a fleet.
//
// Read on in story.go (the steps in order), judge.go (what must have come of
// them) and process.go (how children are started and never left behind).
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-iot/muster/simulator"
)

// Config describes a demo.
type Config struct {
	// Binary is the program that has the hidden commands musterd and
	// muster-agent: this one. Required.
	Binary string
	// Devices is the number of virtual devices that are there from the start.
	Devices int
	// TLS lets all devices speak TLS, with certificates that the demo makes.
	TLS bool
	// Keep leaves everything running after the summary until the context ends.
	Keep bool
	// Seed decides what is drawn in the simulation.
	Seed uint64
	// Out takes the output. Width is the terminal's in columns; 0 is no
	// terminal: progress is then printed line by line.
	Out   io.Writer
	Width int
}

// MaxDevices bounds the virtual devices: each needs two connections on one machine.
const MaxDevices = 5000

// Demo is one demonstration. Make it with New and call Run once.
type Demo struct {
	cfg    Config
	screen *screen
	folder string
	family *family
	server *musterd
	real   []*realDevice
	fleet  *simulator.Fleet
	watch  *watcher
	app    releases

	plan    plan
	outcome outcome
	figures figures
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Demo, error) {
	if cfg.Binary == "" || cfg.Out == nil {
		return nil, errors.New("a demo needs its own binary and an output")
	}
	if cfg.Devices < 1 || cfg.Devices > MaxDevices {
		return nil, fmt.Errorf("a demo has 1 to %d virtual devices, not %d", MaxDevices, cfg.Devices)
	}
	return &Demo{cfg: cfg}, nil
}

// Run plays the demo and returns nil when everything held that its summary
// says. It leaves no process behind, and no folder unless it failed.
func (d *Demo) Run(ctx context.Context) (err error) {
	if d.folder, err = os.MkdirTemp("", "muster-demo-"); err != nil {
		return fmt.Errorf("cannot make a temporary folder: %w", err)
	}
	logs := filepath.Join(d.folder, "logs")
	if err := os.Mkdir(logs, 0o700); err != nil {
		return err
	}
	d.family = &family{binary: d.cfg.Binary, logs: logs}
	if d.server, err = newMusterd(d.family, d.folder, d.cfg.TLS); err != nil {
		return errors.Join(err, os.RemoveAll(d.folder))
	}
	d.screen = newScreen(d.cfg.Out, d.cfg.Width)
	err = d.story(ctx)
	d.screen.settle()
	if errors.Is(err, context.Canceled) {
		return errors.Join(errors.New("interrupted"), d.end(false))
	}
	return errors.Join(err, d.end(err != nil))
}

// stopLimit bounds how long a child may take to end.
const stopLimit = 10 * time.Second

// end stops everything and removes the folder unless it is to be kept.
func (d *Demo) end(keep bool) error {
	if d.fleet != nil {
		d.fleet.Stop()
	}
	err := d.family.stop(stopLimit)
	if keep {
		d.screen.line("\nEverything is kept in %s, the logs in %s.", d.folder, d.family.logs)
		return err
	}
	if rm := os.RemoveAll(d.folder); rm != nil {
		err = errors.Join(err, fmt.Errorf("cannot remove the temporary folder: %w", rm))
	}
	return err
}

// ended returns an error when a child process is gone that should run.
func (d *Demo) ended() error {
	if err := d.server.child.ended(); err != nil {
		return err
	}
	for _, r := range d.real {
		if err := r.child.ended(); err != nil {
			return err
		}
	}
	return nil
}

// connect makes the API's client once the server's address is known.
func (d *Demo) connect() (err error) {
	d.watch, err = newWatcher(d.server.url())
	return err
}
