package registry

import (
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
)

// ThingType is a kind of thing, which things can be given (AWS IoT reference
// 2.3). Slices are never changed in place.
type ThingType struct {
	Name protocol.ThingTypeName `json:"name"`
	ID   string                 `json:"id"`
	TypeProperties
	Status       TypeStatus `json:"status"`
	CreatedAt    time.Time  `json:"createdAt"`
	DeprecatedAt time.Time  `json:"deprecatedAt,omitzero"`
}

// TypeProperties are what an operator says about a thing type.
type TypeProperties struct {
	Description string `json:"description,omitempty"`
	// Searchable names the attributes that things of the type are looked for by.
	Searchable []string `json:"searchable,omitempty"`
	// Propagating says what the MQTT 5 messages of things of the type are to
	// carry as user properties. It is stored and answered; messages carry nothing yet.
	Propagating []Propagating `json:"propagating,omitempty"`
}

// Propagating is a user property, filled from an attribute of the thing or
// from its connection: one of the two.
type Propagating struct {
	UserPropertyKey     string `json:"key"`
	ThingAttribute      string `json:"attribute,omitempty"`
	ConnectionAttribute string `json:"connection,omitempty"`
}

// maxSearchable bounds the searchable attributes of a thing type, and
// deprecatedFor is how long one stays after its deprecation (AWS IoT reference 2.1 and 2.3).
const (
	maxSearchable = 3
	deprecatedFor = 5 * time.Minute
)

// NewThingType makes an active thing type. Errors are of code InvalidRequest.
func NewThingType(name protocol.ThingTypeName, id string, p TypeProperties, now time.Time) (ThingType, error) {
	if !name.Valid() {
		return ThingType{}, protocol.Errorf(protocol.InvalidRequest, "thing type name %q is not 1 to 128 of [a-zA-Z0-9:_-]", name)
	}
	t := ThingType{Name: name, ID: id, TypeProperties: p, Status: TypeActive, CreatedAt: now}
	return t, t.check()
}

func (t ThingType) check() error {
	if n := len(t.Searchable); n > maxSearchable {
		return protocol.Errorf(protocol.InvalidRequest, "thing type %q would have %d searchable attributes; the limit is %d", t.Name, n, maxSearchable)
	}
	for _, name := range t.Searchable {
		if !AttributeForm(name, "") {
			return protocol.Errorf(protocol.InvalidRequest, "thing type %q: %q is no attribute name", t.Name, name)
		}
	}
	for _, p := range t.Propagating {
		if p.UserPropertyKey == "" || (p.ThingAttribute == "") == (p.ConnectionAttribute == "") {
			return protocol.Errorf(protocol.InvalidRequest, "thing type %q: a propagating attribute needs userPropertyKey and one of thingAttribute and connectionAttribute", t.Name)
		}
	}
	return nil
}

// Same reports whether creating the type again with these properties would
// give the same type. The order of searchable attributes means nothing.
func (t ThingType) Same(p TypeProperties) bool {
	return t.Description == p.Description && slices.Equal(t.Propagating, p.Propagating) &&
		slices.Equal(sorted(t.Searchable), sorted(p.Searchable))
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// TypeUpdate is a change of a thing type; nil members stay as they are.
type TypeUpdate struct {
	Description *string
	Searchable  []string
	Propagating []Propagating
}

// Update returns the type after an operator's change.
func (t ThingType) Update(u TypeUpdate) (ThingType, error) {
	if u.Description != nil {
		t.Description = *u.Description
	}
	if u.Searchable != nil {
		t.Searchable = u.Searchable
	}
	if u.Propagating != nil {
		t.Propagating = u.Propagating
	}
	return t, t.check()
}

// TypeStatus says what a thing type is still good for.
type TypeStatus string

// The statuses of a thing type. On the wire a type is deprecated or not.
const (
	// TypeActive may be given to things.
	TypeActive TypeStatus = "ACTIVE"
	// TypeDeprecated stays with the things that have it and is given to no
	// other; it may be deleted after a while.
	TypeDeprecated TypeStatus = "DEPRECATED"
	// typeAbsent is the status of a type that was deleted.
	typeAbsent TypeStatus = ""
)

// TypeEvent is what happens to a thing type.
type TypeEvent string

// The events of a thing type.
const (
	TypeGiven     TypeEvent = "given to a thing"
	TypeUpdated   TypeEvent = "updated"
	TypeDeprecate TypeEvent = "deprecated"
	TypeRestore   TypeEvent = "restored"
	TypeDelete    TypeEvent = "deleted"
)

type typeTransition struct {
	from TypeStatus
	on   TypeEvent
	to   TypeStatus
}

// typeTransitions is the whole table; what is not in it is refused.
func typeTransitions() []typeTransition {
	return []typeTransition{
		{TypeActive, TypeGiven, TypeActive},
		{TypeActive, TypeUpdated, TypeActive},
		{TypeActive, TypeDeprecate, TypeDeprecated},
		{TypeActive, TypeRestore, TypeActive},
		{TypeDeprecated, TypeUpdated, TypeDeprecated},
		{TypeDeprecated, TypeDeprecate, TypeDeprecated},
		{TypeDeprecated, TypeRestore, TypeActive},
		{TypeDeprecated, TypeDelete, typeAbsent},
	}
}

// Next returns the status after an event. It is not ok, and the status the
// same, if the event cannot happen in it.
func (s TypeStatus) Next(e TypeEvent) (next TypeStatus, ok bool) {
	for _, t := range typeTransitions() {
		if t.from == s && t.on == e {
			return t.to, true
		}
	}
	return s, false
}

// CheckGive returns an InvalidRequest if no thing may be given the type any more.
func (t ThingType) CheckGive() error {
	if _, ok := t.Status.Next(TypeGiven); !ok {
		return protocol.Errorf(protocol.InvalidRequest, "thing type %q is deprecated: no other thing can have it", t.Name)
	}
	return nil
}

// Deprecate returns the type after its deprecation, or after that was undone.
// Deprecating once more keeps the date of the first time.
func (t ThingType) Deprecate(undo bool, now time.Time) ThingType {
	e := TypeDeprecate
	if undo {
		e = TypeRestore
	}
	next, _ := t.Status.Next(e) // neither is ever refused
	switch {
	case next == TypeActive:
		t.DeprecatedAt = time.Time{}
	case t.Status != TypeDeprecated:
		t.DeprecatedAt = now
	}
	t.Status = next
	return t
}

// CheckDelete returns an InvalidRequest if the type cannot be deleted: it is
// not deprecated, or not for long enough. Whether things have it is the caller's to know.
func (t ThingType) CheckDelete(now time.Time) error {
	if _, ok := t.Status.Next(TypeDelete); !ok {
		return protocol.Errorf(protocol.InvalidRequest, "thing type %q is not deprecated: deprecate it first, and delete it %v later", t.Name, deprecatedFor)
	}
	if at := t.DeprecatedAt.Add(deprecatedFor); now.Before(at) {
		return protocol.Errorf(protocol.InvalidRequest, "thing type %q was deprecated at %s: it can be deleted from %s on",
			t.Name, t.DeprecatedAt.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
	}
	return nil
}
