package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/cmd/internal/floorcmd"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/simulator"
)

const (
	// namePattern makes the names of the virtual devices.
	namePattern = "virtual-%04d"
	// updateTime is the longest time that a virtual device takes to update:
	// long enough that there is a middle in which things can go wrong.
	updateTime = 8 * time.Second
	// dropFraction is the part of the virtual devices that is dropped.
	dropFraction = 0.1
)

// dropTime is how long dropped devices stay away: long enough to be seen.
func (d *Demo) dropTime() time.Duration {
	return 4*time.Second + time.Duration(d.cfg.Devices)*4*time.Millisecond
}

// startFleet starts the virtual devices, spread over some seconds. They are
// the agent's code on a made-up machine that is born with version 5.
func (d *Demo) startFleet(ctx context.Context) error {
	root, err := os.ReadFile(d.app.root)
	if err != nil {
		return fmt.Errorf("cannot read the root that devices trust: %w", err)
	}
	var secure *tls.Config
	if d.server.tls != nil {
		if secure, err = cli.ClientTLS(d.server.tls.CA, "", "", ""); err != nil {
			return err
		}
	}
	d.fleet, err = simulator.New(simulator.Config{
		HTTP: d.server.url(), MQTT: d.server.broker(), TLS: secure, Root: root, Product: product, Version: oldVersion, Seq: d.app.old.Custom.Seq,
		Prefix: namePattern, Seed: d.cfg.Seed, Register: true, UpdateTime: updateTime,
	})
	if err != nil {
		return err
	}
	return d.fleet.Start(ctx, d.cfg.Devices, max(time.Second, time.Duration(d.cfg.Devices)*5*time.Millisecond))
}

// dropSome cuts virtual devices off the network and waits until the server
// has seen them go. It does not wait until they are back.
func (d *Demo) dropSome(ctx context.Context) error {
	if err := d.updated(ctx, 1); err != nil {
		return err
	}
	all := realAgents + d.cfg.Devices
	n := d.fleet.Drop(dropFraction, d.dropTime())
	d.plan.dropped = n
	d.screen.step(fmt.Sprintf("Cut %d virtual devices off the network for %s, while they update", n, d.dropTime()))
	if err := d.until(ctx, "the server sees that devices are gone", d.dropTime(), func(p progress) bool { return p.connected <= all-n }); err != nil {
		return err
	}
	gone, err := d.watch.api.Search(ctx, "NOT connectivity.connected:true")
	if err != nil {
		return err
	}
	d.outcome.dropped = map[protocol.ThingName]bool{}
	for _, t := range gone {
		d.outcome.dropped[t.ThingName] = true
	}
	return d.fleet.Sample(ctx)
}

// joinLate switches on more devices, and waits until every device is updated.
// While they are notified, a bare echo is measured beside the server, with as
// many idle connections.
func (d *Demo) joinLate(ctx context.Context) (err error) {
	if err := d.updated(ctx, 4); err != nil {
		return err
	}
	d.figures.back = d.fleet.Phase().Connects
	floor, end, err := floorcmd.Start(d.cfg.Binary, d.cfg.TLS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	stop, err := d.fleet.Measure(ctx, floor, d.cfg.Devices)
	if err != nil {
		return err
	}
	first, late := d.cfg.Devices, d.plan.late
	d.screen.step(fmt.Sprintf("Switch on %d more devices with version %s; no command follows", late, oldVersion))
	d.fleet.Mark()
	err = d.fleet.Add(late, max(500*time.Millisecond, time.Duration(late)*10*time.Millisecond))
	for i := range late {
		d.outcome.late = append(d.outcome.late, d.fleet.Name(first+i))
	}
	if err == nil {
		// One that asks for its next job just then is told in the answer first.
		err = d.until(ctx, "late joiners have their job", stepLimit, func(p progress) bool {
			return p.given() == d.plan.devices() && p.executions[jobs.Queued] == 0
		})
	}
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	d.figures.late = d.fleet.Phase()
	return d.untilUpdated(ctx)
}

// untilUpdated waits until every device is.
func (d *Demo) untilUpdated(ctx context.Context) error {
	all := d.plan.devices()
	err := d.until(ctx, "all devices are updated and the group is empty", stepLimit, func(p progress) bool {
		return p.versions[newVersion] == all && p.connected == all && p.members == 0 && p.executions[jobs.Succeeded] == all
	})
	if err != nil {
		return err
	}
	d.screen.note("all %d devices are on version %s, and the group is empty", all, newVersion)
	return nil
}

// disks reads from all devices what runs on them and how often it was
// installed.
func (d *Demo) disks(o *outcome) {
	o.disks, o.installs = map[protocol.ThingName]string{}, map[protocol.ThingName]int{}
	for _, v := range d.fleet.Devices() {
		o.disks[v.Thing], o.installs[v.Thing] = v.Running.Version, v.Installs
	}
	for _, r := range d.real {
		o.disks[r.name] = r.running()
		for _, v := range r.started() {
			if v == newVersion {
				o.installs[r.name]++
			}
		}
	}
}

// checkInvariants lets the simulator's oracle judge the history of the virtual
// devices.
func (d *Demo) checkInvariants(ctx context.Context, o *outcome) error {
	results, err := d.fleet.Check(ctx, d.again())
	if err != nil {
		return err
	}
	for _, r := range results {
		o.checked++
		for _, v := range r.Violations {
			o.violations = append(o.violations, fmt.Sprintf("%s (%s) %s: %s", r.Name, r.Title, v.Thing, v.What))
		}
	}
	return nil
}

// again is the command that runs the demo again.
func (d *Demo) again() string {
	command := fmt.Sprintf("muster demo --devices %d --seed %d", d.cfg.Devices, d.cfg.Seed)
	if d.cfg.TLS {
		command += " --tls"
	}
	return command
}
