package restjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/muster-iot/muster/protocol"
)

// maxDepth bounds how deep objects and arrays may nest in a body.
const maxDepth = 32

// parseBody reads a JSON object. An empty body is an empty object, numbers
// keep their text, and the members keep their case.
func parseBody(body []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if !utf8.Valid(body) {
		return nil, protocol.Errorf(protocol.InvalidRequest, "the body of the request is not valid UTF-8")
	}
	if depth(body) > maxDepth {
		return nil, protocol.Errorf(protocol.InvalidRequest, "the body of the request nests deeper than %d levels", maxDepth)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, notJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, notJSON(errors.New("there is more text after the JSON value"))
	}
	object, ok := value.(map[string]any)
	if !ok && value != nil {
		return nil, notJSON(errors.New("it must be a JSON object"))
	}
	return object, nil
}

func notJSON(err error) error {
	return protocol.Errorf(protocol.InvalidRequest, "cannot read the body of the request: %v", err)
}

// depth counts the deepest nesting of a JSON text without parsing it.
func depth(text []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}
