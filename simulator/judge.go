package simulator

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/internal/pause"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/simulator/awsapi"
	"github.com/muster-iot/muster/simulator/device"
	"github.com/muster-iot/muster/simulator/oracle"
)

// record gives the oracle what it may see of a thing.
func (f *Fleet) record(e Event) {
	id := identity(e.Execution)
	switch e.Kind {
	case device.Dialing:
		f.oracle.Dial(oracle.Attempt{At: e.At, Thing: e.Thing}, device.LongestPause)
	case device.Notified, device.Offered, device.Described:
		f.oracle.Sight(oracle.Sighting{
			At: e.At, Thing: e.Thing, Identity: id, Status: e.Status, VersionNumber: e.VersionNumber, Running: release(e.Running),
		})
	case device.Reporting, device.Acknowledged:
		f.oracle.Report(oracle.Report{
			At: e.At, Thing: e.Thing, Identity: id, Status: e.Status, VersionNumber: e.VersionNumber,
			Claimed: claimed(e), Running: release(e.Running), Acknowledged: e.Kind == device.Acknowledged,
		})
	case device.Told, device.ToldAcknowledged:
		f.oracle.Tell(oracle.Told{
			At: e.At, Thing: e.Thing, Claimed: claimed(e), Running: release(e.Running), ShadowVersion: e.VersionNumber,
			Trial: onTrial(e.Phase), Acknowledged: e.Kind == device.ToldAcknowledged,
		})
	case device.Installed, device.WentBack:
		f.oracle.Install(oracle.Install{
			At: e.At, Thing: e.Thing, Identity: id, To: release(e.Running), Back: e.Kind == device.WentBack,
		})
	}
}

// onTrial reports whether a device tries a version that is not committed yet:
// then it may not say that it runs it (rule 22).
func onTrial(p update.Phase) bool {
	return p == update.Switching || p == update.Trial
}

func identity(id update.Identity) oracle.Identity {
	return oracle.Identity{Job: id.JobID, Number: id.ExecutionNumber, QueuedAt: id.QueuedAt}
}

// groupIn returns the name in a thing group's ARN.
func groupIn(arn string) (protocol.ThingGroupName, bool) {
	_, name, ok := strings.Cut(arn, ":thinggroup/")
	return protocol.ThingGroupName(name), ok
}

func release(r update.Release) oracle.Release {
	return oracle.Release{Version: r.Version, Seq: r.Seq}
}

func claimed(e Event) oracle.Release {
	seq, _ := strconv.ParseInt(e.ClaimedSeq, 10, 64)
	return oracle.Release{Version: e.Claimed, Seq: seq}
}

// Sample checks while things move that the members of the watched groups are
// those that the queries match (G1), and notes the members (G3).
func (f *Fleet) Sample(ctx context.Context) error {
	groups, _ := f.oracle.Watched()
	for _, name := range groups {
		g, err := f.describe(ctx, name)
		if awsapi.IsNotFound(err) {
			continue // deleted meanwhile, or D1 will say so
		}
		if err != nil {
			return err
		}
		if g.Status != "ACTIVE" {
			continue
		}
		before, err := f.things(ctx)
		if err != nil {
			return err
		}
		members, err := f.list(ctx, name)
		if awsapi.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		after, err := f.things(ctx)
		if err != nil {
			return err
		}
		if now, err := f.describe(ctx, name); err != nil || now.Version != g.Version || now.ARN != g.ARN {
			continue // another group, or another query
		}
		f.oracle.Sample(time.Now(), oracle.GroupState{Name: name, Query: g.Query, Members: members}, before, after)
	}
	return nil
}

// describe describes a group, and lets the oracle know.
func (f *Fleet) describe(ctx context.Context, name protocol.ThingGroupName) (awsapi.Group, error) {
	asked := time.Now()
	g, err := f.api.Group(ctx, name)
	if err != nil {
		return g, fmt.Errorf("cannot describe group %s: %w", name, err)
	}
	f.oracle.Describe(oracle.Status{Asked: asked, Group: name, Version: g.Version, Status: g.Status})
	return g, nil
}

// list lists the members of a group, and lets the oracle know.
func (f *Fleet) list(ctx context.Context, name protocol.ThingGroupName) ([]protocol.ThingName, error) {
	members, err := f.api.Members(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("cannot list group %s: %w", name, err)
	}
	f.oracle.List(time.Now(), name, members)
	return members, nil
}

// things searches for all things.
func (f *Fleet) things(ctx context.Context) ([]oracle.Thing, error) {
	found, err := f.api.Search(ctx, "*")
	if err != nil {
		return nil, fmt.Errorf("cannot search for all things: %w", err)
	}
	list := make([]oracle.Thing, len(found))
	for i, d := range found {
		list[i] = thing(d)
	}
	return list, nil
}

func thing(d awsapi.Document) oracle.Thing {
	t := oracle.Thing{
		Name: d.ThingName, ID: d.ThingID, Type: d.ThingTypeName, Groups: d.ThingGroupNames, Attributes: d.Attributes, Shadow: d.Shadow,
	}
	if c := d.Connectivity; c != nil {
		t.Indexed, t.Connected, t.Since, t.Reason = true, c.Connected, c.Timestamp, c.DisconnectReason
	}
	return t
}

