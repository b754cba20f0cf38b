// Package topic builds and parses the reserved MQTT topics of AWS IoT (AWS
// IoT reference 5, 7.1, 8, 9.1 and 10.2). It knows no payloads and no broker.
package topic

import (
	"strings"

	"github.com/muster-iot/muster/protocol"
)

// Kind is what a device asks for by publishing to a reserved topic.
type Kind string

// The request kinds, in the names of the AWS operations that they equal.
const (
	GetPendingJobExecutions Kind = "GetPendingJobExecutions"
	StartNextJobExecution   Kind = "StartNextPendingJobExecution"
	DescribeJobExecution    Kind = "DescribeJobExecution"
	UpdateJobExecution      Kind = "UpdateJobExecution"
	GetShadow               Kind = "GetThingShadow"
	UpdateShadow            Kind = "UpdateThingShadow"
	DeleteShadow            Kind = "DeleteThingShadow"
)

// NextJob stands for the head of a thing's queue in place of a job id.
const NextJob = "$next"

const things = "$aws/things/"

// Topic is a parsed request topic.
type Topic struct {
	Kind  Kind
	Thing protocol.ThingName
	// JobID is set for describe and update; for describe it may be [NextJob].
	JobID protocol.JobID
	// Shadow is the name of a named shadow; empty is the classic one.
	Shadow string
}

// Reserved reports whether a topic belongs to the service: it begins with $.
func Reserved(topic string) bool { return strings.HasPrefix(topic, "$") }

// Parse reads a request topic. ok is false when the topic is no API operation.
func Parse(topic string) (t Topic, ok bool) {
	rest, found := strings.CutPrefix(topic, things)
	if !found {
		return Topic{}, false
	}
	part := strings.Split(rest, "/")
	t.Thing = protocol.ThingName(part[0])
	if len(part) < 3 || !t.Thing.Valid() {
		return Topic{}, false
	}
	switch part[1] {
	case "jobs":
		return parseJobs(t, part[2:])
	case "shadow":
		return parseShadow(t, part[2:])
	}
	return Topic{}, false
}

// parseJobs reads what follows jobs/. "get" alone is the list request even if
// a job has that id: jobs/get/get describes that job.
func parseJobs(t Topic, part []string) (Topic, bool) {
	if len(part) == 1 {
		t.Kind = map[string]Kind{"get": GetPendingJobExecutions, "start-next": StartNextJobExecution}[part[0]]
		return t, t.Kind != ""
	}
	if len(part) != 2 {
		return t, false
	}
	t.JobID = protocol.JobID(part[0])
	switch {
	case part[1] == "get" && (t.JobID.Valid() || t.JobID == NextJob):
		t.Kind = DescribeJobExecution
	case part[1] == "update" && t.JobID.Valid():
		t.Kind = UpdateJobExecution
	}
	return t, t.Kind != ""
}

func parseShadow(t Topic, part []string) (Topic, bool) {
	if len(part) == 3 && part[0] == "name" && ValidShadowName(part[1]) {
		t.Shadow, part = part[1], part[2:]
	}
	if len(part) != 1 {
		return t, false
	}
	t.Kind = map[string]Kind{"get": GetShadow, "update": UpdateShadow, "delete": DeleteShadow}[part[0]]
	return t, t.Kind != ""
}

// ValidShadowName reports whether s is 1 to 64 of [$a-zA-Z0-9:_-].
func ValidShadowName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("$:_-", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// Jobs returns the topic $aws/things/T/jobs/SUFFIX.
func Jobs(thing protocol.ThingName, suffix string) string {
	return things + string(thing) + "/jobs/" + suffix
}

// Job returns the topic $aws/things/T/jobs/J/SUFFIX.
func Job(thing protocol.ThingName, job protocol.JobID, suffix string) string {
	return Jobs(thing, string(job)+"/"+suffix)
}

// Shadow returns the topic of a shadow operation; name is empty for the classic shadow.
func Shadow(thing protocol.ThingName, name, suffix string) string {
	if name != "" {
		name = "name/" + name + "/"
	}
	return things + string(thing) + "/shadow/" + name + suffix
}

// The answers of the service stand below the request topic.
const (
	Accepted = "/accepted"
	Rejected = "/rejected"
)

// Membership returns the topic of a membership event; operation is added or removed.
func Membership(group protocol.ThingGroupName, thing protocol.ThingName, operation string) string {
	return "$aws/events/thingGroupMembership/thingGroup/" + string(group) + "/thing/" + string(thing) + "/" + operation
}

// Hierarchy returns the topic of a hierarchy event; operation is added or removed.
func Hierarchy(parent, child protocol.ThingGroupName, operation string) string {
	return "$aws/events/thingGroupHierarchy/thingGroup/" + string(parent) + "/childThingGroup/" + string(child) + "/" + operation
}

// TypeAssociation returns the topic of an event of a thing and its type; operation is added or removed.
func TypeAssociation(thing protocol.ThingName, typeName protocol.ThingTypeName, operation string) string {
	return "$aws/events/thingTypeAssociation/thing/" + string(thing) + "/thingType/" + string(typeName) + "/" + operation
}

// Presence returns the topic of a presence event; operation is connected,
// disconnected or connect_failed.
func Presence(clientID, operation string) string {
	return "$aws/events/presence/" + operation + "/" + clientID
}

// Subscriptions returns the topic of a subscription event; operation is
// subscribed or unsubscribed.
func Subscriptions(clientID, operation string) string {
	return "$aws/events/subscriptions/" + operation + "/" + clientID
}

// Event returns the topic of a registry or job event: family is thing,
// thingGroup, thingType, job or jobExecution, name its subject.
func Event(family, name, operation string) string {
	return "$aws/events/" + family + "/" + name + "/" + operation
}

// Own reports whether a topic or filter lies wholly inside
// $aws/things/<thing>/, which is what a device may use without a policy (rule 28).
func Own(thing protocol.ThingName, filter string) bool {
	rest, ok := strings.CutPrefix(filter, things+string(thing)+"/")
	return ok && rest != ""
}
