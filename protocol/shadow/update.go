package shadow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Limits of a shadow request (AWS IoT reference 9.6).
const (
	// MaxState bounds the state of an update and of the merged document, in
	// bytes of compact JSON; metadata does not count.
	MaxState = 8 * 1024
	// MaxDepth bounds the objects and arrays nested below a section.
	MaxDepth = 8
	// MaxClientToken bounds a client token, in bytes.
	MaxClientToken = 64
	// MaxPayload bounds a whole request, in bytes: the broker's packet limit.
	MaxPayload = 128 * 1024
)

// Update is a request to change a shadow, as it was sent.
type Update struct {
	Desired, Reported Section
	// Clear says that the state was null: both sections go.
	Clear bool
	// Version is the version that the sender believes to be current; it counts
	// if HasVersion.
	Version    int64
	HasVersion bool
	// ClientToken is echoed in every message that the update causes; may be empty.
	ClientToken string

	// fault is why an update built by the server is no legal one; Apply returns it.
	fault error
	// own marks an update of the server, which no size limit may refuse.
	own bool
}

// Section is what an update says about desired or reported.
type Section struct {
	// Sent says that the update names the section.
	Sent bool
	// Fields are the keys to merge, with nil for those to remove. Nil Fields
	// of a sent section remove the whole section.
	Fields map[string]any
}

// ReportedField returns what the update says about a top-level key of
// reported. Sent with a nil value means that the key is removed, be it by
// itself, with its section or with the whole state.
func (u Update) ReportedField(key string) (value any, sent bool) {
	switch {
	case u.Clear || u.Reported.Sent && u.Reported.Fields == nil:
		return nil, true
	case !u.Reported.Sent:
		return nil, false
	}
	value, sent = u.Reported.Fields[key]
	return value, sent
}

// ReportedUpdate is an update of the server itself: it merges fields into
// reported, nil removing a key. Values may be anything that encoding/json can
// marshal. The limit on size does not hold for it, so that what the server
// must record never fails because of what the device wrote before; if the
// fields are otherwise not legal shadow state, [Document.Apply] says so.
func ReportedUpdate(fields map[string]any) Update {
	u := Update{own: true}
	section, err := plain(fields)
	if err != nil {
		u.fault = err
		return u
	}
	u.Reported = Section{Sent: true, Fields: section}
	return u
}

// plain turns Go values into what ParseUpdate would have read.
func plain(fields map[string]any) (map[string]any, error) {
	if fields == nil {
		return map[string]any{}, nil
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("cannot write reported fields as JSON: %w", err)
	}
	var section map[string]any
	if err := decode(text, &section); err != nil {
		return nil, fmt.Errorf("cannot read reported fields back: %w", err)
	}
	if err := checkSection(section, "reported"); err != nil {
		return nil, err
	}
	return section, nil
}

// ParseUpdate reads the payload of an update request. The error is an *Error
// with the client token if one could be read.
func ParseUpdate(payload []byte) (Update, error) {
	request, err := parseObject(payload)
	if err != nil {
		return Update{}, err
	}
	u := Update{}
	if u.ClientToken, err = parseToken(request); err != nil {
		return Update{}, err
	}
	if err := u.parse(request); err != nil {
		err.ClientToken = u.ClientToken
		return Update{}, err
	}
	return u, nil
}

// ParseGet reads the payload of a get request, which may be empty.
func ParseGet(payload []byte) (clientToken string, err error) { return parseTokenOnly(payload) }

// ParseDelete reads the payload of a delete request, which may be empty.
func ParseDelete(payload []byte) (clientToken string, err error) { return parseTokenOnly(payload) }

func parseTokenOnly(payload []byte) (string, error) {
	if len(bytes.TrimSpace(payload)) == 0 {
		return "", nil
	}
	request, err := parseObject(payload)
	if err != nil {
		return "", err
	}
	return parseToken(request)
}

// parseObject reads a payload that must be one JSON object in UTF-8. Keys are
// matched by case, as AWS does; of a key given twice the last one counts.
func parseObject(payload []byte) (map[string]any, error) {
	if len(payload) > MaxPayload {
		return nil, tooLarge()
	}
	if !utf8.Valid(payload) {
		return nil, &Error{Code: 415, Message: "Unsupported documented encoding; supported encoding is UTF-8"}
	}
	var value any
	if err := decode(payload, &value); err != nil {
		return nil, invalid("Invalid JSON")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, invalid("Invalid JSON")
	}
	return object, nil
}

func parseToken(request map[string]any) (string, error) {
	value := request["clientToken"]
	if value == nil { // absent, or null as some SDKs send it
		return "", nil
	}
	token, ok := value.(string)
	if !ok || len(token) > MaxClientToken {
		return "", invalid("Invalid clientToken")
	}
	return token, nil
}

// parse fills in all of the update but its token.
func (u *Update) parse(request map[string]any) *Error {
	if value := request["version"]; value != nil {
		number, _ := value.(json.Number)
		version, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil || version < 0 {
			return invalid("Invalid version")
		}
		u.Version, u.HasVersion = version, true
	}
	value, ok := request["state"]
	if !ok {
		return invalid("Missing required node: state")
	}
	if value == nil {
		u.Clear = true
		return nil
	}
	state, ok := value.(map[string]any)
	if !ok {
		return invalid("State node must be an object")
	}
	return u.parseState(state)
}

func (u *Update) parseState(state map[string]any) *Error {
	for name, value := range state {
		section, _ := value.(map[string]any) // nil for null
		switch {
		case name != "desired" && name != "reported":
			return invalidNode(name)
		case value != nil && section == nil && name == "desired":
			return invalid("Desired node must be an object")
		case value != nil && section == nil:
			return invalid("Reported node must be an object")
		}
		if err := checkSection(section, name); err != nil {
			return err
		}
		if name == "desired" {
			u.Desired = Section{Sent: true, Fields: section}
		} else {
			u.Reported = Section{Sent: true, Fields: section}
		}
	}
	if sizeOf(state) > MaxState {
		return tooLarge()
	}
	return nil
}

// checkSection refuses what a section may not hold: too deep nesting, and null
// anywhere inside an array, where it would be neither a value nor a removal.
func checkSection(section map[string]any, name string) *Error {
	return checkNode(section, name, 0, false)
}

// checkNode checks the value of the given name, so many objects and arrays
// below its section.
func checkNode(value any, name string, depth int, inArray bool) *Error {
	switch v := value.(type) {
	case nil:
		if inArray {
			return invalidNode(name)
		}
	case map[string]any:
		if depth > MaxDepth {
			return tooDeep()
		}
		for key, child := range v {
			if err := checkNode(child, key, depth+1, inArray); err != nil {
				return err
			}
		}
	case []any:
		if depth > MaxDepth {
			return tooDeep()
		}
		for _, element := range v {
			if err := checkNode(element, name, depth+1, true); err != nil {
				return err
			}
		}
	}
	return nil
}