const (
	// quiet is how long no event may have come for a state to be taken.
	quiet = 300 * time.Millisecond
	// settle bounds the wait for such a time.
	settle = 15 * time.Second
	// heal is how long the server may take to see the connections as they are.
	heal = time.Minute
)

// Check waits for a quiet moment, asks the server for everything that the
// oracle has to compare, and returns how each invariant held. It may be called
// at any time at which the fleet can come to rest, also in the middle of a
// run, such as after a restart of the server: what the server has not seen of
// the connections a minute later is a violation. replay says how to run it
// again; it goes into every violation.
func (f *Fleet) Check(ctx context.Context, replay string) ([]oracle.Result, error) {
	begun := time.Now()
	for {
		before := f.events()
		state, err := f.state(ctx)
		if err != nil {
			return nil, err
		}
		if !pause.For(ctx, quiet) {
			return nil, context.Cause(ctx)
		}
		quiet := before == f.events()
		if quiet && (oracle.Converged(state) || time.Since(begun) > heal) {
			return f.oracle.Judge(state, replay), nil
		}
		if !quiet && time.Since(begun) > settle {
			return nil, fmt.Errorf("the fleet did not come to rest within %v: events kept coming", settle)
		}
	}
}

// events counts all that the observer and the devices have seen.
func (f *Fleet) events() (n int) {
	f.oracle.Count(func(t oracle.Tally) { n = t.Seen })
	return n
}

// state asks the server.
func (f *Fleet) state(ctx context.Context) (oracle.State, error) {
	s := oracle.State{At: time.Now()}
	groups, ids := f.oracle.Watched()
	var err error
	if s.Things, err = f.things(ctx); err != nil {
		return s, err
	}
	for _, name := range groups {
		g, err := f.describe(ctx, name)
		if awsapi.IsNotFound(err) {
			continue // D1 says so
		}
		if err != nil {
			return s, err
		}
		members, err := f.list(ctx, name)
		if err != nil {
			return s, err
		}
		s.Groups = append(s.Groups, oracle.GroupState{Name: name, Query: g.Query, Status: g.Status, Members: members})
	}
	for _, id := range ids {
		j, err := f.job(ctx, id)
		if awsapi.IsNotFound(err) {
			continue
		}
		if err != nil {
			return s, err
		}
		s.Jobs = append(s.Jobs, j)
	}
	s.Devices, err = f.devices(ctx)
	return s, err
}

// parallel is how many requests the collection of a state makes at a time.
const parallel = 8

// job asks for a job with all its executions and their versions.
func (f *Fleet) job(ctx context.Context, id protocol.JobID) (oracle.JobState, error) {
	j, err := f.api.Job(ctx, id)
	if err != nil {
		return oracle.JobState{}, fmt.Errorf("cannot describe job %s: %w", id, err)
	}
	s := oracle.JobState{ID: id, CreatedAt: j.CreatedAt.Time, PerMinute: j.Rollout.PerMinute}
	for _, target := range j.Targets {
		if name, ok := groupIn(target); ok {
			s.Groups = append(s.Groups, name)
		}
	}
	list, err := f.api.ExecutionsOfJob(ctx, id)
	if err != nil {
		return s, fmt.Errorf("cannot list the executions of job %s: %w", id, err)
	}
	s.Executions = make([]oracle.ExecutionState, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, x := range list {
		g.Go(func() error {
			full, err := f.api.Execution(ctx, x.Thing, id, x.Number)
			if err != nil {
				return fmt.Errorf("cannot describe execution %d of job %s for %s: %w", x.Number, id, x.Thing, err)
			}
			s.Executions[i] = oracle.ExecutionState{
				Thing: x.Thing, Number: x.Number, Status: full.Status,
				QueuedAt: full.QueuedAt.Time, StartedAt: full.StartedAt.Time, VersionNumber: full.VersionNumber,
			}
			return nil
		})
	}
	return s, g.Wait()
}

// devices puts the truth about every thing beside its shadow.
func (f *Fleet) devices(ctx context.Context) ([]oracle.DeviceState, error) {
	all := f.Devices()
	list := make([]oracle.DeviceState, len(all))
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, d := range all {
		g.Go(func() error {
			shadow, err := f.api.Shadow(ctx, d.Thing)
			if err != nil && !awsapi.IsNotFound(err) {
				return fmt.Errorf("cannot read the shadow of %s: %w", d.Thing, err)
			}
			reported, _ := shadow.Reported["softwareVersion"].(string)
			mu.Lock()
			defer mu.Unlock()
			list[i] = oracle.DeviceState{
				Thing: d.Thing, Running: release(d.Running), Idle: !d.Updating(), Connected: d.Connected,
				ShadowVersion: shadow.Version, Reported: reported,
			}
			return nil
		})
	}
	return list, g.Wait()
}
