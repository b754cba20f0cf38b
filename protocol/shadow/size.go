package shadow

import "encoding/json"

// stateSize is the size of the state that MaxState bounds.
func (d Document) stateSize() int {
	state := map[string]any{}
	if d.Desired != nil {
		state["desired"] = d.Desired
	}
	if d.Reported != nil {
		state["reported"] = d.Reported
	}
	return sizeOf(state)
}

// sizeOf counts the bytes of a value as compact JSON in which nothing is
// escaped that need not be. It allocates nothing: it runs on every update.
func sizeOf(value any) int {
	switch v := value.(type) {
	case nil:
		return len("null")
	case bool:
		if v {
			return len("true")
		}
		return len("false")
	case json.Number:
		return len(v)
	case string:
		return sizeOfString(v)
	case []any:
		n := len("[]") + max(0, len(v)-1)
		for _, element := range v {
			n += sizeOf(element)
		}
		return n
	case map[string]any:
		n := len("{}") + max(0, len(v)-1)
		for key, child := range v {
			n += sizeOfString(key) + len(":") + sizeOf(child)
		}
		return n
	}
	return 0
}

func sizeOfString(s string) int {
	n := len(`""`) + len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t':
			n++
		case c < 0x20:
			n += len(`\u0000`) - 1
		}
	}
	return n
}
