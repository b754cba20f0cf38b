// Package registry holds what a thing is: its name, type and attributes (AWS
// IoT reference 2.1 and 2.2). It is pure: a change takes a thing and returns a
// thing. It never decides who may ask; the engine owns the things themselves.
package registry

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/muster-iot/muster/protocol"
)

// Thing is a registered thing. Maps are never changed in place.
type Thing struct {
	Name protocol.ThingName `json:"name"`
	ID   string             `json:"id"`
	// TypeName is empty when the thing has no type.
	TypeName   protocol.ThingTypeName `json:"type,omitempty"`
	Attributes map[string]string      `json:"attributes,omitempty"`
	// Mirrored names the attributes whose value came from the shadow's reported section (rule 2).
	Mirrored  map[string]bool `json:"mirrored,omitempty"`
	Version   int64           `json:"version"`
	CreatedAt time.Time       `json:"createdAt"`
}

var (
	attributeName  = regexp.MustCompile(`^[a-zA-Z0-9_.,@/:#-]{1,128}$`)
	attributeValue = regexp.MustCompile(`^[a-zA-Z0-9_.,@/:#=\[\]-]{0,800}$`)
)

// AttributeForm reports whether name and value may be an attribute.
func AttributeForm(name, value string) bool {
	return attributeName.MatchString(name) && attributeValue.MatchString(value)
}

// AttributeLimits bound the attributes of things without a thing type and of
// those with one; mirrored ones are not counted.
type AttributeLimits struct{ Untyped, Typed int }

func (l AttributeLimits) of(t Thing) int {
	if t.TypeName == "" {
		return l.Untyped
	}
	return l.Typed
}

// New makes a thing of version 1; attributes with empty values are not stored.
// Errors are of code InvalidRequest.
func New(name protocol.ThingName, id string, typeName protocol.ThingTypeName, attributes map[string]string, limits AttributeLimits, now time.Time) (Thing, error) {
	t := Thing{Name: name, ID: id, TypeName: typeName, CreatedAt: now}
	if !name.Valid() {
		return t, protocol.Errorf(protocol.InvalidRequest, "thing name %q is not 1 to 128 of [a-zA-Z0-9:_-]", name)
	}
	return t.Update(Update{Attributes: attributes}, limits)
}

// Same reports whether creating the thing again with this type and these attributes
// would give the same thing: then creation is idempotent (AWS IoT reference 2.2).
//
// Mirrored attributes may be left out, or given as they are.
func (t Thing) Same(typeName protocol.ThingTypeName, attributes map[string]string) bool {
	want := map[string]string{}
	for k, v := range attributes {
		if asMirrored := t.Mirrored[k] && t.Attributes[k] == v; v != "" && !asMirrored {
			want[k] = v
		}
	}
	return t.TypeName == typeName && maps.Equal(want, t.own())
}

// own returns the attributes that operators set.
func (t Thing) own() map[string]string {
	own := map[string]string{}
	for k, v := range t.Attributes {
		if !t.Mirrored[k] {
			own[k] = v
		}
	}
	return own
}

// maxAttributeBytes bounds the names and values of a thing's attributes
// together (AWS IoT reference 2.1).
const maxAttributeBytes = 47 * 1024

// size returns the bytes of the names and values that operators set.
func (t Thing) size() int {
	n := 0
	for k, v := range t.own() {
		n += len(k) + len(v)
	}
	return n
}

// Update is a change of a thing by an operator.
type Update struct {
	// Attributes to set; an empty value removes the attribute. Nil changes none.
	Attributes map[string]string
	// Merge keeps the attributes that are not named. Without it they are
	// replaced; mirrored ones belong to the device and stay.
	Merge bool
	// TypeName, if set, is the thing's type from now on; empty takes its type.
	TypeName *protocol.ThingTypeName
	// ExpectedVersion, if set, must be the thing's version.
	ExpectedVersion *int64
}

// Update returns the thing after an operator's change: version + 1.
// A change of attributes or of the type must leave the attributes within limits.
func (t Thing) Update(u Update, limits AttributeLimits) (Thing, error) {
	if err := t.CheckVersion(u.ExpectedVersion); err != nil {
		return t, err
	}
	if u.TypeName != nil {
		t.TypeName = *u.TypeName
	}
	if u.Attributes != nil {
		var err error
		if t, err = t.set(u); err != nil {
			return t, err
		}
	}
	if n, limit := len(t.own()), limits.of(t); n > limit && (u.Attributes != nil || u.TypeName != nil) {
		return t, protocol.Errorf(protocol.InvalidRequest, "thing %q would have %d attributes; the limit is %d", t.Name, n, limit)
	}
	t.Version++
	return t, nil
}

// set returns the thing with the attributes of an update.
func (t Thing) set(u Update) (Thing, error) {
	next := maps.Clone(t.Attributes)
	if next == nil || !u.Merge {
		next = map[string]string{}
		for k := range t.Mirrored {
			next[k] = t.Attributes[k]
		}
	}
	mirrored := maps.Clone(t.Mirrored)
	for _, k := range slices.Sorted(maps.Keys(u.Attributes)) {
		v := u.Attributes[k]
		if !AttributeForm(k, v) {
			return t, protocol.Errorf(protocol.InvalidRequest, "thing %q cannot have attribute %q=%q: names are up to 128 of [a-zA-Z0-9_.,@/:#-], values up to 800 of the same and [=[]]", t.Name, k, v)
		}
		delete(mirrored, k)
		if v == "" {
			delete(next, k)
		} else {
			next[k] = v
		}
	}
	t.Attributes, t.Mirrored = next, mirrored
	if size := t.size(); size > maxAttributeBytes {
		return t, protocol.Errorf(protocol.InvalidRequest, "the attributes of thing %q would have %d bytes; the limit is %d", t.Name, size, maxAttributeBytes)
	}
	return t, nil
}

// CheckVersion returns a VersionConflict when expected is set and not the thing's version.
func (t Thing) CheckVersion(expected *int64) error {
	if expected != nil && *expected != t.Version {
		return protocol.Errorf(protocol.VersionConflict, "thing %q has version %d, not the expected %d", t.Name, t.Version, *expected)
	}
	return nil
}

// Mirror copies the listed fields of an accepted shadow report into the
// thing's attributes (rule 2). reported holds only what the report contained:
// null removes a value that was mirrored, a value that is no legal attribute is not
// copied. The version stays. changed tells whether anything differs.
func (t Thing) Mirror(reported map[string]any, fields []string) (next Thing, changed bool) {
	for _, f := range fields {
		v, present := reported[f]
		if !present {
			continue
		}
		text, err := Mirrored(f, v)
		switch {
		case v == nil:
			if !t.Mirrored[f] {
				continue
			}
			t.Attributes, t.Mirrored = maps.Clone(t.Attributes), maps.Clone(t.Mirrored)
			delete(t.Attributes, f)
			delete(t.Mirrored, f)
			changed = true
		case err == nil && (t.Attributes[f] != text || !t.Mirrored[f]):
			t.Attributes, t.Mirrored = with(t.Attributes, f, text), with(t.Mirrored, f, true)
			changed = true
		}
	}
	return t, changed
}

func with[V any](m map[string]V, k string, v V) map[string]V {
	next := make(map[string]V, len(m)+1)
	maps.Copy(next, m)
	next[k] = v
	return next
}

// Text returns the literal text of a JSON string, number or boolean.
func Text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}
