package proctest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/proctest"
)

// world is what all clients of one test share.
type world struct {
	t       *testing.T
	api     *api
	mqtt    string
	ledger  *proctest.Ledger
	round   int // changes only while no client runs
	devices []string
}

// why names an acknowledgement.
func (w *world) why(format string, args ...any) string {
	return fmt.Sprintf("round %d: ", w.round) + fmt.Sprintf(format, args...)
}

// operator is a client of the HTTP API. It alone writes what it has made and
// the attributes of its devices, one request after the other.
type operator struct {
	*world
	name   string
	rng    *rand.Rand
	serial int
	// things are those it writes; the first ones are devices and stay.
	things []*ownThing
	groups []*ownGroup
	jobs   []*ownJob
	own    int // number of devices among things
}

type ownThing struct {
	name       string
	tick, goal int64
	version    int64 // acknowledged
	odd        bool
}

type ownGroup struct {
	name string
	n    int64
}

type ownJob struct {
	id       string
	snapshot bool
	canceled bool
}

func (o *operator) next(kind string) string {
	o.serial++
	return fmt.Sprintf("%s-%s-%d", kind, o.name, o.serial)
}

// run works until ctx ends.
func (o *operator) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := o.step(ctx)
		switch r := (&refusal{}); {
		case err == nil:
		case errors.As(err, &r):
			o.t.Errorf("operator %s was refused: %v", o.name, err)
		case errors.Is(err, errUnknown):
			_ = pause(ctx, 10*time.Millisecond)
		default:
			o.t.Errorf("operator %s: %v", o.name, err)
		}
	}
}

func (o *operator) step(ctx context.Context) error {
	switch dice := o.rng.IntN(100); {
	case dice < 45:
		return o.updateThing(ctx, o.things[o.rng.IntN(len(o.things))])
	case dice < 60:
		return o.updateDesired(ctx, o.things[o.rng.IntN(len(o.things))])
	case dice < 68:
		return o.createOrDeleteThing(ctx)
	case dice < 74:
		return o.createOrDeleteGroup(ctx)
	case dice < 82 && len(o.groups) > 0:
		return o.updateGroup(ctx, o.groups[o.rng.IntN(len(o.groups))])
	case dice < 90:
		return o.createOrDeleteJob(ctx)
	case dice < 95 && len(o.jobs) > 0:
		return o.cancelJob(ctx, o.jobs[o.rng.IntN(len(o.jobs))])
	case len(o.jobs) > 0:
		return o.cancelExecution(ctx, o.jobs[o.rng.IntN(len(o.jobs))])
	}
	return nil
}

func attributes(th *ownThing, device bool) object {
	a := map[string]string{"tick": fmt.Sprint(th.tick), "parity": "even"}
	if th.odd {
		a["parity"] = "odd"
	}
	if device {
		a["role"] = "device"
	}
	return object{"attributes": a, "merge": true}
}

// createThing registers a thing. One whose outcome is not known is left alone.
func (o *operator) createThing(ctx context.Context, name string, device bool) error {
	th := &ownThing{name: name, tick: 1}
	payload := attributes(th, device)
	delete(payload, "merge")
	o.ledger.Sent("thing/"+name+"/tick", 1)
	if err := o.api.call(ctx, iot, "POST", "/things/"+name, object{"attributePayload": payload}, nil); err != nil {
		return err
	}
	o.things = append(o.things, th)
	o.ledger.AtLeast("thing/"+name+"/tick", 1, o.why("CreateThing %s", name))
	th.version = 1
	o.ledger.AtLeast("thing/"+name+"/version", 1, o.why("CreateThing %s", name))
	return nil
}

func (o *operator) createOrDeleteThing(ctx context.Context) error {
	if len(o.things) < o.own+6 {
		return o.createThing(ctx, o.next("thing"), false)
	}
	i := o.own + o.rng.IntN(len(o.things)-o.own)
	name := o.things[i].name
	o.things = append(o.things[:i], o.things[i+1:]...)
	o.ledger.Dropping("thing/" + name)
	if err := o.api.call(ctx, iot, "DELETE", "/things/"+name, nil, nil); err != nil {
		return err
	}
	o.ledger.Gone("thing/"+name, o.why("DeleteThing %s", name))
	return nil
}

