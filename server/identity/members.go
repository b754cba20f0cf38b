package identity

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// member is one member of a JSON object, its name as it is spelled.
type member struct {
	name  string
	value json.RawMessage
}

// object reads a JSON object strictly: encoding/json would take a name in any
// case, and the last of two members of one name, while a reader sees the first.
func object(what string, raw json.RawMessage) ([]member, error) {
	if !utf8.Valid(raw) {
		return nil, malformed("%s is not UTF-8", what)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	open, err := d.Token()
	if err != nil {
		return nil, malformed("%s is not JSON: %v", what, err)
	}
	if open != json.Delim('{') {
		return nil, malformed("%s is not a JSON object", what)
	}
	var members []member
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, malformed("%s is not JSON: %v", what, err)
		}
		m := member{name: name.(string)} // the decoder lets nothing else be a name
		if err := d.Decode(&m.value); err != nil {
			return nil, malformed("%s is not JSON: %v", what, err)
		}
		if seen[m.name] {
			return nil, malformed("%s has two members %q", what, m.name)
		}
		seen[m.name] = true
		members = append(members, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed("%s is not JSON: %v", what, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, malformed("something follows %s", what)
	}
	return members, nil
}

// listOrOne reads a list, or one value as a list of itself; empty is refused.
func listOrOne(what string, raw json.RawMessage) ([]json.RawMessage, error) {
	if len(raw) == 0 || raw[0] != '[' {
		return []json.RawMessage{raw}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, malformed("%s is not JSON: %v", what, err)
	}
	if len(list) == 0 {
		return nil, malformed("%s is an empty list", what)
	}
	return list, nil
}

// word reads a string.
func word(what string, raw json.RawMessage) (string, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", malformed("%s is not a string", what)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", malformed("%s is not a string: %v", what, err)
	}
	return s, nil
}

// literal reads a string, boolean or number as text.
func literal(what string, raw json.RawMessage) (string, error) {
	if len(raw) > 0 && (raw[0] == 't' || raw[0] == 'f' || raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9') {
		return string(raw), nil
	}
	return word(what, raw)
}

// words reads a string or a list of them and checks each.
func words(what string, raw json.RawMessage, check func(string) error) ([]string, error) {
	return each(what, raw, word, check)
}

// each reads a value or a list of them with read and checks each.
func each(what string, raw json.RawMessage, read func(string, json.RawMessage) (string, error), check func(string) error) ([]string, error) {
	list, err := listOrOne(what, raw)
	if err != nil {
		return nil, err
	}
	all := make([]string, len(list))
	for i, raw := range list {
		if all[i], err = read(what, raw); err != nil {
			return nil, err
		}
		if err := check(all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}
