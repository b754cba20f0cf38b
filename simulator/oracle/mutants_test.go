package oracle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/simulator/oracle"
)

// mutant is one way to break a fleet, and the invariant that has to notice.
type mutant struct {
	name   string
	caught string
	mutate func(s *story)
}

func mutants() []mutant {
	return slices.Concat(groupMutants(), buildingMutants(), jobMutants(), durableMutants(), deviceMutants(), connectionMutants())
}

func groupMutants() []mutant {
	return []mutant{
		{"a member that the query does not match", oracle.G1, func(s *story) {
			s.state.Groups[0].Members = append(s.state.Groups[0].Members, up)
		}},
		{"a match that is no member", oracle.G1, func(s *story) {
			s.state.Groups[0].Members = []protocol.ThingName{bad}
		}},
		{"a member that does not exist", oracle.G1, func(s *story) {
			s.state.Groups[0].Members = append(s.state.Groups[0].Members, "ghost")
		}},
		{"the loss of a connection is not noticed", oracle.G1, func(s *story) {
			s.state.Things[2].Connected = false
		}},
		{"a query that cannot be read", oracle.G1, func(s *story) { s.state.Groups[0].Query = "a:(" }},
		{"a moving fleet shows another truth", oracle.G1, func(s *story) {
			s.add("sample", func(o *oracle.Oracle, _ string) {
				o.Sample(s.at(3), oracle.GroupState{Name: group, Query: "attributes.softwareVersion:6"}, s.state.Things, s.state.Things)
			})
		}},
		{"removed comes first", oracle.G3, func(s *story) { s.drop("up added", 0) }},
		{"added twice", oracle.G3, func(s *story) { s.member(7, late, true) }},
		{"removed twice", oracle.G3, func(s *story) { s.member(7, up, false) }},
		{"the last event is missing", oracle.G3, func(s *story) { s.drop("up removed", 0) }},
		{"no event at all", oracle.G3, func(s *story) { s.drop("bad added", 0) }},
		{"an event from the past", oracle.G3, func(s *story) {
			s.member(1, up, false)
			s.replace("up removed", 0)
		}},
		{"an announced member is not listed", oracle.G3, func(s *story) {
			s.state.Groups[0].Members = []protocol.ThingName{bad}
		}},
		{"a change without an event after a gap", oracle.G3, func(s *story) {
			s.add("restart", func(o *oracle.Oracle, _ string) {
				o.Epoch(s.at(6.5))
				o.List(s.at(7), group, []protocol.ThingName{bad, late, up})
			})
		}},
		{"an event that does not lead to the list after a gap", oracle.G3, func(s *story) {
			s.add("restart", func(o *oracle.Oracle, _ string) { o.Epoch(s.at(6.5)) })
			s.memberIn(2, 7, bad, false)
		}},
		{"the same twice after a gap", oracle.G3, func(s *story) {
			s.add("restart", func(o *oracle.Oracle, _ string) { o.Epoch(s.at(6.5)) })
			s.memberIn(2, 7, bad, true)
			s.memberIn(2, 7.2, bad, true)
		}},
	}
}

func buildingMutants() []mutant {
	return []mutant{
		{"built twice", oracle.G4, func(s *story) { s.describe(7, 1, "REBUILDING") }},
		{"never built", oracle.G4, func(s *story) { s.state.Groups[0].Status = "BUILDING" }},
		{"built for ever after a change", oracle.G4, func(s *story) { s.state.Groups[0].Status = "REBUILDING" }},
		{"a job before its group is built", oracle.G4, func(s *story) {
			s.drop("described BUILDING", 0)
			s.drop("described ACTIVE", 0)
			s.describe(2.55, 1, "BUILDING")
			s.describe(2.65, 1, "ACTIVE")
		}},
		{"listed twice", oracle.G5, func(s *story) {
			s.state.Groups[0].Members = append(s.state.Groups[0].Members, bad)
		}},
		{"a page is left out", oracle.G5, func(s *story) { s.state.Groups[0].Members = s.state.Groups[0].Members[:1] }},
		{"a member that no search shows", oracle.G5, func(s *story) { s.state.Things[2].Groups = nil }},
		{"a search shows what is not listed", oracle.G5, func(s *story) { s.state.Things[0].Groups = []string{string(group)} }},
		{"a group that is gone keeps a member", oracle.G3, func(s *story) {
			s.add("gone", func(o *oracle.Oracle, _ string) { o.Fall(group) })
			s.state.Groups = nil
		}},
	}
}

