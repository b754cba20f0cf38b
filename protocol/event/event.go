// Package event holds the payloads of the service's events: presence,
// membership, registry and job events (AWS IoT reference 5, 8 and 10.2).
// They are plain values; who sends them and when is the fleet side's affair.
package event

import "github.com/muster-iot/muster/protocol/jobs"

// Type is a key of the event configuration: an event family that an operator
// switches on or off. Presence events have none: they are always on.
type Type string

// The families of AWS IoT reference 5, in the order in which they are listed.
const (
	Thing                Type = "THING"
	ThingGroup           Type = "THING_GROUP"
	ThingType            Type = "THING_TYPE"
	ThingGroupMembership Type = "THING_GROUP_MEMBERSHIP"
	ThingGroupHierarchy  Type = "THING_GROUP_HIERARCHY"
	ThingTypeAssociation Type = "THING_TYPE_ASSOCIATION"
	Job                  Type = "JOB"
	JobExecution         Type = "JOB_EXECUTION"
	PolicyChange         Type = "POLICY"
	CertificateChange    Type = "CERTIFICATE"
	CACertificateChange  Type = "CA_CERTIFICATE"
)

// Types lists every family.
var Types = []Type{
	Thing, ThingGroup, ThingType, ThingGroupMembership, ThingGroupHierarchy, ThingTypeAssociation,
	Job, JobExecution, PolicyChange, CertificateChange, CACertificateChange,
}

// Presence says that a client connected or disconnected. The two events of
// one session carry the same SessionIdentifier and VersionNumber.
type Presence struct {
	ClientID                  string `json:"clientId"`
	Timestamp                 int64  `json:"timestamp"` // milliseconds
	EventType                 string `json:"eventType"` // connected or disconnected
	ClientInitiatedDisconnect *bool  `json:"clientInitiatedDisconnect,omitempty"`
	DisconnectReason          string `json:"disconnectReason,omitempty"`
	SessionIdentifier         string `json:"sessionIdentifier"`
	PrincipalIdentifier       string `json:"principalIdentifier"`
	IPAddress                 string `json:"ipAddress,omitempty"`
	VersionNumber             int64  `json:"versionNumber"`
}

// Connected and Disconnected are the values of Presence.EventType.
const (
	Connected    = "connected"
	Disconnected = "disconnected"
)

// ConnectFailure says that a client was refused.
type ConnectFailure struct {
	ClientID             string `json:"clientId"`
	Timestamp            int64  `json:"timestamp"` // milliseconds
	EventType            string `json:"eventType"` // connect_failed
	PrincipalIdentifier  string `json:"principalIdentifier"`
	IPAddress            string `json:"ipAddress,omitempty"`
	ConnectFailureReason string `json:"connectFailureReason"`
}

// ConnectFailed is the value of ConnectFailure.EventType.
const ConnectFailed = "connect_failed"

// Subscription says that a client subscribed or unsubscribed.
type Subscription struct {
	ClientID            string   `json:"clientId"`
	Timestamp           int64    `json:"timestamp"` // milliseconds
	EventType           string   `json:"eventType"` // subscribed or unsubscribed
	SessionIdentifier   string   `json:"sessionIdentifier"`
	PrincipalIdentifier string   `json:"principalIdentifier"`
	Topics              []string `json:"topics"` // filters
}

// Subscribed and Unsubscribed are the values of Subscription.EventType.
const (
	Subscribed   = "subscribed"
	Unsubscribed = "unsubscribed"
)

// MembershipChange says that a thing joined or left a thing group.
type MembershipChange struct {
	EventType    string `json:"eventType"` // THING_GROUP_MEMBERSHIP_EVENT
	EventID      string `json:"eventId"`
	Timestamp    int64  `json:"timestamp"` // milliseconds
	Operation    string `json:"operation"` // ADDED or REMOVED
	AccountID    string `json:"accountId"`
	GroupARN     string `json:"groupArn"`
	GroupID      string `json:"groupId"`
	ThingARN     string `json:"thingArn"`
	ThingID      string `json:"thingId"`
	MembershipID string `json:"membershipId"`
}

// ThingChange says that a thing was created, updated or deleted.
type ThingChange struct {
	EventType     string            `json:"eventType"` // THING_EVENT
	EventID       string            `json:"eventId"`
	Timestamp     int64             `json:"timestamp"` // milliseconds
	Operation     string            `json:"operation"` // CREATED, UPDATED or DELETED
	AccountID     string            `json:"accountId"`
	ThingID       string            `json:"thingId"`
	ThingName     string            `json:"thingName"`
	VersionNumber int64             `json:"versionNumber"`
	ThingTypeName *string           `json:"thingTypeName"`
	Attributes    map[string]string `json:"attributes"`
}

