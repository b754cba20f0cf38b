package proctest_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/muster-iot/muster/internal/proctest"
)

// sound is a fleet in which everything holds.
func sound() proctest.Fleet {
	return proctest.Fleet{
		Things: map[string]proctest.Thing{
			"a": {Version: 3, Attributes: map[string]string{"tick": "7", "role": "device", "parity": "odd"}},
			"b": {Version: 2, Attributes: map[string]string{"tick": "2"}},
		},
		Shadows: map[string]proctest.Shadow{"a/classic": {Version: 9, Values: map[string]string{"reported": "5", "desired": "2"}}},
		Groups: map[string]proctest.Group{
			"past": {Version: 2, Status: "ACTIVE", Query: "attributes.tick>=5", Description: "4", Members: []string{"a"}, Found: []string{"a"}},
			"odd":  {Version: 1, Status: "ACTIVE", Query: "attributes.role:device AND attributes.parity:odd", Members: []string{"a"}, Found: []string{"a"}},
			"live": {Version: 1, Status: "ACTIVE", Query: "connectivity.connected:true"},
		},
		Jobs: map[string]proctest.Job{
			"j": {Status: "IN_PROGRESS", Selection: "CONTINUOUS", Group: "odd"},
			"k": {Status: "CANCELED", Selection: "SNAPSHOT"},
		},
		Executions: []proctest.Execution{
			{Job: "j", Thing: "a", Number: 1, Version: 2, Status: "REMOVED"},
			{Job: "j", Thing: "a", Number: 2, Version: 4, Status: "IN_PROGRESS", Counter: "3"},
			{Job: "k", Thing: "a", Number: 1, Version: 3, Status: "SUCCEEDED", Counter: "1"},
		},
		Retained: map[string]string{"counter": "4"},
	}
}

// promised is a ledger of all that was acknowledged to the clients of sound.
func promised() *proctest.Ledger {
	l := proctest.NewLedger(nil)
	l.AtLeast("thing/a/version", 3, "UpdateThing a")
	l.Sent("thing/a/tick", 8) // the last one was not answered
	l.AtLeast("thing/a/tick", 7, "UpdateThing a")
	l.Exists("thing/b", "CreateThing b")
	l.Dropping("thing/c")
	l.Gone("thing/c", "DeleteThing c")
	l.Sent("shadow/a/classic/reported", 5)
	l.AtLeast("shadow/a/classic/reported", 5, "PUBACK a 5")
	l.AtLeast("shadow/a/classic/version", 9, "shadow/update/accepted")
	l.AtLeast("group/past/version", 2, "UpdateDynamicThingGroup past")
	l.Sent("group/past/n", 4)
	l.AtLeast("group/past/n", 4, "UpdateDynamicThingGroup past")
	l.Exists("member/past/a", "event added")
	l.Absent("member/past/b", "event removed")
	l.Exists("job/j", "CreateJob j")
	l.Final("job/k/status", "CANCELED", "CancelJob k")
	l.Closed("job/k", "CancelJob k by force")
	l.Dropping("job/gone")
	l.Gone("job/gone", "DeleteJob gone")
	l.Exists("execution/j/a/1", "notify-next")
	l.Sent("execution/j/a/2/n", 3)
	l.AtLeast("execution/j/a/2/n", 2, "update/accepted 2")
	l.AtLeastUnlessEnded("execution/j/a/2/n", 3, "PUBACK 3")
	l.AtLeast("execution/j/a/2/version", 4, "update/accepted")
	l.Final("execution/k/a/1/status", "SUCCEEDED", "update/accepted SUCCEEDED")
	l.Sent("retained/counter/n", 5)
	l.AtLeast("retained/counter/n", 4, "PUBACK retained 4")
	l.Dropping("retained/cleared")
	l.Gone("retained/cleared", "PUBACK of the clear")
	return l
}