func jobMutants() []mutant {
	return []mutant{
		{"a number is left out", oracle.J1, func(s *story) { s.execution(away, 2).Number = 3 }},
		{"an execution without an entry", oracle.J1, func(s *story) {
			twin := *s.execution(up, 1)
			twin.Number = 2
			s.state.Jobs[0].Executions = append(s.state.Jobs[0].Executions, twin)
		}},
		{"again after success, by the connection alone", oracle.J1, func(s *story) {
			s.state.Things[2].Attributes["softwareVersion"] = "5"
			s.online(7, bad, false)
			s.member(7, bad, false)
			s.online(7.5, bad, true)
			s.member(7.5, bad, true)
			twin := *s.execution(bad, 1)
			twin.Number, twin.QueuedAt, twin.Status = 2, s.at(7.5).Truncate(time.Second), jobs.Queued
			s.state.Jobs[0].Executions = append(s.state.Jobs[0].Executions, twin)
		}},
		{"an older execution is still open", oracle.J1, func(s *story) {
			x := s.execution(away, 1)
			x.Status = jobs.InProgress
		}},
		{"a newer number that is older", oracle.J1, func(s *story) { s.execution(away, 2).QueuedAt = s.at(1) }},
		{"an entry without an execution", oracle.J1, func(s *story) {
			s.state.Jobs[0].Executions = s.state.Jobs[0].Executions[:4]
		}},
		{"an execution for a thing that never joined", oracle.J2, func(s *story) {
			s.state.Jobs[0].Executions = append(s.state.Jobs[0].Executions, oracle.ExecutionState{
				Thing: "stranger", Number: 1, Status: jobs.Succeeded, QueuedAt: s.at(3), StartedAt: s.at(3),
			})
		}},
		{"an execution after the thing has left", oracle.J2, func(s *story) { s.execution(up, 1).QueuedAt = s.at(5) }},
		{"started after the thing has left", oracle.J2, func(s *story) { s.execution(up, 1).StartedAt = s.at(5) }},
		{"started in spite of a leave and a return in between", oracle.J2, func(s *story) {
			s.execution(away, 1).StartedAt = s.at(5).Truncate(time.Second)
		}},
		{"still queued after the thing has left", oracle.J2, func(s *story) { s.execution(up, 1).Status = jobs.Queued }},
		{"success becomes failure", oracle.J3, func(s *story) {
			s.sight(4, up, s.identity(1, 2.4), jobs.Failed, 5, six)
		}},
		{"the end changes at the server", oracle.J3, func(s *story) {
			x := s.execution(up, 1)
			x.Status, x.VersionNumber = jobs.TimedOut, 5
		}},
		{"back to the queue", oracle.J3, func(s *story) {
			s.sight(2.65, bad, s.identity(1, 2.4), jobs.Queued, 3, five)
			s.execution(bad, 1).VersionNumber = 4
		}},
		{"two states of one version", oracle.J3, func(s *story) {
			s.sight(2.7, bad, s.identity(1, 2.4), jobs.Rejected, 2, five)
		}},
		{"two states of the last version", oracle.J3, func(s *story) {
			s.sight(3.2, up, s.identity(1, 2.4), jobs.InProgress, 4, six)
		}},
		{"the same end twice", oracle.J3, func(s *story) { s.ended(4, up, 1, jobs.Succeeded) }},
		{"an end that is none, and the server agrees", oracle.J3, func(s *story) {
			s.ended(6.5, late, 1, jobs.InProgress)
			x := s.execution(late, 1)
			x.Status, x.VersionNumber = jobs.InProgress, 2
		}},
		{"times out in the queue", oracle.J3, func(s *story) {
			x := s.execution(late, 1)
			x.Status, x.VersionNumber = jobs.TimedOut, 2
		}},
		{"begins in progress", oracle.J3, func(s *story) {
			s.sight(5.05, away, s.identity(2, 5), jobs.InProgress, 1, five)
		}},
		{"ends twice", oracle.J3, func(s *story) { s.ended(4, up, 1, jobs.Canceled) }},
		{"ends as something else", oracle.J3, func(s *story) {
			s.ended(3.105, up, 1, jobs.Removed)
			s.replace("up 1 ended", 0)
		}},
		{"ends in progress", oracle.J3, func(s *story) { s.ended(6.5, late, 1, jobs.InProgress) }},
	}
}

