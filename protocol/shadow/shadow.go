// Package shadow is the device shadow document as a value: how an update is
// read, merged, compared and answered (AWS IoT reference, chapter 9).
//
// A shadow has two sections. "desired" is what an operator wants a thing to
// be, "reported" is what the thing says it is; their difference is the delta
// that the thing has to act on. One update flows through the package like this:
//
//	u, err := shadow.ParseUpdate(payload)    // 400, 413, 415
//	next, err := prev.Apply(u, now)          // 409, 413
//	... commit next ...
//	shadow.Accepted(u, next, now)            // to .../update/accepted
//	shadow.Delta(next, now, u.ClientToken)   // to .../update/delta, if it differs
//	shadow.Documents(prev, next, now, token) // to .../update/documents
//	shadow.Rejected(err, now)                // to .../update/rejected instead
//
// The package is pure: it reads no clock, keeps nothing and sends nothing.
// It knows neither the name of a shadow nor who may change it: addresses live
// in protocol/topic, permissions and storage on the fleet side.
//
// # Values
//
// Sections hold what encoding/json makes of JSON objects with UseNumber:
// map[string]any, []any, string, bool and json.Number, never float64. So a
// number keeps the text that the device wrote (1.10 stays 1.10 and 2^60
// stays exact) through storage, answers and mirrored attributes; numbers are
// compared by value only where a delta is formed. Timestamps in metadata are
// json.Number as well, whole seconds.
//
// Documents and updates are immutable values: the maps inside them are shared
// between versions of a document and must never be written to.
package shadow

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Document is a shadow as it is stored. The zero value is a shadow that never
// existed. A section is nil or has at least one key.
type Document struct {
	Desired  map[string]any `json:"desired,omitempty"`
	Reported map[string]any `json:"reported,omitempty"`
	// DesiredMeta and ReportedMeta mirror their section: objects as objects,
	// arrays as arrays with one entry per element, and every other value as
	// {"timestamp": seconds} of its last write.
	DesiredMeta  map[string]any `json:"desiredMeta,omitempty"`
	ReportedMeta map[string]any `json:"reportedMeta,omitempty"`
	// Version counts accepted updates from 1. It survives a delete, so that a
	// shadow made anew continues from the old number.
	Version int64 `json:"version"`
	// Deleted marks a record that is kept for its Version only.
	Deleted bool `json:"deleted,omitempty"`
}

// Exists reports whether there is a shadow: it was updated and not deleted
// since. A shadow with both sections removed still exists.
func (d Document) Exists() bool { return d.Version > 0 && !d.Deleted }

// UnmarshalJSON reads a stored record and keeps the text of its numbers.
func (d *Document) UnmarshalJSON(data []byte) error {
	type record Document // without this method
	var r record
	if err := decode(data, &r); err != nil {
		return err
	}
	*d = Document(r)
	return nil
}

// decode reads exactly one JSON value, numbers as json.Number.
func decode(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}
