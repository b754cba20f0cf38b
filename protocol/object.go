package protocol

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
)

// DecodeObject reads a JSON object into the struct that into points to, by the
// names in the json tags of its fields. Unlike encoding/json it matches the names of
// members by case, as AWS does: {"Status": ...} says nothing about status. What
// has no field is ignored, and of a member given twice the last one counts. A
// *json.UnmarshalTypeError names the member that has a wrong value.
func DecodeObject(data []byte, into any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	object := reflect.ValueOf(into).Elem()
	for i := range object.NumField() {
		name, _, _ := strings.Cut(object.Type().Field(i).Tag.Get("json"), ",")
		value, sent := members[name]
		if !sent || name == "" || name == "-" {
			continue
		}
		if err := json.Unmarshal(value, object.Field(i).Addr().Interface()); err != nil {
			return within(name, err)
		}
	}
	return nil
}

// within names the member in which a value is wrong.
func within(member string, err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		wrong.Field = strings.TrimSuffix(member+"."+wrong.Field, ".")
	}
	return err
}