func (o *operator) updateThing(ctx context.Context, th *ownThing) error {
	th.tick++
	if o.rng.IntN(12) == 0 {
		th.odd = !th.odd
	}
	o.ledger.Sent("thing/"+th.name+"/tick", th.tick)
	if err := o.api.call(ctx, iot, "PATCH", "/things/"+th.name, object{"attributePayload": attributes(th, false)}, nil); err != nil {
		return err
	}
	th.version++
	o.ledger.AtLeast("thing/"+th.name+"/tick", th.tick, o.why("UpdateThing %s tick %d", th.name, th.tick))
	o.ledger.AtLeast("thing/"+th.name+"/version", th.version, o.why("UpdateThing %s tick %d", th.name, th.tick))
	return nil
}

// updateDesired writes the desired section of a classic shadow, whose reported
// section a device may write at the same time.
func (o *operator) updateDesired(ctx context.Context, th *ownThing) error {
	th.goal++
	key := "shadow/" + th.name + "/classic"
	o.ledger.Sent(key+"/desired", th.goal)
	var answer struct{ Version int64 }
	body := object{"state": object{"desired": object{"n": th.goal, "echo": echo(th.goal)}}}
	if err := o.api.call(ctx, iotdata, "POST", "/things/"+th.name+"/shadow", body, &answer); err != nil {
		return err
	}
	why := o.why("UpdateThingShadow %s desired %d", th.name, th.goal)
	o.ledger.AtLeast(key+"/desired", th.goal, why)
	if answer.Version > 0 {
		o.ledger.AtLeast(key+"/version", answer.Version, why)
	}
	return nil
}

// createOrDeleteGroup makes groups that things only ever join (past) or only
// ever leave (below), because ticks only grow.
func (o *operator) createOrDeleteGroup(ctx context.Context) error {
	if len(o.groups) >= 5 {
		i := o.rng.IntN(len(o.groups))
		name := o.groups[i].name
		o.groups = append(o.groups[:i], o.groups[i+1:]...)
		o.ledger.Dropping("group/" + name)
		if err := o.api.call(ctx, iot, "DELETE", "/dynamic-thing-groups/"+name, nil, nil); err != nil {
			return err
		}
		o.ledger.Gone("group/"+name, o.why("DeleteDynamicThingGroup %s", name))
		return nil
	}
	bound := o.things[o.rng.IntN(len(o.things))].tick + o.rng.Int64N(20)
	name, query := o.next("past"), fmt.Sprintf("attributes.tick>=%d", bound)
	if o.rng.IntN(2) == 0 {
		name, query = o.next("below"), fmt.Sprintf("attributes.tick<%d", bound)
	}
	if err := o.createGroup(ctx, name, query); err != nil {
		return err
	}
	o.groups = append(o.groups, &ownGroup{name: name})
	return nil
}

func (o *operator) createGroup(ctx context.Context, name, query string) error {
	if err := o.api.call(ctx, iot, "POST", "/dynamic-thing-groups/"+name, object{"queryString": query}, nil); err != nil {
		return err
	}
	o.ledger.AtLeast("group/"+name+"/version", 1, o.why("CreateDynamicThingGroup %s", name))
	return nil
}

func (o *operator) updateGroup(ctx context.Context, g *ownGroup) error {
	g.n++
	key := "group/" + g.name
	o.ledger.Sent(key+"/n", g.n)
	var answer struct{ Version int64 }
	body := object{"thingGroupProperties": object{"thingGroupDescription": fmt.Sprint(g.n)}}
	if err := o.api.call(ctx, iot, "PATCH", "/dynamic-thing-groups/"+g.name, body, &answer); err != nil {
		return err
	}
	why := o.why("UpdateDynamicThingGroup %s description %d", g.name, g.n)
	o.ledger.AtLeast(key+"/n", g.n, why)
	if answer.Version > 0 {
		o.ledger.AtLeast(key+"/version", answer.Version, why)
	}
	return nil
}

