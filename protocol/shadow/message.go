package shadow

import (
	"bytes"
	"encoding/json"
	"time"
)

// accepted is the message of get/accepted and update/accepted.
type accepted struct {
	State       any    `json:"state"`
	Metadata    any    `json:"metadata"`
	Version     int64  `json:"version"`
	Timestamp   int64  `json:"timestamp"`
	ClientToken string `json:"clientToken,omitempty"`
}

// sections is a state, or the metadata of one.
type sections struct {
	Desired  any `json:"desired,omitempty"`
	Reported any `json:"reported,omitempty"`
	Delta    any `json:"delta,omitempty"`
}

// Accepted is the message of update/accepted, and the body of a successful
// UpdateThingShadow: what was sent, nulls included, with the metadata of the
// values written.
func Accepted(u Update, next Document, now time.Time) []byte {
	m := accepted{Version: next.Version, Timestamp: now.Unix(), ClientToken: u.ClientToken}
	stamp := timestamp(now)
	if u.Clear {
		m.Metadata = stamp
		return encode(m)
	}
	var state, meta sections
	state.Desired, meta.Desired = echo(u.Desired, stamp)
	state.Reported, meta.Reported = echo(u.Reported, stamp)
	m.State, m.Metadata = state, meta
	return encode(m)
}

// echo returns a section as it was sent and the metadata of what it wrote.
// Neither is shown for a section that was not sent, no metadata for one that
// was removed.
func echo(s Section, stamp map[string]any) (state, meta any) {
	switch {
	case !s.Sent:
		return nil, nil
	case s.Fields == nil:
		return json.RawMessage("null"), nil
	}
	return s.Fields, mirror(s.Fields, stamp)
}

// Delta is the message of update/delta: the whole difference of desired and
// reported. Without one it is not to be sent, and differs is false.
func Delta(next Document, now time.Time, clientToken string) (payload []byte, differs bool) {
	state, meta := next.Difference()
	if state == nil {
		return nil, false
	}
	return encode(struct {
		Version     int64  `json:"version"`
		Timestamp   int64  `json:"timestamp"`
		State       any    `json:"state"`
		Metadata    any    `json:"metadata"`
		ClientToken string `json:"clientToken,omitempty"`
	}{next.Version, now.Unix(), state, meta, clientToken}), true
}

// snapshot is one of the two documents of update/documents.
type snapshot struct {
	State    sections `json:"state"`
	Metadata sections `json:"metadata"`
	Version  int64    `json:"version"`
}

// Documents is the message of update/documents: the shadow before and after
// an update. One that did not exist before has version 0.
func Documents(prev, next Document, now time.Time, clientToken string) []byte {
	return encode(struct {
		Previous    snapshot `json:"previous"`
		Current     snapshot `json:"current"`
		Timestamp   int64    `json:"timestamp"`
		ClientToken string   `json:"clientToken,omitempty"`
	}{prev.snapshot(), next.snapshot(), now.Unix(), clientToken})
}

func (d Document) snapshot() snapshot {
	if !d.Exists() {
		return snapshot{}
	}
	return snapshot{State: d.state(), Metadata: d.metadata(), Version: d.Version}
}

func (d Document) state() sections {
	return sections{Desired: shown(d.Desired), Reported: shown(d.Reported)}
}

func (d Document) metadata() sections {
	return sections{Desired: shown(d.DesiredMeta), Reported: shown(d.ReportedMeta)}
}

// shown makes a section that does not exist vanish from a message.
func shown(section map[string]any) any {
	if section == nil {
		return nil
	}
	return section
}

// GetAccepted is the message of get/accepted, and with an empty token the body
// of GetThingShadow. The shadow must exist; otherwise the answer is [NotFound].
func (d Document) GetAccepted(now time.Time, clientToken string) []byte {
	state := d.state()
	delta, _ := d.Difference()
	state.Delta = shown(delta)
	return encode(accepted{
		State: state, Metadata: d.metadata(),
		Version: d.Version, Timestamp: now.Unix(), ClientToken: clientToken,
	})
}

// Delete removes the shadow and returns the record that keeps its version,
// with the message of delete/accepted (and body of DeleteThingShadow, with an
// empty token). It carries the version of the shadow that was deleted. The
// error is a 404 *Error if there is none; [NotFound] makes one with its name.
func (d Document) Delete(now time.Time, clientToken string) (next Document, message []byte, err error) {
	if !d.Exists() {
		return d, nil, &Error{Code: 404, Message: "No shadow exists", ClientToken: clientToken}
	}
	return Document{Version: d.Version, Deleted: true}, encode(struct {
		Version     int64  `json:"version"`
		Timestamp   int64  `json:"timestamp"`
		ClientToken string `json:"clientToken,omitempty"`
	}{d.Version, now.Unix(), clientToken}), nil
}

// Rejected is the message of a rejected topic. [ErrorFrom] makes its error.
func Rejected(err *Error, now time.Time) []byte {
	return encode(struct {
		Code        int    `json:"code"`
		Message     string `json:"message"`
		Timestamp   int64  `json:"timestamp"`
		ClientToken string `json:"clientToken,omitempty"`
	}{err.Code, err.Message, now.Unix(), err.ClientToken})
}

// encode writes JSON as devices send it, without escapes for HTML.
func encode(message any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(message); err != nil {
		// Messages hold nothing but strings, integers and values that were read
		// from JSON, all of which can be written.
		panic("shadow: cannot encode a message: " + err.Error())
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
