package restjson

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/muster-iot/muster/server/api/awsmodel"
)

// checker sets the fields of a request and collects what is wrong with them.
type checker struct{ problems []problem }

// member sets one field; path names the member in messages.
func (c *checker) member(dst reflect.Value, m *awsmodel.Member, value any, path string) {
	if value == nil {
		if m.Required {
			c.add(nil, path, "Member must not be null")
		}
		return
	}
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	c.value(dst, m.Shape, value, path)
}

func (c *checker) value(dst reflect.Value, shape *awsmodel.Shape, value any, path string) {
	switch shape.Kind {
	case awsmodel.String:
		c.str(dst, shape, value, path)
	case awsmodel.Integer, awsmodel.Long:
		c.integer(dst, shape, value, path)
	case awsmodel.Double, awsmodel.Float:
		c.double(dst, shape, value, path)
	case awsmodel.Boolean:
		c.boolean(dst, value, path)
	case awsmodel.Timestamp:
		c.timestamp(dst, value, path)
	case awsmodel.Blob:
		c.blob(dst, value, path)
	case awsmodel.Structure:
		c.structure(dst, shape, value, path)
	case awsmodel.List:
		c.list(dst, shape, value, path)
	case awsmodel.Map:
		c.mapping(dst, shape, value, path)
	}
}

// str takes JSON strings only: a number is not a string.
func (c *checker) str(dst reflect.Value, shape *awsmodel.Shape, value any, path string) {
	s, ok := value.(string)
	if t, isText := value.(text); isText {
		s, ok = string(t), t.valid()
	}
	if !ok {
		c.add(value, path, "Member must be a string")
		return
	}
	dst.SetString(s)
	for _, constraint := range violated(shape, s) {
		c.add(s, path, constraint)
	}
}

// violated lists the constraints of a string shape that s does not satisfy.
func violated(shape *awsmodel.Shape, s string) []string {
	var broken []string
	n := float64(utf8.RuneCountInString(s))
	if shape.Min != nil && n < *shape.Min {
		broken = append(broken, "Member must have length greater than or equal to "+number(*shape.Min))
	}
	if shape.Max != nil && n > *shape.Max {
		broken = append(broken, "Member must have length less than or equal to "+number(*shape.Max))
	}
	if !shape.Matches(s) {
		broken = append(broken, "Member must satisfy regular expression pattern: "+shape.Pattern)
	}
	if len(shape.Enum) > 0 && !slices.Contains(shape.Enum, s) {
		broken = append(broken, "Member must satisfy enum value set: "+list(shape.Enum))
	}
	return broken
}

func (c *checker) integer(dst reflect.Value, shape *awsmodel.Shape, value any, path string) {
	n, ok := parseInteger(digits(value))
	if ok && shape.Kind == awsmodel.Integer {
		ok = n >= math.MinInt32 && n <= math.MaxInt32
	}
	if !ok {
		c.add(value, path, "Member must be a whole number")
		return
	}
	dst.SetInt(n)
	c.bounds(shape, float64(n), value, path)
}

// parseInteger also takes 5.0 and 1e3, which some JSON writers make of an integer.
func parseInteger(s string) (int64, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, false
	}
	return int64(f), true
}

func (c *checker) double(dst reflect.Value, shape *awsmodel.Shape, value any, path string) {
	f, err := strconv.ParseFloat(digits(value), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		c.add(value, path, "Member must be a number")
		return
	}
	dst.SetFloat(f)
	c.bounds(shape, f, value, path)
}

// digits is the text of a number. A JSON string of digits is taken, too: the
// documentation shows expectedVersion as one (AWS IoT reference 15).
func digits(value any) string {
	switch v := value.(type) {
	case json.Number:
		return v.String()
	case text:
		return string(v)
	case string:
		return v
	}
	return ""
}

func (c *checker) bounds(shape *awsmodel.Shape, n float64, value any, path string) {
	if shape.Min != nil && n < *shape.Min {
		c.add(value, path, "Member must have value greater than or equal to "+number(*shape.Min))
	}
	if shape.Max != nil && n > *shape.Max {
		c.add(value, path, "Member must have value less than or equal to "+number(*shape.Max))
	}
}

func (c *checker) boolean(dst reflect.Value, value any, path string) {
	switch value {
	case true, text("true"):
		dst.SetBool(true)
	case false, text("false"):
		dst.SetBool(false)
	default:
		c.add(value, path, "Member must be true or false")
	}
}

// timestamp takes seconds, as they are written, and ISO 8601.
func (c *checker) timestamp(dst reflect.Value, value any, path string) {
	if t, err := time.Parse(time.RFC3339, digits(value)); err == nil {
		dst.Set(reflect.ValueOf(awsmodel.Time(t)))
		return
	}
	seconds, err := strconv.ParseFloat(digits(value), 64)
	if err != nil || !(math.Abs(seconds) <= 1e11) { // NaN is not
		c.add(value, path, "Member must be a timestamp")
		return
	}
	dst.Set(reflect.ValueOf(awsmodel.Time(time.UnixMilli(int64(seconds * 1000)))))
}

// blob takes the raw body as it is and base64 from within JSON.
func (c *checker) blob(dst reflect.Value, value any, path string) {
	switch v := value.(type) {
	case []byte:
		dst.SetBytes(v)
	case string:
		b, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			c.add(value, path, "Member must be base64")
			return
		}
		dst.SetBytes(b)
	default:
		c.add(value, path, "Member must be base64")
	}
}

func (c *checker) structure(dst reflect.Value, shape *awsmodel.Shape, value any, path string) {
	object, ok := value.(map[string]any)
	if !ok {
		c.add(value, path, "Member must be an object")
		return
	}
	for i := range shape.Members {
		m := &shape.Members[i]
		c.member(dst.Field(i), m, object[m.WireName], path+"."+m.Name)
	}
}

func (c *checker) list(dst reflect.Value, shape *awsmodel.Shape, value any, path string) {
	array, ok := value.([]any)
	if !ok {
		c.add(value, path, "Member must be a list")
		return
	}
	c.size(shape, len(array), value, path)
	dst.Set(reflect.MakeSlice(dst.Type(), len(array), len(array)))
	elem := awsmodel.Member{Required: true, Shape: shape.Elem}
	for i, one := range array {
		c.member(dst.Index(i), &elem, one, fmt.Sprintf("%s.%d.member", path, i+1))
	}
}

// mapping leaves out entries that are null.
func (c *checker) mapping(dst reflect.Value, shape *awsmodel.Shape, value any, path string) {
	object, ok := value.(map[string]any)
	if !ok {
		c.add(value, path, "Member must be an object")
		return
	}
	c.size(shape, len(object), value, path)
	dst.Set(reflect.MakeMap(dst.Type()))
	for _, key := range sortedKeys(object) {
		if object[key] == nil {
			continue
		}
		if broken := violated(shape.Key, key); len(broken) > 0 {
			c.add(key, path, "Map keys must satisfy constraint: "+list(broken))
			continue
		}
		elem := reflect.New(dst.Type().Elem()).Elem()
		c.value(elem, shape.Elem, object[key], path+"."+key+".member")
		dst.SetMapIndex(reflect.ValueOf(key), elem)
	}
}

func (c *checker) size(shape *awsmodel.Shape, n int, value any, path string) {
	if shape.Min != nil && float64(n) < *shape.Min {
		c.add(value, path, "Member must have length greater than or equal to "+number(*shape.Min))
	}
	if shape.Max != nil && float64(n) > *shape.Max {
		c.add(value, path, "Member must have length less than or equal to "+number(*shape.Max))
	}
}
