package restjson

import (
	"reflect"
	"unicode/utf8"

	"github.com/muster-iot/muster/server/api/awsmodel"
)

// decode makes the operation's request of what the exchange carries, checks
// it against the description and notes in call what a token is bound to.
func (x *exchange) decode(call *Call) (any, error) {
	shape := x.found.route.op.Input
	in := reflect.New(x.found.route.serve.in)
	if shape == nil {
		return in.Interface(), nil
	}
	body, err := x.bodyMembers(shape)
	if err != nil {
		return nil, err
	}
	query := x.r.URL.Query()
	filters := map[string]any{}
	var check checker
	for i := range shape.Members {
		m := &shape.Members[i]
		value := x.member(m, body, query)
		if value != nil && m.In != awsmodel.Payload && !pagingMember(m.Name) {
			filters[m.Name] = value
		}
		check.member(in.Elem().Field(i), m, value, m.Name)
	}
	call.filters = filters
	if err := check.err(); err != nil {
		return nil, err
	}
	return in.Interface(), nil
}

// bodyMembers parses the body, if any member travels there as JSON.
func (x *exchange) bodyMembers(shape *awsmodel.Shape) (map[string]any, error) {
	for _, m := range shape.Members {
		if m.In == awsmodel.Body {
			return parseBody(x.body)
		}
	}
	return nil, nil
}

// member finds the value of a member as it travels: text, raw bytes or a JSON
// value; nil is absent, as null is.
func (x *exchange) member(m *awsmodel.Member, body map[string]any, query map[string][]string) any {
	switch m.In {
	case awsmodel.Path:
		return text(x.found.labels[m.WireName])
	case awsmodel.Query:
		return queryValue(m, query[m.WireName])
	case awsmodel.Header:
		if values := x.r.Header.Values(m.WireName); len(values) > 0 {
			return text(values[0])
		}
		return nil
	case awsmodel.Payload:
		return x.body
	default:
		return body[m.WireName]
	}
}

func queryValue(m *awsmodel.Member, values []string) any {
	if len(values) == 0 {
		return nil
	}
	if m.Shape.Kind != awsmodel.List {
		return text(values[0])
	}
	list := make([]any, len(values))
	for i, value := range values {
		list[i] = text(value)
	}
	return list
}

// text is a value that travelled outside the body: its kind is not visible,
// so a number or boolean is parsed from it.
type text string

func (t text) valid() bool { return utf8.ValidString(string(t)) }
