package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/simulator"
	"github.com/muster-iot/muster/simulator/awsapi"
)

// What the demo creates.
const (
	oldVersion, newVersion = "5", "6"

	groupName protocol.ThingGroupName = "ConnectedSWV5"
	query                             = "connectivity.connected:true AND attributes.softwareVersion:5"
	firstJob  protocol.JobID          = "app-5"
	jobName   protocol.JobID          = "app-6"
)

const (
	// fewest is how many devices come after the job at least; with many
	// devices it is three for ten of them.
	fewest = 20
	// stepLimit bounds every wait: what takes longer has failed.
	stepLimit = 2 * time.Minute
	// slowNotify is how long a notification may take; it is generous, because
	// everything runs on one machine. Where a bare echo takes long, too, it is
	// slowTimes that.
	slowNotify = 2 * time.Second
	slowTimes  = 4
)

// story plays the steps in order.
func (d *Demo) story(ctx context.Context) error {
	d.plan = plan{
		real: realAgents, virtual: d.cfg.Devices, late: max(fewest, d.cfg.Devices*3/10), wanted: newVersion, slow: slowNotify, slowTimes: slowTimes,
	}
	d.screen.line("Muster demo: a server, %d real agents and %d virtual devices; all of them go from version %s to %s.\n",
		realAgents, d.cfg.Devices, oldVersion, newVersion)
	for _, step := range []func(context.Context) error{
		d.startServer, d.publish, d.startDevices, d.createGroup, d.createJob, d.dropSome, d.killServer, d.joinLate, d.conclude,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *Demo) startServer(ctx context.Context) error {
	d.screen.step("Start musterd in an empty folder, on free ports")
	took, err := d.server.start(ctx)
	if err != nil {
		return err
	}
	d.screen.note("answers after %d ms: AWS IoT API at %s, devices at %s", took.Milliseconds(), d.server.url(), d.server.broker())
	d.figures.idle = d.server.memory()
	return d.connect()
}

func (d *Demo) publish(ctx context.Context) (err error) {
	d.screen.step(fmt.Sprintf("Make a firmware key; pack, sign and publish versions %s and %s of the product %s", oldVersion, newVersion, product))
	if d.app, err = publish(ctx, d.server.url(), d.folder); err != nil {
		return err
	}
	d.screen.note("%s and %s, signed; the server cannot sign releases", d.app.old.Path, d.app.new.Path)
	return nil
}

// startDevices starts both kinds of device. The virtual ones are born with
// version 5; the real ones are empty and get it by a job of their own.
func (d *Demo) startDevices(ctx context.Context) (err error) {
	d.screen.step(fmt.Sprintf("Start %d muster-agent processes and %d virtual devices", realAgents, d.cfg.Devices))
	d.screen.note("the agents begin with nothing and install version %s by job %s; virtual devices are born with it", oldVersion, firstJob)
	if d.real, err = startAgents(d.family, d.server, d.folder, d.app.root); err != nil {
		return err
	}
	if err := d.until(ctx, "the real agents connect", stepLimit, func(p progress) bool { return p.connected >= realAgents }); err != nil {
		return err
	}
	var targets []string
	for _, r := range d.real {
		targets = append(targets, arn(protocol.KindThing, string(r.name)))
	}
	if err := d.install(ctx, awsapi.JobSpec{ID: firstJob, Targets: targets}, d.app.old.Document()); err != nil {
		return err
	}
	if err := d.startFleet(ctx); err != nil {
		return err
	}
	all := realAgents + d.cfg.Devices
	err = d.until(ctx, "all devices are connected and on version "+oldVersion, stepLimit, func(p progress) bool {
		return p.connected == all && p.versions[oldVersion] == all
	})
	d.figures.start = d.fleet.Phase().Connects
	return err
}

// install creates a job.
func (d *Demo) install(ctx context.Context, spec awsapi.JobSpec, document any) (err error) {
	if spec.Document, err = json.Marshal(document); err != nil {
		return err
	}
	return d.watch.api.CreateJob(ctx, spec)
}

// arn names something of the demo's server, which has the default region and
// account.
func arn(kind, name string) string {
	return protocol.ARN{Region: "us-east-1", Account: "123456789012", Kind: kind, Name: name}.String()
}

func (d *Demo) createGroup(ctx context.Context) error {
	d.screen.step(fmt.Sprintf("Create the dynamic group %s", groupName))
	d.screen.note("query: %s", query)
	if err := d.watch.api.EnableEvents(ctx, event.ThingGroupMembership, event.JobExecution); err != nil {
		return err
	}
	if _, err := d.watch.api.CreateDynamicGroup(ctx, groupName, query); err != nil {
		return err
	}
	d.watch.group = groupName
	all := realAgents + d.cfg.Devices
	if err := d.until(ctx, "the group has every device", stepLimit, func(p progress) bool { return p.members == all }); err != nil {
		return err
	}
	d.screen.note("%d members; things join and leave by themselves as they connect, drop off or report a version", all)
	return nil
}

func (d *Demo) createJob(ctx context.Context) error {
	d.screen.step(fmt.Sprintf("Create the continuous job %s for the group: install version %s", jobName, newVersion))
	err := d.install(ctx, awsapi.JobSpec{
		ID: jobName, Targets: []string{arn(protocol.KindThingGroup, string(groupName))}, Continuous: true,
	}, d.app.new.Document())
	if err != nil {
		return err
	}
	d.watch.job = jobName
	d.fleet.Watch(groupName, jobName)
	d.watch.commands.Store(0)
	return nil
}

// updated waits until a part of the devices that were there from the start has
// succeeded.
func (d *Demo) updated(ctx context.Context, fifths int) error {
	n := max(1, fifths*(realAgents+d.cfg.Devices)/5)
	return d.until(ctx, fmt.Sprintf("%d devices are updated", n), stepLimit, func(p progress) bool {
		return p.executions[jobs.Succeeded] >= n
	})
}

// killServer kills the server in the middle and starts it again.
func (d *Demo) killServer(ctx context.Context) error {
	if err := d.updated(ctx, 2); err != nil {
		return err
	}
	d.screen.step("kill -9 musterd, and start it again on the same folder and ports")
	if err := d.server.kill(); err != nil {
		return err
	}
	d.fleet.Mark()
	d.plan.kills++
	took, err := d.server.start(ctx)
	if err != nil {
		return err
	}
	d.screen.note("it answers again after %d ms; what it has not acknowledged, devices say again", took.Milliseconds())
	return d.fleet.Sample(ctx)
}

// conclude gathers what came of it, judges it and prints the summary.
func (d *Demo) conclude(ctx context.Context) error {
	d.figures.busy, d.figures.cpu = d.server.memory(), d.server.cpu()
	if err := d.gather(ctx, &d.outcome); err != nil {
		return fmt.Errorf("cannot gather the results: %w", err)
	}
	d.screen.step("Judge what came of it")
	failed := d.screen.summary(judge(d.plan, d.outcome))
	d.screen.line("\n%s", d.figures.text(time.Since(d.screen.began), d.plan.devices()))
	if d.cfg.Keep {
		d.tries()
		<-ctx.Done()
	}
	return failed
}

// gather asks the server, the devices' disks and the simulator.
func (d *Demo) gather(ctx context.Context, o *outcome) (err error) {
	things, err := d.watch.api.Search(ctx, "thingName:*")
	if err != nil {
		return err
	}
	o.index = map[protocol.ThingName]string{}
	for _, t := range things {
		o.index[t.ThingName] = t.Attributes["softwareVersion"]
		if t.Connectivity != nil && t.Connectivity.Connected {
			o.connected++
		}
	}
	if o.executions, err = d.watch.api.ExecutionsOfJob(ctx, jobName); err != nil {
		return err
	}
	members, err := d.watch.api.Members(ctx, groupName)
	if err != nil {
		return err
	}
	o.members, o.commands = len(members), int(d.watch.commands.Load())
	o.starts, o.kills = d.server.starts, d.server.kills
	d.disks(o)
	for _, l := range d.fleet.Latencies() {
		if l.Name == simulator.LatencyNotify {
			o.notify = latency{l.Count, l.P50, l.P99}
		}
		if l.Name == simulator.LatencyFloor {
			o.floor = latency{l.Count, l.P50, l.P99}
		}
	}
	return d.checkInvariants(ctx, o)
}
