package group

import (
	"time"

	"github.com/muster-iot/muster/protocol"
)

// Group is the stored record of a thing group, static or dynamic (AWS IoT
// reference 2.4 and 4.1).
type Group struct {
	Name protocol.ThingGroupName `json:"name"`
	// ID is a UUID, given at creation and never again.
	ID string `json:"id"`
	// Version counts updates of the group from 1.
	Version     int64             `json:"version"`
	Description string            `json:"description,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	CreatedAt   time.Time         `json:"createdAt"`

	// Parent is the group that a static group lies below, for ever; it is empty
	// at the root of a hierarchy.
	Parent protocol.ThingGroupName `json:"parent,omitempty"`

	// What follows is of dynamic groups alone.

	// QueryString is the query as the user wrote it, QueryVersion the version
	// of its language, IndexName the index that it asks.
	QueryString  string `json:"queryString,omitempty"`
	QueryVersion string `json:"queryVersion,omitempty"`
	IndexName    string `json:"indexName,omitempty"`
	Status       Status `json:"status,omitempty"`
	// Generation grows by one with every change of the query; a scan that was
	// begun for an older generation says nothing about this one.
	Generation int64 `json:"generation,omitempty"`
}

// Dynamic reports whether a query decides about the members.
func (g Group) Dynamic() bool { return g.QueryString != "" }

// Membership says that a thing joined or left a thing group.
type Membership struct {
	Thing  protocol.ThingName
	Group  protocol.ThingGroupName
	Joined bool // false: left
}