// createOrDeleteJob makes continuous jobs for the devices' groups and snapshot
// jobs for single devices.
func (o *operator) createOrDeleteJob(ctx context.Context) error {
	if len(o.jobs) >= 4 {
		id := o.jobs[0].id
		o.jobs = o.jobs[1:]
		o.ledger.Dropping("job/" + id)
		if err := o.api.call(ctx, iot, "DELETE", "/jobs/"+id+"?force=true", nil, nil); err != nil {
			return err
		}
		o.ledger.Gone("job/"+id, o.why("DeleteJob %s", id))
		return nil
	}
	j := &ownJob{id: o.next("job"), snapshot: o.rng.IntN(2) == 0}
	kind, target, selection := "thinggroup", []string{"devices", "odd"}[o.rng.IntN(2)], "CONTINUOUS"
	if j.snapshot {
		kind, target, selection = "thing", o.devices[o.rng.IntN(len(o.devices))], "SNAPSHOT"
	}
	body := object{
		"targets":  []string{"arn:aws:iot:us-east-1:123456789012:" + kind + "/" + target},
		"document": `{"operation":"count"}`, "targetSelection": selection,
	}
	if err := o.api.call(ctx, iot, "PUT", "/jobs/"+j.id, body, nil); err != nil {
		return err
	}
	o.jobs = append(o.jobs, j)
	o.ledger.Exists("job/"+j.id, o.why("CreateJob %s", j.id))
	if j.snapshot {
		o.ledger.Exists("execution/"+j.id+"/"+target+"/1", o.why("CreateJob %s for %s", j.id, target))
	}
	return nil
}

func (o *operator) cancelJob(ctx context.Context, j *ownJob) error {
	if j.canceled {
		return nil
	}
	force := o.rng.IntN(2) == 0
	err := o.api.call(ctx, iot, "PUT", fmt.Sprintf("/jobs/%s/cancel?force=%v", j.id, force), object{"comment": "test"}, nil)
	if refusedWith(err, "InvalidRequest") && strings.Contains(err.Error(), "cannot be canceled") {
		// Its last execution has ended in between, or an earlier cancel that
		// was not answered had been carried out.
		j.canceled = true
		return nil
	}
	if err != nil {
		return err
	}
	j.canceled = true
	o.ledger.Final("job/"+j.id+"/status", "CANCELED", o.why("CancelJob %s", j.id))
	if force {
		o.ledger.Closed("job/"+j.id, o.why("CancelJob %s by force", j.id))
	}
	return nil
}

// cancelExecution cancels the only execution of a snapshot job.
func (o *operator) cancelExecution(ctx context.Context, j *ownJob) error {
	if !j.snapshot || j.canceled {
		return nil
	}
	things, err := pages[struct{ ThingArn string }](ctx, o.api, "/jobs/"+j.id+"/things", "executionSummaries")
	if err != nil || len(things) != 1 {
		return err
	}
	_, thing, _ := strings.Cut(things[0].ThingArn, ":thing/")
	err = o.api.call(ctx, iot, "PUT", "/things/"+thing+"/jobs/"+j.id+"/cancel?force=true", object{}, nil)
	if refusedWith(err, "InvalidStateTransition") || refusedWith(err, "TerminalState") {
		return nil // it has ended in between
	}
	if err != nil {
		return err
	}
	o.ledger.Final("execution/"+j.id+"/"+thing+"/1/status", "CANCELED", o.why("CancelJobExecution %s on %s", j.id, thing))
	return nil
}

func refusedWith(err error, exception string) bool {
	r := &refusal{}
	return errors.As(err, &r) && r.status != http.StatusNotFound && strings.HasPrefix(r.text, exception)
}
