package oracle_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/event"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/protocol/topic"
	"github.com/muster-iot/muster/simulator/oracle"
)

const (
	group = protocol.ThingGroupName("on-5")
	job   = protocol.JobID("to-6")
	// up updates, away loses its connection first, bad has a version that
	// does not become healthy, late joins when the job is there already.
	up, away, bad, late = "up", "away", "bad", "late"
)

var (
	five = oracle.Release{Version: "5", Seq: 50000}
	six  = oracle.Release{Version: "6", Seq: 60000}
)

// line is one line of a story: something that is seen.
type line struct {
	name string
	see  func(o *oracle.Oracle, id string)
}

// story is a history in which everything holds, until a mutant changes it.
type story struct {
	begin time.Time
	lines []line
	state oracle.State
}

// at is a moment of the story.
func (s *story) at(seconds float64) time.Time {
	return s.begin.Add(time.Duration(seconds * float64(time.Second)))
}

func (s *story) add(name string, see func(o *oracle.Oracle, id string)) {
	s.lines = append(s.lines, line{name, see})
}

func arn(kind, name string) string {
	return protocol.ARN{Region: "us-east-1", Account: "123456789012", Kind: kind, Name: name}.String()
}

func message(o *oracle.Oracle, at time.Time, epoch int, topic string, v any) {
	payload, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	o.Message(at.Add(5*time.Millisecond), epoch, topic, payload)
}

func (s *story) online(t float64, thing string, connected bool) {
	s.add(fmt.Sprintf("%s online %t", thing, connected), func(o *oracle.Oracle, _ string) {
		kind := event.Disconnected
		if connected {
			kind = event.Connected
		}
		message(o, s.at(t), 1, topic.Presence(thing, kind), event.Presence{ClientID: thing, Timestamp: s.at(t).UnixMilli(), EventType: kind})
	})
}

func (s *story) dial(t float64, thing string) {
	s.add(thing+" dials", func(o *oracle.Oracle, _ string) {
		o.Dial(oracle.Attempt{At: s.at(t), Thing: protocol.ThingName(thing)}, 5*time.Second)
	})
}

// storm cuts off 200 things, which come back within a time, all at the same
// distance.
func (s *story) storm(t float64, within time.Duration) {
	s.add("storm", func(o *oracle.Oracle, _ string) { o.Storm(oracle.Storm{Back: s.at(t), Things: 200}) })
	for i := range 200 {
		s.dial(t+within.Seconds()*float64(i)/200, fmt.Sprintf("other-%d", i))
	}
}

func (s *story) member(t float64, thing string, added bool) { s.memberIn(1, t, thing, added) }

func (s *story) memberIn(epoch int, t float64, thing string, added bool) {
	word := map[bool]string{true: "added", false: "removed"}[added]
	s.add(thing+" "+word, func(o *oracle.Oracle, id string) {
		message(o, s.at(t), epoch, topic.Membership(group, protocol.ThingName(thing), word), event.MembershipChange{
			EventID: id, Timestamp: s.at(t).UnixMilli(), Operation: map[bool]string{true: "ADDED", false: "REMOVED"}[added],
			GroupARN: arn(protocol.KindThingGroup, string(group)), ThingARN: arn(protocol.KindThing, thing),
		})
	})
}

func (s *story) describe(t float64, version int64, status string) {
	s.add("described "+status, func(o *oracle.Oracle, _ string) {
		o.Describe(oracle.Status{Asked: s.at(t), Group: group, Version: version, Status: status})
	})
}

func (s *story) ended(t float64, thing string, number int64, status jobs.ExecutionStatus) {
	s.add(fmt.Sprintf("%s %d ended", thing, number), func(o *oracle.Oracle, id string) {
		message(o, s.at(t), 1, topic.Event("jobExecution", string(job), "x"), event.JobExecutionChange{
			EventID: id, JobID: string(job), ThingARN: arn(protocol.KindThing, thing), Status: status, ExecutionNumber: number,
		})
	})
}

func (s *story) identity(number int64, queued float64) oracle.Identity {
	return oracle.Identity{Job: job, Number: number, QueuedAt: s.at(queued).Unix()}
}