func durableMutants() []mutant {
	return []mutant{
		{"the group is lost", oracle.D1, func(s *story) { s.state.Groups = nil }},
		{"the job is lost", oracle.D1, func(s *story) { s.state.Jobs = nil }},
		{"the job is lost before anything happened", oracle.D1, func(s *story) {
			s.lines = nil
			s.state = oracle.State{At: s.at(8), Groups: []oracle.GroupState{{Name: group, Query: "*"}}}
		}},
		{"an acknowledged execution is lost", oracle.D1, func(s *story) {
			s.state.Jobs[0].Executions = s.state.Jobs[0].Executions[1:]
		}},
		{"another execution stands in its place", oracle.D1, func(s *story) { s.execution(up, 1).QueuedAt = s.at(3) }},
		{"an acknowledged success is in progress again", oracle.D1, func(s *story) {
			x := s.execution(up, 1)
			x.Status, x.VersionNumber = jobs.InProgress, 3
		}},
		{"an acknowledged success is in progress under its version", oracle.D1, func(s *story) {
			s.execution(up, 1).Status = jobs.InProgress
		}},
		{"an acknowledged version is lost", oracle.D1, func(s *story) {
			s.report(6.3, late, s.identity(1, 6.105), jobs.InProgress, 2, oracle.Release{}, five)
		}},
		{"a shadow goes back", oracle.D1, func(s *story) { s.device(up).ShadowVersion = 2 }},
		{"a shadow says what was before", oracle.D1, func(s *story) { s.device(up).Reported = "5" }},
		{"an atomic success did not reach the shadow", oracle.D1, func(s *story) { s.device(away).Reported = "5" }},
		{"a published end is lost", oracle.D1, func(s *story) {
			list := &s.state.Jobs[0].Executions
			*list = slices.DeleteFunc(*list, func(x oracle.ExecutionState) bool { return x.Thing == away && x.Number == 1 })
		}},
	}
}

func deviceMutants() []mutant {
	return []mutant{
		{"installed twice", oracle.A4, func(s *story) { s.install(3.3, up, s.identity(1, 2.4), six, false) }},
		{"success without the new version", oracle.A5, func(s *story) {
			s.report(3.1, up, s.identity(1, 2.4), jobs.Succeeded, 4, six, five)
		}},
		{"success under a wrong name", oracle.A5, func(s *story) {
			s.report(3.1, up, s.identity(1, 2.4), jobs.Succeeded, 4, oracle.Release{Version: "6", Seq: 1}, six)
		}},
		{"failure that was not rolled back", oracle.A5, func(s *story) {
			s.report(3.7, bad, s.identity(1, 2.4), jobs.Failed, 3, oracle.Release{}, six)
		}},
		{"refusal that changed something", oracle.A5, func(s *story) {
			s.report(3.7, bad, s.identity(1, 2.4), jobs.Rejected, 3, oracle.Release{}, six)
		}},
		{"a report of a version that does not run", oracle.A5, func(s *story) { s.tell(4, up, five, six, 4) }},
		{"a report of a version on trial", oracle.A5, func(s *story) {
			s.add("trial", func(o *oracle.Oracle, _ string) {
				o.Tell(oracle.Told{At: s.at(3.05), Thing: up, Claimed: six, Running: six, Trial: true})
			})
		}},
		{"the shadow says something else in the end", oracle.A5, func(s *story) {
			s.device(bad).Running = six
		}},
		{"the shadow alone says something else in the end", oracle.A5, func(s *story) { s.device(bad).Reported = "4" }},
		{"the attribute says something else in the end", oracle.A5, func(s *story) {
			s.state.Things[0].Attributes["softwareVersion"] = "5"
		}},
	}
}

