package group

import (
	"time"

	"github.com/muster-iot/muster/protocol"
)

// Group is the stored record of a dynamic thing group (AWS IoT reference 4.1).
type Group struct {
	Name protocol.ThingGroupName `json:"name"`
	// ID is a UUID, given at creation and never again.
	ID string `json:"id"`
	// QueryString is the query as the user wrote it, QueryVersion the version
	// of its language, IndexName the index that it asks.
	QueryString  string `json:"queryString"`
	QueryVersion string `json:"queryVersion"`
	IndexName    string `json:"indexName"`
	// Version counts updates of the group from 1.
	Version     int64             `json:"version"`
	Status      Status            `json:"status"`
	Description string            `json:"description,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	CreatedAt   time.Time         `json:"createdAt"`
	// Generation grows by one with every change of the query; a scan that was
	// begun for an older generation says nothing about this one.
	Generation int64 `json:"generation"`
}

// Membership says that a thing joined or left a dynamic group.
type Membership struct {
	Thing  protocol.ThingName
	Group  protocol.ThingGroupName
	Joined bool // false: left
}