func (s *story) sight(t float64, thing string, id oracle.Identity, status jobs.ExecutionStatus, version int64, running oracle.Release) {
	s.add(fmt.Sprintf("%s sees %s", thing, status), func(o *oracle.Oracle, _ string) {
		o.Sight(oracle.Sighting{At: s.at(t), Thing: protocol.ThingName(thing), Identity: id, Status: status, VersionNumber: version, Running: running})
	})
}

func (s *story) report(t float64, thing string, id oracle.Identity, status jobs.ExecutionStatus, version int64, claimed, running oracle.Release) {
	r := oracle.Report{At: s.at(t), Thing: protocol.ThingName(thing), Identity: id, Status: status, Claimed: claimed, Running: running}
	s.add(fmt.Sprintf("%s reports %s", thing, status), func(o *oracle.Oracle, _ string) { o.Report(r) })
	s.add(fmt.Sprintf("%s %s acknowledged", thing, status), func(o *oracle.Oracle, _ string) {
		a := r
		a.At, a.VersionNumber, a.Acknowledged = s.at(t+0.01), version, true
		o.Report(a)
	})
}

func (s *story) tell(t float64, thing string, claimed, running oracle.Release, shadow int64) {
	told := oracle.Told{At: s.at(t), Thing: protocol.ThingName(thing), Claimed: claimed, Running: running}
	s.add(thing+" tells "+claimed.Version, func(o *oracle.Oracle, _ string) { o.Tell(told) })
	s.add(thing+" told "+claimed.Version, func(o *oracle.Oracle, _ string) {
		a := told
		a.At, a.ShadowVersion, a.Acknowledged = s.at(t+0.01), shadow, true
		o.Tell(a)
	})
}

func (s *story) install(t float64, thing string, id oracle.Identity, to oracle.Release, back bool) {
	s.add(thing+" installs "+to.Version, func(o *oracle.Oracle, _ string) {
		o.Install(oracle.Install{At: s.at(t), Thing: protocol.ThingName(thing), Identity: id, To: to, Back: back})
	})
}

// newStory tells of a roll-out in which everything holds.
func newStory() *story {
	s := &story{begin: time.Now().Truncate(time.Second)}
	for _, thing := range []string{up, away, bad} {
		s.dial(0.9, thing)
		s.online(1, thing, true)
		s.tell(1.1, thing, five, five, 1)
		s.member(1.2, thing, true)
	}
	s.describe(2.2, 1, "BUILDING")
	s.describe(2.3, 1, "ACTIVE")
	id := s.identity(1, 2.4)
	s.sight(2.5, up, id, jobs.Queued, 1, five)
	s.sight(2.6, up, id, jobs.InProgress, 2, five)
	s.report(2.7, up, id, jobs.InProgress, 3, oracle.Release{}, five)
	s.install(3, up, id, six, false)
	s.report(3.1, up, id, jobs.Succeeded, 4, six, six)
	s.ended(3.105, up, 1, jobs.Succeeded)
	s.member(3.105, up, false)
	s.tell(3.2, up, six, six, 3)

	s.online(2.8, away, false)
	s.member(2.8, away, false)
	s.ended(2.8, away, 1, jobs.Removed)
	s.online(5, away, true)
	s.member(5, away, true)
	second := s.identity(2, 5)
	s.sight(5.1, away, second, jobs.InProgress, 2, five)
	s.install(5.3, away, second, six, false)
	s.report(5.5, away, second, jobs.Succeeded, 3, six, six)
	s.ended(5.505, away, 2, jobs.Succeeded)
	s.member(5.505, away, false)

	s.sight(2.6, bad, id, jobs.InProgress, 2, five)
	s.install(3, bad, id, six, false)
	s.install(3.5, bad, id, five, true)
	s.report(3.7, bad, id, jobs.Failed, 3, oracle.Release{}, five)
	s.ended(3.705, bad, 1, jobs.Failed)

	s.online(6, late, true)
	s.tell(6.1, late, five, five, 1)
	s.member(6.105, late, true)
	s.sight(6.2, late, s.identity(1, 6.105), jobs.Queued, 1, five)

	s.state = s.ending()
	return s
}

