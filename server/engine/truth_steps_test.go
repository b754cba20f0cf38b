package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/internal/naive/naivetest"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/job"
	"github.com/muster-iot/muster/server/presence"
	"github.com/muster-iot/muster/server/registry"
)

// changes are the steps that change one thing, or who is in a static group.
func (w *truth) changes() map[string]func() {
	return map[string]func(){
		"create thing":  w.createThing,
		"update thing":  w.updateThing,
		"delete thing":  w.deleteThing,
		"update shadow": w.updateShadow,
		"delete shadow": w.deleteShadow,
		"connect":       w.connect,
		"disconnect":    w.disconnect,
		"create static": w.createStatic,
		"move":          w.move,
		"delete static": w.deleteStatic,
	}
}

func (w *truth) thing() protocol.ThingName { return naivetest.Thing(w.T, truthThings) }

func (w *truth) attributes() map[string]string {
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "a.b"}), rapid.SampledFrom(naivetest.Plain()), 0, 2).Draw(w.T, "attributes")
}

func (w *truth) typeName() protocol.ThingTypeName {
	return rapid.SampledFrom([]protocol.ThingTypeName{"", "red", "Blue"}).Draw(w.T, "type")
}

func (w *truth) createThing() {
	feed(w, engine.CreateThing{Name: w.thing(), TypeName: w.typeName(), Attributes: w.attributes()})
}

func (w *truth) updateThing() {
	u := registry.Update{Attributes: w.attributes(), Merge: rapid.Bool().Draw(w.T, "merge")}
	if rapid.IntRange(0, 3).Draw(w.T, "types") == 0 {
		name := w.typeName()
		u.TypeName = &name
	}
	feed(w, engine.UpdateThing{Name: w.thing(), Update: u})
}

func (w *truth) deleteThing() { feed(w, engine.DeleteThing{Name: w.thing()}) }

func (w *truth) shadowName() string {
	return rapid.SampledFrom([]string{"", "", "s1", "$package", "unindexed"}).Draw(w.T, "shadow")
}

// updateShadow reports and asks; null takes a member out.
func (w *truth) updateShadow() {
	section := func(name string) map[string]any {
		state := naivetest.State(w.T)
		for _, key := range []string{"a", "b"} {
			if _, set := state[key]; !set && rapid.IntRange(0, 3).Draw(w.T, name+" without "+key) == 0 {
				state[key] = nil
			}
		}
		if rapid.IntRange(0, 3).Draw(w.T, "version") == 0 {
			state["softwareVersion"] = rapid.SampledFrom([]any{"5", "6", json.Number("5"), nil}).Draw(w.T, "software version")
		}
		return state
	}
	state := map[string]any{}
	if rapid.IntRange(0, 2).Draw(w.T, "reports") > 0 {
		state["reported"] = section("reported")
	}
	if rapid.IntRange(0, 2).Draw(w.T, "asks") == 0 {
		state["desired"] = section("desired")
	}
	text, err := json.Marshal(map[string]any{"state": state})
	if err != nil {
		w.Fatal(err)
	}
	u, err := shadow.ParseUpdate(text)
	if err != nil {
		w.Skip(err)
	}
	feed(w, engine.UpdateShadow{Thing: w.thing(), Name: w.shadowName(), Update: u})
}

func (w *truth) deleteShadow() {
	feed(w, engine.DeleteShadow{Thing: w.thing(), Name: w.shadowName()})
}

// connect opens a session, which takes over from one that there is.
func (w *truth) connect() {
	name := w.thing()
	w.session++
	w.sessions[name] = w.session
	feed(w, engine.Connect{ClientID: string(name), Session: w.session, IP: "127.0.0.1"})
}

// disconnect ends the newest session of a thing, or one that is over already.
func (w *truth) disconnect() {
	name := w.thing()
	session := w.sessions[name] - uint64(rapid.IntRange(0, 1).Draw(w.T, "before"))
	reason := rapid.SampledFrom([]presence.Reason{presence.ClientInitiated, "CONNECTION_LOST"}).Draw(w.T, "reason")
	feed(w, engine.Disconnect{ClientID: string(name), Session: session, Reason: reason})
}