// TypeChange says that a thing type was created, updated or deleted; its
// deprecation is an update.
type TypeChange struct {
	EventType            string   `json:"eventType"` // THING_TYPE_EVENT
	EventID              string   `json:"eventId"`
	Timestamp            int64    `json:"timestamp"` // milliseconds
	Operation            string   `json:"operation"` // CREATED, UPDATED or DELETED
	AccountID            string   `json:"accountId"`
	ThingTypeID          string   `json:"thingTypeId"`
	ThingTypeName        string   `json:"thingTypeName"`
	IsDeprecated         bool     `json:"isDeprecated"`
	DeprecationDate      *int64   `json:"deprecationDate"` // milliseconds
	SearchableAttributes []string `json:"searchableAttributes"`
	Description          string   `json:"description"`
}

// TypeAssociation says that a thing was given a thing type or lost it.
type TypeAssociation struct {
	EventType     string `json:"eventType"` // THING_TYPE_ASSOCIATION_EVENT
	EventID       string `json:"eventId"`
	Timestamp     int64  `json:"timestamp"` // milliseconds
	Operation     string `json:"operation"` // ADDED or REMOVED
	ThingID       string `json:"thingId"`
	ThingName     string `json:"thingName"`
	ThingTypeName string `json:"thingTypeName"`
}

// GroupChange says that a thing group was created, updated or deleted.
type GroupChange struct {
	EventType       string  `json:"eventType"` // THING_GROUP_EVENT
	EventID         string  `json:"eventId"`
	Timestamp       int64   `json:"timestamp"` // milliseconds
	Operation       string  `json:"operation"` // CREATED, UPDATED or DELETED
	AccountID       string  `json:"accountId"`
	ThingGroupID    string  `json:"thingGroupId"`
	ThingGroupName  string  `json:"thingGroupName"`
	VersionNumber   int64   `json:"versionNumber"`
	ParentGroupName *string `json:"parentGroupName"`
	ParentGroupID   *string `json:"parentGroupId"`
	Description     string  `json:"description"`
	// RootToParentThingGroups are the groups above, the root first; null when there are none.
	RootToParentThingGroups []GroupRef        `json:"rootToParentThingGroups"`
	Attributes              map[string]string `json:"attributes"`
	DynamicGroupMappingID   *string           `json:"dynamicGroupMappingId"`
}

// GroupRef names a thing group in an event of another one.
type GroupRef struct {
	GroupARN string `json:"groupArn"`
	GroupID  string `json:"groupId"`
}

// HierarchyChange says that a static thing group was put below another one,
// or is there no more.
type HierarchyChange struct {
	EventType      string `json:"eventType"` // THING_GROUP_HIERARCHY_EVENT
	EventID        string `json:"eventId"`
	Timestamp      int64  `json:"timestamp"` // milliseconds
	Operation      string `json:"operation"` // ADDED or REMOVED
	AccountID      string `json:"accountId"`
	ThingGroupID   string `json:"thingGroupId"` // of the parent
	ThingGroupName string `json:"thingGroupName"`
	ChildGroupID   string `json:"childGroupId"`
	ChildGroupName string `json:"childGroupName"`
}

// JobChange says that a job reached an end.
type JobChange struct {
	EventType         string         `json:"eventType"` // JOB
	EventID           string         `json:"eventId"`
	Timestamp         int64          `json:"timestamp"` // seconds
	Operation         string         `json:"operation"` // completed, canceled, deleted, ...
	JobID             string         `json:"jobId"`
	Status            string         `json:"status"`
	TargetSelection   string         `json:"targetSelection"`
	Targets           []string       `json:"targets"`
	Description       string         `json:"description,omitempty"`
	Comment           string         `json:"comment,omitempty"`
	CreatedAt         int64          `json:"createdAt"`             // milliseconds
	LastUpdatedAt     int64          `json:"lastUpdatedAt"`         // milliseconds
	CompletedAt       int64          `json:"completedAt,omitempty"` // milliseconds
	JobProcessDetails map[string]int `json:"jobProcessDetails,omitempty"`
}

// JobExecutionChange says that a job execution reached a terminal state.
type JobExecutionChange struct {
	EventType       string               `json:"eventType"` // JOB_EXECUTION
	EventID         string               `json:"eventId"`
	Timestamp       int64                `json:"timestamp"` // seconds
	Operation       string               `json:"operation"` // succeeded, failed, ...
	JobID           string               `json:"jobId"`
	ThingARN        string               `json:"thingArn"`
	Status          jobs.ExecutionStatus `json:"status"`
	StatusDetails   jobs.StatusDetails   `json:"statusDetails,omitempty"`
	ExecutionNumber int64                `json:"executionNumber"`
}