// ending is what the server answers in the end.
func (s *story) ending() oracle.State {
	thing := func(name, version string, groups ...string) oracle.Thing {
		return oracle.Thing{
			Name: protocol.ThingName(name), Groups: groups, Attributes: map[string]string{"softwareVersion": version}, Indexed: true, Connected: true, Since: s.at(1).UnixMilli(),
		}
	}
	device := func(name string, runs oracle.Release, idle bool, shadow int64) oracle.DeviceState {
		return oracle.DeviceState{
			Thing: protocol.ThingName(name), Running: runs, Idle: idle, Connected: true, ShadowVersion: shadow, Reported: runs.Version,
		}
	}
	execution := func(name string, number int64, status jobs.ExecutionStatus, queued, started float64, version int64) oracle.ExecutionState {
		x := oracle.ExecutionState{
			Thing: protocol.ThingName(name), Number: number, Status: status, QueuedAt: s.at(queued).Truncate(time.Second), VersionNumber: version,
		}
		if started > 0 {
			x.StartedAt = s.at(started).Truncate(time.Second)
		}
		return x
	}
	return oracle.State{
		At: s.at(8),
		Groups: []oracle.GroupState{{
			Name: group, Query: "connectivity.connected:true AND attributes.softwareVersion:5", Status: "ACTIVE", Members: []protocol.ThingName{bad, late},
		}},
		Things: []oracle.Thing{thing(up, "6"), thing(away, "6"), thing(bad, "5", string(group)), thing(late, "5", string(group))},
		Jobs: []oracle.JobState{{
			ID: job, CreatedAt: s.at(2.4), Groups: []protocol.ThingGroupName{group},
			Executions: []oracle.ExecutionState{
				execution(up, 1, jobs.Succeeded, 2.4, 2.6, 4),
				execution(away, 1, jobs.Removed, 2.4, 0, 2),
				execution(away, 2, jobs.Succeeded, 5, 5.1, 3),
				execution(bad, 1, jobs.Failed, 2.4, 2.6, 3),
				execution(late, 1, jobs.Queued, 6.105, 0, 1),
			},
		}},
		Devices: []oracle.DeviceState{device(up, six, true, 3), device(away, six, true, 2), device(bad, five, true, 1), device(late, five, false, 1)},
	}
}

// judge tells the story to an oracle and asks it.
func (s *story) judge() []oracle.Result {
	o := oracle.New()
	o.Epoch(s.begin)
	for i, l := range s.lines {
		l.see(o, fmt.Sprint("event-", i))
	}
	o.Watch(group, job)
	return o.Judge(s.state, "again")
}

// find returns the place of the n-th line of a name, counted from 0.
func (s *story) find(name string, n int) int {
	for i, l := range s.lines {
		if l.name == name {
			if n == 0 {
				return i
			}
			n--
		}
	}
	panic("the story has no line " + name)
}

func (s *story) drop(name string, n int) {
	i := s.find(name, n)
	s.lines = slices.Delete(s.lines, i, i+1)
}

// replace puts the line that was added last in place of another.
func (s *story) replace(name string, n int) {
	i, last := s.find(name, n), len(s.lines)-1
	s.lines[i] = s.lines[last]
	s.lines = s.lines[:last]
}

func (s *story) execution(thing string, number int64) *oracle.ExecutionState {
	list := s.state.Jobs[0].Executions
	i := slices.IndexFunc(list, func(x oracle.ExecutionState) bool { return string(x.Thing) == thing && x.Number == number })
	return &list[i]
}

func (s *story) device(thing string) *oracle.DeviceState {
	i := slices.IndexFunc(s.state.Devices, func(d oracle.DeviceState) bool { return string(d.Thing) == thing })
	return &s.state.Devices[i]
}

func TestEverythingHolds(t *testing.T) {
	for _, r := range newStory().judge() {
		if r.Checks == 0 {
			t.Errorf("%s compared nothing", r.Name)
		}
		if r.Title == "" {
			t.Errorf("%s has no title", r.Name)
		}
		for _, v := range r.Violations {
			t.Errorf("%s: %s", r.Name, v.What)
		}
	}
}