// TestLedgerFindsEveryLoss takes one thing away from a sound fleet, or adds
// one, and wants it named together with the acknowledgement.
func TestLedgerFindsEveryLoss(t *testing.T) {
	if lost := promised().Check(sound().Values()); len(lost) > 0 {
		t.Fatalf("nothing is lost, but: %q", lost)
	}
	for _, tc := range []struct {
		name string
		do   func(f *proctest.Fleet)
		want []string // each is part of one problem; no other problems
	}{
		{"thing", func(f *proctest.Fleet) { delete(f.Things, "b") }, []string{"thing/b: is lost, after CreateThing b"}},
		{"retained message", func(f *proctest.Fleet) { delete(f.Retained, "counter") }, []string{"retained/counter/n: is lost, after PUBACK retained 4"}},
		{"older retained message", func(f *proctest.Fleet) { f.Retained["counter"] = "3" }, []string{"retained/counter/n: is 3, less than the 4 of PUBACK retained 4"}},
		{"cleared retained message", func(f *proctest.Fleet) { f.Retained["cleared"] = "1" }, []string{
			"retained/cleared: is there again, after PUBACK of the clear", "retained/cleared/n: is there again",
		}},
		{
			"thing with its attributes", func(f *proctest.Fleet) { delete(f.Things, "a") },
			[]string{"thing/a/tick: is lost", "thing/a/version: is lost, after UpdateThing a"},
		},
		{"thing version", func(f *proctest.Fleet) {
			f.Things["a"] = proctest.Thing{Version: 2, Attributes: f.Things["a"].Attributes}
		}, []string{"thing/a/version: is 2, less than the 3 of UpdateThing a"}},
		{"attribute", func(f *proctest.Fleet) { f.Things["a"].Attributes["tick"] = "6" }, []string{"thing/a/tick: is 6, less than the 7 of UpdateThing a"}},
		{"attribute that was in flight", func(f *proctest.Fleet) { f.Things["a"].Attributes["tick"] = "8" }, nil},
		{"attribute that nobody wrote", func(f *proctest.Fleet) { f.Things["a"].Attributes["tick"] = "9" }, []string{"thing/a/tick: is 9, which nobody ever wrote: the largest is 8"}},
		{"deleted thing", func(f *proctest.Fleet) { f.Things["c"] = proctest.Thing{} }, []string{"thing/c: is there again, after DeleteThing c", "thing/c/version: is there again"}},
		{"shadow", func(f *proctest.Fleet) { clear(f.Shadows) }, []string{"reported: is lost, after PUBACK a 5", "version: is lost"}},
		{"shadow version", func(f *proctest.Fleet) {
			f.Shadows["a/classic"] = proctest.Shadow{Version: 8, Values: f.Shadows["a/classic"].Values}
		}, []string{"version: is 8, less than the 9 of shadow/update/accepted"}},
		{"report", func(f *proctest.Fleet) { f.Shadows["a/classic"].Values["reported"] = "4" }, []string{"reported: is 4, less than the 5 of PUBACK a 5"}},
		{"mixed report", func(f *proctest.Fleet) { f.Shadows["a/classic"].Values["reported"] = `5 with "echo 4"` }, []string{"not a number"}},
		{"group", func(f *proctest.Fleet) { delete(f.Groups, "past") }, []string{"group/past/n: is lost", "group/past/version: is lost", "member/past/a: is lost"}},
		{"group description", func(f *proctest.Fleet) {
			g := f.Groups["past"]
			g.Description = "3"
			f.Groups["past"] = g
		}, []string{"group/past/n: is 3, less than the 4 of UpdateDynamicThingGroup past"}},
		{"member", func(f *proctest.Fleet) {
			g := f.Groups["past"]
			g.Members = nil
			f.Groups["past"] = g
		}, []string{"member/past/a: is lost, after event added"}},
		{"member that had left", func(f *proctest.Fleet) {
			g := f.Groups["past"]
			g.Members = []string{"a", "b"}
			f.Groups["past"] = g
		}, []string{"member/past/b: is there, after event removed"}},
		{"job", func(f *proctest.Fleet) { delete(f.Jobs, "j") }, []string{"job/j: is lost, after CreateJob j"}},
		{"cancel", func(f *proctest.Fleet) { f.Jobs["k"] = proctest.Job{Status: "IN_PROGRESS"} }, []string{"job/k/status: is IN_PROGRESS, but was for ever CANCELED by CancelJob k"}},
		{"deleted job", func(f *proctest.Fleet) { f.Jobs["gone"] = proctest.Job{Status: "IN_PROGRESS"} }, []string{"job/gone: is there again, after DeleteJob gone", "job/gone/status: is there again"}},
		{
			"execution of a deleted job", func(f *proctest.Fleet) {
				f.Executions = append(f.Executions, proctest.Execution{Job: "gone", Thing: "a", Number: 1, Status: "QUEUED"})
			},
			[]string{"execution/gone/a/1: is there again", "execution/gone/a/1/status: is", "execution/gone/a/1/version: is"},
		},
		{"execution", func(f *proctest.Fleet) { f.Executions = f.Executions[1:] }, []string{"execution/j/a/1: is lost, after notify-next"}},
		{"accepted count", func(f *proctest.Fleet) { f.Executions[1].Counter = "1" }, []string{"execution/j/a/2/n: is 1, less than the 2 of update/accepted 2"}},
		{"PUBACK of a count", func(f *proctest.Fleet) { f.Executions[1].Counter = "2" }, []string{"execution/j/a/2/n: is 2, less than the 3 of PUBACK 3"}},
		{"refused count", func(f *proctest.Fleet) { f.Executions[1].Counter, f.Executions[1].Status = "2", "CANCELED" }, nil},
		{"execution version", func(f *proctest.Fleet) { f.Executions[1].Version = 3 }, []string{"execution/j/a/2/version: is 3, less than the 4 of update/accepted"}},
		{
			"terminal state", func(f *proctest.Fleet) { f.Executions[2].Status = "IN_PROGRESS" },
			[]string{"execution/k/a/1/status: is IN_PROGRESS, but was for ever SUCCEEDED", "execution/k/a/1/status: is IN_PROGRESS, after CancelJob k by force"},
		},
		{"terminal state changed", func(f *proctest.Fleet) { f.Executions[2].Status = "FAILED" }, []string{"is FAILED, but was for ever SUCCEEDED by update/accepted SUCCEEDED"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := sound()
			tc.do(&f)
			wantProblems(t, promised().Check(f.Values()), tc.want)
		})
	}
}

