package shadow

import (
	"encoding/json"
	"maps"
	"strconv"
	"time"
)

// Apply merges an update into the document by the rules of AWS IoT reference
// 9.2 and returns the next one; d itself is left as it was. Every accepted
// update, even one that changes nothing, raises the version by one.
//
// The error is an *Error: 409 when the update names another version than the
// current one (that of a shadow which does not exist is 0), 413 when it would
// make the state grow beyond [MaxState]. An update that leaves an
// over-sized state no larger than it was is accepted: it may be the way back.
func (d Document) Apply(u Update, now time.Time) (Document, error) {
	if u.fault != nil {
		return d, u.fault
	}
	next, current := d, d.Version
	if !d.Exists() { // only the counter of an earlier life goes on
		next, current = Document{Version: d.Version}, 0
	}
	if u.HasVersion && u.Version != current {
		return d, refused(conflict(), u)
	}
	next.Version++
	stamp := timestamp(now)
	if u.Clear {
		u.Desired, u.Reported = Section{Sent: true}, Section{Sent: true}
	}
	next.Desired, next.DesiredMeta = mergeSection(next.Desired, next.DesiredMeta, u.Desired, stamp)
	next.Reported, next.ReportedMeta = mergeSection(next.Reported, next.ReportedMeta, u.Reported, stamp)
	if size := next.stateSize(); size > MaxState && size > d.stateSize() && !u.own {
		return d, refused(tooLarge(), u)
	}
	return next, nil
}

func refused(e *Error, u Update) error {
	e.ClientToken = u.ClientToken
	return e
}

// mergeSection returns the section and its metadata after the update, nil when
// nothing is left in it.
func mergeSection(state, meta map[string]any, s Section, stamp map[string]any) (_, _ map[string]any) {
	switch {
	case !s.Sent:
		return state, meta
	case s.Fields == nil:
		return nil, nil
	}
	state, meta = mergeObject(state, meta, s.Fields, stamp)
	if len(state) == 0 {
		return nil, nil
	}
	return state, meta
}

// mergeObject merges fields over an object and its metadata and returns
// copies: nil removes, an object merges, everything else replaces.
func mergeObject(state, meta, fields, stamp map[string]any) (_, _ map[string]any) {
	state, meta = clone(state), clone(meta)
	for key, value := range fields {
		switch v := value.(type) {
		case nil:
			delete(state, key)
			delete(meta, key)
		case map[string]any:
			old, isObject := state[key].(map[string]any)
			oldMeta, _ := meta[key].(map[string]any)
			if !isObject {
				old, oldMeta = nil, nil
			}
			state[key], meta[key] = mergeObject(old, oldMeta, v, stamp)
		default:
			state[key], meta[key] = value, mirror(value, stamp)
		}
	}
	return state, meta
}

func clone(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return maps.Clone(m)
}

// timestamp is the metadata of a leaf written at the given time.
func timestamp(now time.Time) map[string]any {
	return map[string]any{"timestamp": json.Number(strconv.FormatInt(now.Unix(), 10))}
}

// mirror is the metadata of a value of which every leaf was written just now.
// Keys to be removed have none.
func mirror(value any, stamp map[string]any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, child := range v {
			if child != nil {
				out[key] = mirror(child, stamp)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = mirror(element, stamp)
		}
		return out
	}
	return stamp
}
