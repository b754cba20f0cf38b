package identity

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/muster-iot/muster/protocol"
)

// MaxDocument bounds a policy document, in characters without white space.
const MaxDocument = 2048

// Document is a policy document, parsed. Its text is kept as it was given, and
// is what is stored.
type Document struct {
	Text       string
	Version    string // 2012-10-17, or 2008-10-17, in which variables are plain text
	ID         string
	Statements []Statement
}

// Effect is what a statement that applies does; Deny wins over Allow.
type Effect string

// The effects.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// Statement allows or denies actions on resources. Actions and resources are
// patterns with * and ?; in resources and condition values ${name} stands for
// a policy variable.
type Statement struct {
	SID        string
	Effect     Effect
	Actions    []string
	Resources  []string
	Conditions []Condition
}

// Condition is one comparison of a statement; all of them must hold, each for
// one of its values.
type Condition struct {
	Operator, Key string
	Values        []string
}

// ParsePolicy reads a policy document. What it does not know it refuses, and
// names: a member that was silently left out could be the one that forbids.
// Errors are of code MalformedPolicy.
func ParsePolicy(text string) (Document, error) {
	if n := visible(text); n > MaxDocument {
		return Document{}, malformed("it has %d characters without white space; the limit is %d", n, MaxDocument)
	}
	d := Document{Text: text}
	top, err := object("the document", json.RawMessage(text))
	if err != nil {
		return Document{}, err
	}
	for _, m := range top {
		switch m.name {
		case "Version":
			d.Version, err = word("Version", m.value)
		case "Id":
			d.ID, err = word("Id", m.value)
		case "Statement":
			d.Statements, err = statements(m.value)
		default:
			err = malformed("it has the unknown member %q", m.name)
		}
		if err != nil {
			return Document{}, err
		}
	}
	switch {
	case d.Version != "2012-10-17" && d.Version != "2008-10-17":
		return Document{}, malformed("its Version is %q, not 2012-10-17", d.Version)
	case len(d.Statements) == 0:
		return Document{}, malformed("it has no Statement")
	}
	return d, nil
}

// MarshalJSON writes the text as it was given.
func (d Document) MarshalJSON() ([]byte, error) { return json.Marshal(d.Text) }

// UnmarshalJSON parses the text anew.
func (d *Document) UnmarshalJSON(b []byte) (err error) {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	*d, err = ParsePolicy(text)
	return err
}

// visible counts the characters that are not white space.
func visible(text string) int {
	n := 0
	for _, r := range text {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

func malformed(format string, args ...any) error {
	e := protocol.Errorf(protocol.MalformedPolicy, format, args...)
	e.Message = "cannot use the policy document: " + e.Message
	return e
}

// statements reads a list of statements, or one that stands alone.
func statements(raw json.RawMessage) ([]Statement, error) {
	list, err := listOrOne("Statement", raw)
	if err != nil {
		return nil, err
	}
	parsed := make([]Statement, len(list))
	for i, raw := range list {
		if parsed[i], err = statement(raw); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

func statement(raw json.RawMessage) (s Statement, err error) {
	members, err := object("a Statement", raw)
	if err != nil {
		return s, err
	}
	for _, m := range members {
		switch m.name {
		case "Sid":
			s.SID, err = word("Sid", m.value)
		case "Effect":
			var effect string
			effect, err = word("Effect", m.value)
			s.Effect = Effect(effect)
		case "Action":
			s.Actions, err = words("Action", m.value, checkAction)
		case "Resource":
			s.Resources, err = words("Resource", m.value, checkResource)
		case "Condition":
			s.Conditions, err = conditions(m.value)
		default:
			err = malformed("a Statement has the unknown member %q", m.name)
		}
		if err != nil {
			return s, err
		}
	}
	switch {
	case s.Effect != Allow && s.Effect != Deny:
		return s, malformed("the Effect of a Statement is %q, not Allow or Deny", s.Effect)
	case len(s.Actions) == 0:
		return s, malformed("a Statement has no Action")
	case len(s.Resources) == 0:
		return s, malformed("a Statement has no Resource")
	}
	return s, nil
}

var actionForm = regexp.MustCompile(`^(\*|[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+)$`)

func checkAction(action string) error {
	if !actionForm.MatchString(action) {
		return malformed("the Action %q is not of the form iot:Connect", action)
	}
	return nil
}

// checkResource wants an ARN of six parts, or a pattern that may stand for one.
func checkResource(resource string) error {
	switch {
	case resource == "*":
	case !strings.HasPrefix(resource, "arn:"):
		return malformed("the Resource %q is neither * nor an ARN", resource)
	case strings.Count(resource, ":") < 5 && !strings.Contains(resource, "*"):
		return malformed("the Resource %q is not an ARN of the form arn:aws:iot:REGION:ACCOUNT:KIND/NAME", resource)
	}
	return checkVariables(resource)
}

// checkVariables refuses a ${ that is never closed: it would match nothing.
func checkVariables(text string) error {
	for {
		_, after, found := strings.Cut(text, "${")
		if !found {
			return nil
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed || name == "" {
			return malformed("the policy variable in %q is not of the form ${name}", "${"+after)
		}
		text = rest
	}
}

// operators are the comparisons of a condition, without their IfExists forms.
var operators = []string{
	"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
	"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
	"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
	"Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike", "Null",
}

func checkOperator(operator string) error {
	name := operator
	for _, set := range []string{"ForAllValues:", "ForAnyValue:"} {
		name = strings.TrimPrefix(name, set)
	}
	if name != "Null" {
		name = strings.TrimSuffix(name, "IfExists")
	}
	if !slices.Contains(operators, name) {
		return malformed("the Condition has the unknown operator %q", operator)
	}
	return nil
}

// conditions reads operator -> key -> values, in the order of the text.
func conditions(raw json.RawMessage) ([]Condition, error) {
	byOperator, err := object("a Condition", raw)
	if err != nil {
		return nil, err
	}
	var all []Condition
	for _, o := range byOperator {
		if err := checkOperator(o.name); err != nil {
			return nil, err
		}
		byKey, err := object("the Condition "+o.name, o.value)
		if err != nil {
			return nil, err
		}
		for _, k := range byKey {
			values, err := each("Condition "+o.name, k.value, literal, checkVariables)
			if err != nil {
				return nil, err
			}
			all = append(all, Condition{Operator: o.name, Key: k.name, Values: values})
		}
	}
	return all, nil
}
