package engine

import (
	"encoding/json"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/protocol/update"
	"github.com/muster-iot/muster/server/registry"
)

// UpdateShadow merges an update into a shadow (AWS IoT reference 9.2) and
// answers with the body of the accepted message. Errors are *shadow.Error.
type UpdateShadow struct {
	Thing  protocol.ThingName
	Name   string // empty is the classic shadow
	Update shadow.Update
	// Session gets the accepted message even if not subscribed; 0 is none.
	Session uint64
	// Client is the id of the client that reports, if it is one.
	Client string
}

func (in UpdateShadow) step(t *tx) ([]byte, error) {
	if !in.Thing.Valid() {
		return nil, protocol.Errorf(protocol.InvalidRequest, "thing name %q is not 1 to 128 of [a-zA-Z0-9:_-]", in.Thing)
	}
	var prev shadow.Document
	if e := t.names[in.Thing]; e != nil {
		prev = e.shadows[in.Name]
	}
	next, err := prev.Apply(in.Update, t.now)
	if err != nil {
		return nil, err
	}
	accepted := shadow.Accepted(in.Update, next, t.now)
	t.effects = append(t.effects, effect{
		topic: topic.Shadow(in.Thing, in.Name, "update"+topic.Accepted), payload: accepted, session: in.Session, fan: true,
	})
	t.setShadow(in.Thing, in.Name, in.Update, prev, next)
	if in.Name == "" && in.Client == string(in.Thing) && asksToRegister(in.Update) {
		t.registerOnRequest(in.Thing)
	}
	return accepted, nil
}

// setShadow stores the next version of a shadow, tells its subscribers and
// lets the version loop run: mirror, index, groups, jobs.
func (t *tx) setShadow(thing protocol.ThingName, name string, u shadow.Update, prev, next shadow.Document) {
	e := t.name(thing)
	if e.shadows == nil {
		e.shadows = map[string]shadow.Document{}
	}
	e.shadows[name] = next
	t.putThing(thing, kindShadow, key(string(thing), name), next)
	if delta, differs := shadow.Delta(next, t.now, u.ClientToken); differs {
		t.publish(topic.Shadow(thing, name, "update/delta"), delta)
	}
	now, token := t.now, u.ClientToken
	t.announce(topic.Shadow(thing, name, "update/documents"), func() []byte { return shadow.Documents(prev, next, now, token) })
	if e.thing == nil {
		return
	}
	if name == "" && t.mirror(e, reportedBy(u, t.cfg.Rules.MirroredFields)) {
		t.putThing(thing, kindThing, string(thing), e.thing)
	}
	t.reindex(thing)
}

// registerOnRequest registers a device that does not exist yet, where that is
// allowed (rule 29).
func (t *tx) registerOnRequest(n protocol.ThingName) {
	if t.name(n).thing != nil || !t.cfg.Rules.RegisterOnRequest {
		return
	}
	if th, err := registry.New(n, t.cfg.NewID(), "", nil, t.attributeLimits(), t.now); err == nil {
		t.register(th)
	}
}

// asksToRegister reports whether a device wants to be registered (rule 29):
// its report contains {"muster":{"register":true}}.
func asksToRegister(u shadow.Update) bool {
	v, _ := u.ReportedField("muster")
	m, _ := v.(map[string]any)
	return m["register"] == true
}

// reportedBy picks the listed fields that the update reports.
func reportedBy(u shadow.Update, fields []string) map[string]any {
	reported := map[string]any{}
	for _, f := range fields {
		if v, sent := u.ReportedField(f); sent {
			reported[f] = v
		}
	}
	return reported
}

// reportVersion records what an execution succeeded to as if the device had
// reported it: the other half of atomic success (rule 1).
func (t *tx) reportVersion(thing protocol.ThingName, details jobs.StatusDetails) {
	fields := map[string]any{}
	if v := details[update.KeySoftwareVersion]; v != "" {
		fields[update.KeySoftwareVersion] = v
	}
	if seq := details[update.KeySoftwareSeq]; isNumber(seq) {
		fields[update.KeySoftwareSeq] = json.Number(seq)
	}
	if len(fields) == 0 {
		return
	}
	u := shadow.ReportedUpdate(fields)
	prev := t.name(thing).shadows[""]
	next, err := prev.Apply(u, t.now)
	if err != nil {
		return // not legal shadow state; the execution's details still hold it
	}
	t.publish(topic.Shadow(thing, "", "update"+topic.Accepted), shadow.Accepted(u, next, t.now))
	t.setShadow(thing, "", u, prev, next)
}

func isNumber(s string) bool {
	var n json.Number
	return s != "" && json.Unmarshal([]byte(s), &n) == nil && s[0] != '"'
}

// DeleteShadow removes a shadow and answers with the accepted message's body.
type DeleteShadow struct {
	Thing       protocol.ThingName
	Name        string
	ClientToken string
	Session     uint64
}

func (in DeleteShadow) step(t *tx) ([]byte, error) {
	e := t.names[in.Thing]
	if e == nil || !e.shadows[in.Name].Exists() {
		return nil, shadow.NotFound(shadowSubject(in.Thing, in.Name), in.ClientToken)
	}
	next, accepted, err := e.shadows[in.Name].Delete(t.now, in.ClientToken)
	if err != nil {
		return nil, err
	}
	e.shadows[in.Name] = next
	t.putThing(in.Thing, kindShadow, key(string(in.Thing), in.Name), next)
	t.effects = append(t.effects, effect{
		topic: topic.Shadow(in.Thing, in.Name, "delete"+topic.Accepted), payload: accepted, session: in.Session, fan: true,
	})
	t.reindex(in.Thing)
	return accepted, nil
}

// GetShadow answers with the shadow document. Session, if not 0, gets it as
// the accepted message; so do the subscribers of that topic.
type GetShadow struct {
	Thing       protocol.ThingName
	Name        string
	ClientToken string
	Session     uint64
}

func (in GetShadow) step(t *tx) ([]byte, error) {
	e := t.names[in.Thing]
	if e == nil || !e.shadows[in.Name].Exists() {
		return nil, shadow.NotFound(shadowSubject(in.Thing, in.Name), in.ClientToken)
	}
	body := e.shadows[in.Name].GetAccepted(t.now, in.ClientToken)
	if in.Session != 0 {
		t.effects = append(t.effects, effect{
			topic: topic.Shadow(in.Thing, in.Name, "get"+topic.Accepted), payload: body, session: in.Session, fan: true,
		})
	}
	return body, nil
}

func shadowSubject(thing protocol.ThingName, name string) string {
	if name == "" {
		return string(thing)
	}
	return name
}

func milliseconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}