func connectionMutants() []mutant {
	return []mutant{
		{"a lost connection that the server does not see", oracle.G2, func(s *story) { s.device(bad).Connected = false }},
		{"a lost connection that is never indexed", oracle.G2, func(s *story) {
			s.drop("late online true", 0) // the world has lost it; index, members and events agree that it is there
			s.device(late).Connected = false
		}},
		{"a version that is never indexed", oracle.G2, func(s *story) {
			s.device(bad).Running = six // idle and connected: it has said so
		}},
		{"a connection that the server does not see", oracle.G2, func(s *story) { s.state.Things[0].Connected = false }},
		{"a connected thing that the server does not know", oracle.G2, func(s *story) { s.state.Things = s.state.Things[1:] }},
		{"a thing that dials without a pause", oracle.A7, func(s *story) {
			for i := range 100 {
				s.dial(1+float64(i)/10, up)
			}
		}},
		{"a storm that comes back at once", oracle.A7, func(s *story) { s.storm(20, 100*time.Millisecond) }},
		{"a storm that comes back too fast", oracle.A7, func(s *story) { s.storm(20, 1500*time.Millisecond) }},
	}
}

func TestMutants(t *testing.T) {
	caughtBy := map[string]int{}
	for _, m := range mutants() {
		t.Run(m.caught+" "+m.name, func(t *testing.T) {
			s := newStory()
			m.mutate(s)
			for _, r := range s.judge() {
				if r.Name != m.caught {
					continue
				}
				if r.OK() {
					t.Errorf("%s does not notice", r.Name)
				}
				for _, v := range r.Violations {
					if v.What == "" || v.At.IsZero() || v.Replay != "again" {
						t.Errorf("violation %+v does not say what, when and how to see it again", v)
					}
				}
			}
		})
		caughtBy[m.caught]++
	}
	for _, name := range []string{oracle.G1, oracle.G2, oracle.G3, oracle.G4, oracle.G5, oracle.J1, oracle.J2, oracle.J3, oracle.D1, oracle.A4, oracle.A5, oracle.A7} {
		if caughtBy[name] == 0 {
			t.Errorf("no mutant breaks %s", name)
		}
	}
}

// TestWhatIsNoViolation: what an observer must not take for one.
func TestWhatIsNoViolation(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *story)
	}{
		{"an event that is delivered twice", func(s *story) {
			i := s.find("up added", 0)
			again := s.lines[i]
			id := "event-" + "twice"
			s.lines[i].see = func(o *oracle.Oracle, _ string) { again.see(o, id); again.see(o, id) }
		}},
		{"a thing that another fleet brought in", func(s *story) {
			s.state.Things = append(s.state.Things, oracle.Thing{Name: "other", Attributes: map[string]string{"softwareVersion": "6"}})
		}},
		{"events that were missed in a gap", func(s *story) {
			s.drop("up removed", 0)
			s.add("restart", func(o *oracle.Oracle, _ string) {
				o.Epoch(s.at(7))
				o.List(s.at(7.5), group, []protocol.ThingName{bad, late})
			})
		}},
		{"a group that is built again for a changed query", func(s *story) {
			s.describe(7, 2, "REBUILDING")
			s.describe(7.1, 2, "ACTIVE")
		}},
		{"a report whose answer was lost", func(s *story) { s.drop("up SUCCEEDED acknowledged", 0) }},
		{"an unacknowledged shadow report that counted", func(s *story) {
			s.drop("up told 6", 0)
		}},
		{"an execution that its thing held back for a rate", func(s *story) {
			s.state.Jobs[0].PerMinute = 1
			s.state.Jobs[0].Executions = s.state.Jobs[0].Executions[:4]
		}},
		{"a thing that is off", func(s *story) {
			d := s.device(bad)
			d.Connected, d.Running = false, oracle.Release{}
			for i := range s.state.Things {
				if s.state.Things[i].Name == bad {
					s.state.Things[i].Connected, s.state.Things[i].Groups = false, nil
				}
			}
			s.online(7, bad, false)
			s.member(7, bad, false)
			s.state.Groups[0].Members = slices.DeleteFunc(s.state.Groups[0].Members, func(n protocol.ThingName) bool { return n == bad })
		}},
		{"a storm that ebbs", func(s *story) { s.storm(20, 4*time.Second) }},
		{"few that come back together", func(s *story) {
			s.add("storm", func(o *oracle.Oracle, _ string) { o.Storm(oracle.Storm{Back: s.at(20), Things: 3}) })
			s.dial(20, up)
			s.dial(20, away)
			s.dial(20, bad)
		}},
		{"a thing that is nowhere yet", func(s *story) {
			s.state.Devices = append(s.state.Devices, oracle.DeviceState{Thing: "later", Idle: true})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStory()
			c.change(s)
			for _, r := range s.judge() {
				for _, v := range r.Violations {
					t.Errorf("%s: %s", r.Name, v.What)
				}
			}
		})
	}
}