func wantProblems(t *testing.T, got, want []string) {
	t.Helper()
	rest := slices.Clone(got)
	for _, w := range want {
		i := slices.IndexFunc(rest, func(p string) bool { return strings.Contains(p, w) })
		if i < 0 {
			t.Errorf("%q is not reported in %q", w, got)
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	if len(rest) > 0 {
		t.Errorf("reported besides: %q", rest)
	}
}

// TestLedgerFindsTheLossOfAnythingRead: what a read has shown is a promise as
// well, every value of it.
func TestLedgerFindsTheLossOfAnythingRead(t *testing.T) {
	values := sound().Values()
	l := proctest.NewLedger(nil)
	l.Learn(values, "read in round 1")
	if lost := l.Check(values); len(lost) > 0 {
		t.Fatalf("nothing is lost, but: %q", lost)
	}
	for key, value := range values {
		if strings.HasPrefix(key, "member/") || strings.HasSuffix(key, "/status") && value != "CANCELED" && value != "SUCCEEDED" && value != "REMOVED" {
			continue
		}
		without := maps.Clone(values)
		delete(without, key)
		if lost := l.Check(without); len(lost) != 1 || !strings.Contains(lost[0], key+": is lost, after read in round 1") {
			t.Errorf("without %s: %q", key, lost)
		}
	}
}

// TestLedgerForgetsWhatIsBeingDeleted: nothing is known of an object, and of
// what belongs to it, once its deletion is under way.
func TestLedgerForgetsWhatIsBeingDeleted(t *testing.T) {
	l := promised()
	for _, object := range []string{"thing/a", "thing/b", "group/past", "job/j", "job/k", "retained/counter"} {
		l.Dropping(object)
	}
	wantProblems(t, l.Check(nil), []string{"shadow/a/classic/reported", "shadow/a/classic/version"})
}

// TestFleetFindsWhatCannotBe breaks a sound fleet in every way.
func TestFleetFindsWhatCannotBe(t *testing.T) {
	if broken := sound().Broken(); len(broken) > 0 {
		t.Fatalf("nothing is broken, but: %q", broken)
	}
	group := func(name string, do func(g *proctest.Group)) func(f *proctest.Fleet) {
		return func(f *proctest.Fleet) {
			g := f.Groups[name]
			do(&g)
			f.Groups[name] = g
		}
	}
	for _, tc := range []struct {
		name string
		do   func(f *proctest.Fleet)
		want []string
	}{
		{"group that is built for ever", group("past", func(g *proctest.Group) { g.Status = "BUILDING" }), []string{"group/past: is BUILDING"}},
		{"missing member", group("past", func(g *proctest.Group) { g.Members = nil }), []string{`members [], a search for "attributes.tick>=5" finds [a]`, `members [], its query "attributes.tick>=5" says [a]`}},
		{"surplus member", group("live", func(g *proctest.Group) { g.Members = []string{"b"} }), []string{"group/live: members [b], a search"}},
		{"index and group wrong alike", group("past", func(g *proctest.Group) {
			g.Members, g.Found = []string{"a", "b"}, []string{"a", "b"}
		}), []string{"group/past: members [a b], its query"}},
		{"gap in the numbers", func(f *proctest.Fleet) { f.Executions[1].Number = 3 }, []string{"execution/j/a: number 3 stands where 2 belongs"}},
		{"first number lost", func(f *proctest.Fleet) { f.Executions = f.Executions[1:] }, []string{"execution/j/a: number 2 stands where 1 belongs"}},
		{"number twice", func(f *proctest.Fleet) { f.Executions[1].Number = 1 }, []string{"execution/j/a: number 1 stands where 2 belongs"}},
		{"two open ones", func(f *proctest.Fleet) { f.Executions[0].Status = "QUEUED" }, []string{"execution/j/a: number 1 is QUEUED though there is a number 2"}},
		{"execution without a job", func(f *proctest.Fleet) { delete(f.Jobs, "k") }, []string{"execution/k/a/1: its job does not exist"}},
		{"completed with an open one", func(f *proctest.Fleet) {
			f.Jobs["k"], f.Executions[2].Status = proctest.Job{Status: "COMPLETED"}, "IN_PROGRESS"
		}, []string{"execution/k/a/1: is IN_PROGRESS in a job that is COMPLETED"}},
		{"canceled with a queued one", func(f *proctest.Fleet) { f.Executions[2].Status = "QUEUED" }, []string{"execution/k/a/1: is QUEUED in a job that is CANCELED"}},
		{"member without an execution", func(f *proctest.Fleet) { f.Executions = f.Executions[2:] }, []string{"job/j: thing a, a member of its group odd, has no execution"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := sound()
			tc.do(&f)
			wantProblems(t, f.Broken(), tc.want)
		})
	}
}
