package group

// Status is how far the membership of a dynamic group is evaluated (AWS IoT
// reference 4.2). Its values are the wire names.
type Status string

const (
	// Building lasts from creation until every thing was scanned once. What
	// was found so far are members.
	Building Status = "BUILDING"
	// Active is evaluated in full and kept right by every change.
	Active Status = "ACTIVE"
	// Rebuilding lasts, after the query or the index changed, until every
	// thing was scanned again. Old members leave and new ones join meanwhile.
	Rebuilding Status = "REBUILDING"
)

// Event is what moves a group from one status to another.
type Event string

const (
	// Created says that the group was made.
	Created Event = "created"
	// Scanned says that every thing was scanned for the current generation.
	Scanned Event = "scanned"
	// QueryChanged says that the group has a new query.
	QueryChanged Event = "query changed"
	// IndexReconfigured says that documents may have gained or lost fields.
	IndexReconfigured Event = "index reconfigured"
)

// absent is the status of a group that does not exist.
const absent Status = ""

// transition is a row of the table.
type transition struct {
	from Status
	on   Event
	to   Status
}

// transitions is the whole table; what is not in it cannot happen.
//
// A group whose first scan is not over stays BUILDING whatever changes: its
// scan begins anew. An ACTIVE group is never Scanned: that scan was
// finished, or overtaken by a change and is void.
func transitions() []transition {
	return []transition{
		{absent, Created, Building},
		{Building, Scanned, Active},
		{Building, QueryChanged, Building},
		{Building, IndexReconfigured, Building},
		{Active, QueryChanged, Rebuilding},
		{Active, IndexReconfigured, Rebuilding},
		{Rebuilding, Scanned, Active},
		{Rebuilding, QueryChanged, Rebuilding},
		{Rebuilding, IndexReconfigured, Rebuilding},
	}
}

// Next returns the status after an event. It is not ok, and the status the
// same, if the event cannot happen in it. The empty status is that of a group
// before it is created.
func (s Status) Next(e Event) (next Status, ok bool) {
	for _, t := range transitions() {
		if t.from == s && t.on == e {
			return t.to, true
		}
	}
	return s, false
}

// NeedsScan reports whether things have yet to be scanned.
func (s Status) NeedsScan() bool { return s == Building || s == Rebuilding }