func (w *truth) static() protocol.ThingGroupName {
	return protocol.ThingGroupName(rapid.SampledFrom(staticNames()).Draw(w.T, "static group"))
}

func (w *truth) dynamic() protocol.ThingGroupName {
	return protocol.ThingGroupName(rapid.SampledFrom(dynamicNames()).Draw(w.T, "dynamic group"))
}

func (w *truth) createStatic() {
	in := engine.CreateStaticGroup{Name: w.static()}
	if rapid.Bool().Draw(w.T, "below another") {
		in.Parent = w.static()
	}
	feed(w, in)
}

func (w *truth) deleteStatic() { feed(w, engine.DeleteStaticGroup{Name: w.static()}) }

func (w *truth) move() {
	in := engine.MoveThing{Thing: w.thing(), OverrideDynamic: rapid.Bool().Draw(w.T, "override")}
	for _, name := range staticNames() {
		switch rapid.IntRange(0, 2).Draw(w.T, name) {
		case 0:
			in.Add = append(in.Add, protocol.ThingGroupName(name))
		case 1:
			in.Remove = append(in.Remove, protocol.ThingGroupName(name))
		}
	}
	// Groups that do not exist would refuse the whole move.
	w.read(func(v *engine.View) {
		gone := func(n protocol.ThingGroupName) bool { _, err := v.Group(n); return err != nil }
		in.Add, in.Remove = slices.DeleteFunc(in.Add, gone), slices.DeleteFunc(in.Remove, gone)
	})
	feed(w, in)
}

// createGroup does not wait until the group is built.
func (w *truth) createGroup() {
	feed(w, engine.CreateDynamicGroup{Name: w.dynamic(), Query: w.ask.Text(w.T)})
}

func (w *truth) changeGroup() {
	in := engine.UpdateDynamicGroup{Name: w.dynamic()}
	if rapid.IntRange(0, 4).Draw(w.T, "query") > 0 {
		text := w.ask.Text(w.T)
		in.Query = &text
	} else {
		text := "described"
		in.Description = &text
	}
	feed(w, in)
}

func (w *truth) deleteGroup() { feed(w, engine.DeleteDynamicGroup{Name: w.dynamic()}) }

// createJob makes a continuous job of one dynamic group, which may be building.
func (w *truth) createJob() {
	w.jobs++
	feed(w, engine.CreateJob{
		ID: protocol.JobID(fmt.Sprintf("j%d", w.jobs)), Targets: []string{groupARN(string(w.dynamic()))}, Selection: job.Continuous, Document: `{"do":"it"}`,
	})
}

// reconfigure indexes something else, unless a group needs what would go.
func (w *truth) reconfigure() {
	config := naivetest.Config(w.T)
	feed(w, engine.UpdateIndexing{Thing: &config})
}

// switchOff switches indexing off, which is refused while there are groups, or
// everything on.
func (w *truth) switchOff() {
	config := index.Config{}
	if rapid.IntRange(0, 3).Draw(w.T, "on") > 0 {
		config = naivetest.Everything()
	}
	feed(w, engine.UpdateIndexing{Thing: &config})
}

// restart ends the engine and starts another on the same store.
func (w *truth) restart() {
	w.stop()
	w.start()
}

// failCommit makes a commit fail: its change is refused and forgotten.
func (w *truth) failCommit() {
	w.store.failNext(true)
	defer w.store.failNext(false)
	name := w.thing()
	for _, in := range []engine.Input[registry.Thing]{
		engine.CreateThing{Name: name, Attributes: w.attributes()},
		engine.UpdateThing{Name: name, Update: registry.Update{Attributes: w.attributes()}},
	} {
		_, err := engine.Do(context.Background(), w.engine, in)
		if err != nil && protocol.CodeOf(err) == protocol.Internal {
			w.Fatal(err)
		}
	}
}
