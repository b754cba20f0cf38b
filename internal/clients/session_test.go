package clients_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// session is one client on one server.
type session struct {
	t      *testing.T
	at     addresses
	name   string
	client client
	table  *table
	gone   bool // the client answers no more
}

// run takes all steps, chapter after chapter; later ones stand on what earlier
// ones made.
func (s *session) run() {
	chapters := []struct {
		name  string
		steps func(*session)
	}{
		{"things", (*session).things},
		{"dynamic groups", (*session).dynamicGroups},
		{"index", (*session).index},
		{"events", (*session).events},
		{"thing types", (*session).thingTypes},
		{"static groups", (*session).staticGroups},
		{"aggregations", (*session).aggregations},
		{"tags", (*session).tags},
		{"certificates and policies", (*session).certificates},
		{"jobs", (*session).jobs},
		{"jobs data plane", (*session).jobsData},
		{"shadows", (*session).shadows},
		{"messages", (*session).messages},
		{"endpoints", (*session).endpoints},
	}
	for _, c := range chapters {
		if s.gone {
			return
		}
		outer := s.t
		outer.Run(c.name, func(t *testing.T) {
			s.t = t
			c.steps(s)
		})
		s.t = outer
	}
}

// services are the clients by which an operation is not of "iot".
const (
	dataPlane = "iot-data "
	jobsPlane = "iot-jobs-data "
)

// ask takes a step; done is false when the client lacks the operation or the
// step failed already.
func (s *session) ask(operation, pages string, in object) (a answer, done bool) {
	s.t.Helper()
	service, name, ok := strings.Cut(operation, " ")
	if !ok {
		service, name = "iot", operation
	}
	if in == nil {
		in = object{}
	}
	a, err := s.client.do(step{Service: service, Operation: name, Input: in, Pages: pages})
	switch {
	case err != nil:
		s.gone = true
		s.t.Fatalf("%s: %v", operation, err)
	case a.Absent != "" && pages == "":
		s.table.set(operation, s.name, absent)
		return a, false
	case a.Absent != "":
		return a, false
	}
	return a, true
}

// ok calls an operation that must succeed with at least what is wanted, and
// returns its output; nil when the client has no such operation.
func (s *session) ok(operation string, in, want object) object {
	s.t.Helper()
	a, done := s.ask(operation, "", in)
	if done {
		s.judge(operation, in, a, want)
	}
	return a.Output
}

func (s *session) judge(operation string, in object, a answer, want object) {
	s.t.Helper()
	problems := []string{}
	if a.Error != nil {
		problems = append(problems, fmt.Sprintf("failed with %+v", *a.Error))
	} else {
		problems = differences(operation, want, a.Output)
	}
	s.note(operation, in, problems)
}

// fails calls an operation that must fail with the exception of that name.
func (s *session) fails(operation string, in object, exception string, status int) {
	s.t.Helper()
	a, done := s.ask(operation, "", in)
	if !done {
		return
	}
	var problems []string
	switch e := a.Error; {
	case e == nil:
		problems = append(problems, fmt.Sprintf("succeeded with %v, want %s", a.Output, exception))
	case e.Name != exception || e.Status != status && e.Status != 0:
		problems = append(problems, fmt.Sprintf("failed with %d %s (%s), want %d %s", e.Status, e.Name, e.Message, status, exception))
	case !e.Typed:
		problems = append(problems, fmt.Sprintf("%s did not come as its class", e.Name))
	case e.Message == "":
		problems = append(problems, exception+" has no message")
	}
	s.note(operation, in, problems)
}

// pages reads a list to its end with the client's own paginator and wants that
// many items.
func (s *session) pages(operation, member string, in object, want int) {
	s.t.Helper()
	a, done := s.ask(operation, member, in)
	if !done {
		return
	}
	s.judge(operation, in, a, object{member: count(want)})
}

// eventually repeats a call until it gives what is wanted.
func (s *session) eventually(operation string, in, want object) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		a, done := s.ask(operation, "", in)
		if !done {
			return
		}
		if a.Error != nil || len(differences(operation, want, a.Output)) == 0 || time.Now().After(deadline) {
			s.judge(operation, in, a, want)
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

// note keeps how a step went.
func (s *session) note(operation string, in object, problems []string) {
	s.t.Helper()
	if len(problems) == 0 {
		s.table.set(operation, s.name, passed)
		return
	}
	s.table.set(operation, s.name, failed)
	s.t.Errorf("%s %v:\n\t%s", operation, in, strings.Join(problems, "\n\t"))
}

// check is a condition on a value.
type check func(v any) string // what is wrong

func count(n int) check {
	return func(v any) string {
		list, ok := v.([]any)
		if !ok || len(list) != n {
			return fmt.Sprintf("has %d items, want %d: %v", len(list), n, v)
		}
		return ""
	}
}

// some is any value but an empty one.
func some(v any) string {
	if v == nil || v == "" || v == 0.0 {
		return fmt.Sprintf("is %v, want a value", v)
	}
	return ""
}

// recent is a time of the last minutes: seconds since 1970, or what the CLI
// makes of them.
func recent(v any) string {
	var at time.Time
	switch v := v.(type) {
	case float64:
		at = time.UnixMilli(int64(v * 1000))
	case string:
		at, _ = time.Parse("2006-01-02T15:04:05.999999Z07:00", v)
	}
	if d := time.Since(at).Abs(); d > 10*time.Minute {
		return fmt.Sprintf("is %v, want a time that is now", v)
	}
	return ""
}

func contains(part string) check {
	return func(v any) string {
		if text, _ := v.(string); !strings.Contains(text, part) {
			return fmt.Sprintf("is %v, want it to hold %q", v, part)
		}
		return ""
	}
}

// differences compares what is wanted with what came: members that are not wanted
// do not count, numbers by value. The Go SDK writes the first letter of every
// member large, so its case does not count.
func differences(where string, want, got any) []string {
	switch want := want.(type) {
	case nil:
		return nil
	case check:
		return prefixed(where, want(got))
	case func(any) string:
		return prefixed(where, want(got))
	case object:
		return objectDifferences(where, want, got)
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			return []string{fmt.Sprintf("%s: is %v, want %d items", where, got, len(want))}
		}
		var all []string
		for i := range want {
			all = append(all, differences(fmt.Sprintf("%s[%d]", where, i), want[i], list[i])...)
		}
		return all
	default:
		if fmt.Sprint(want) != fmt.Sprint(got) {
			return []string{fmt.Sprintf("%s: is %v, want %v", where, got, want)}
		}
		return nil
	}
}

func prefixed(where, problem string) []string {
	if problem == "" {
		return nil
	}
	return []string{where + ": " + problem}
}

func objectDifferences(where string, want object, got any) []string {
	members, ok := got.(map[string]any)
	if o, isObject := got.(object); isObject {
		members, ok = o, true
	}
	if !ok && len(want) > 0 {
		return []string{fmt.Sprintf("%s: is %v, want an object", where, got)}
	}
	var all []string
	for name, w := range want {
		value, ok := members[name]
		if !ok {
			value = members[strings.ToLower(name[:1])+name[1:]]
		}
		all = append(all, differences(where+"."+name, w, value)...)
	}
	return all
}
