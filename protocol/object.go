package protocol

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"
)

// DecodeObject reads a JSON object into the struct that into points to, by the
// names in the json tags of its fields. Unlike encoding/json it matches the names of
// members by case, as AWS does: {"Status": ...} says nothing about status. What
// has no field is ignored, and of a member given twice the last one counts. A
// *json.UnmarshalTypeError names the member that has a wrong value.
func DecodeObject(data []byte, into any) error {
	object := reflect.ValueOf(into).Elem()
	before := reflect.New(object.Type()).Elem()
	before.Set(object)
	if json.Unmarshal(data, into) == nil && unambiguous(data, object.Type()) {
		return nil
	}
	object.Set(before)
	return decodeMembers(data, object)
}

// decodeMembers takes the object apart and decodes each member that has a field.
func decodeMembers(data []byte, object reflect.Value) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	for i := range object.NumField() {
		name := memberName(object.Type().Field(i))
		value, sent := members[name]
		if !sent || name == "" {
			continue
		}
		if err := json.Unmarshal(value, object.Field(i).Addr().Interface()); err != nil {
			return within(name, err)
		}
	}
	return nil
}

// memberName is the name of the member that a field is for, empty for none.
func memberName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if name == "-" {
		return ""
	}
	return name
}

// unambiguous reports whether encoding/json reads an object as [DecodeObject]
// means it, in a third of the time: no name differs from that of a field in case
// alone, none is there twice. It may say no where that is not so. data is valid JSON.
func unambiguous(data []byte, object reflect.Type) bool {
	var seen uint64
	depth, isName := 0, false
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			depth++
			isName = depth == 1
		case '}', ']':
			depth--
		case ',':
			isName = depth == 1
		case '"':
			text := quoted(data[i+1:])
			if isName && !lone(text, object, &seen) {
				return false
			}
			isName = false
			i += len(text) + 1
		}
	}
	return true
}

// quoted is what stands before the quote that ends a JSON string.
func quoted(b []byte) []byte {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[:i]
		}
	}
	return b
}

// lone reports whether a name is that of a field, seen for the first time, or
// of none whatever the case.
func lone(name []byte, object reflect.Type, seen *uint64) bool {
	for _, c := range name {
		if c == '\\' || c >= utf8.RuneSelf { // it may be another name than it looks like
			return false
		}
	}
	for i := range min(object.NumField(), 64) {
		field := object.Field(i)
		want := memberName(field)
		switch {
		case want == "" && field.IsExported() && field.Tag.Get("json") == "":
			return false // encoding/json would take the field's own name
		case want == string(name):
			again := *seen&(1<<i) != 0
			*seen |= 1 << i
			return !again
		case strings.EqualFold(want, string(name)) && want != "":
			return false
		}
	}
	return object.NumField() <= 64
}

// within names the member in which a value is wrong.
func within(member string, err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		wrong.Field = strings.TrimSuffix(member+"."+wrong.Field, ".")
	}
	return err
}
