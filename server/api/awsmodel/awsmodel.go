// Package awsmodel describes the AWS IoT operations that Muster serves: method
// and path, where each member of a request travels, and what it must satisfy.
// The descriptions and the Go types of requests and responses are generated
// from the API model that AWS publishes (package internal/awsgen, a module of
// its own); each service is one subpackage: iot (the control plane), iotdata
// (shadows) and iotjobsdata (a device's jobs). Files named *_gen.go are not
// edited by hand; gen.sum and a test prove that they are fresh.
//
// The package knows shapes only. It never reads a request: package restjson
// does, by these descriptions.
package awsmodel

import (
	"fmt"
	"regexp"
)

// Kind is the type of a value on the wire, in the words of the model.
type Kind string

// The kinds of the model. Integer is 32 bits wide, Long 64; a Float is
// handled as a Double.
const (
	String    Kind = "string"
	Integer   Kind = "integer"
	Long      Kind = "long"
	Double    Kind = "double"
	Float     Kind = "float"
	Boolean   Kind = "boolean"
	Timestamp Kind = "timestamp"
	Blob      Kind = "blob"
	Structure Kind = "structure"
	List      Kind = "list"
	Map       Kind = "map"
)

// Location says where a member of a request or response travels.
type Location string

// The locations. A member without one is a member of the JSON body; Payload
// is the whole body, raw.
const (
	Body    Location = ""
	Path    Location = "uri"
	Query   Location = "querystring"
	Header  Location = "header"
	Payload Location = "payload"
)

// Member is one member of a structure.
type Member struct {
	// Name is the member's name in the model and in messages.
	Name string
	// WireName is its name at its location, such as the query parameter's.
	WireName string
	In       Location
	Required bool
	// Target names the member's shape; Shape is that shape once linked.
	Target string
	Shape  *Shape
}

// Shape describes a value: its kind and what it must satisfy.
type Shape struct {
	Kind Kind
	// Min and Max bound the characters of a string, the elements of a list,
	// the entries of a map or the value of a number; nil is no bound.
	Min, Max *float64
	// Pattern is what the whole string must match, as AWS writes it.
	Pattern string
	Enum    []string
	// Members of a structure, in the order of the fields of its Go type.
	Members []Member
	// KeyTarget and ElemTarget name the shapes of a map's keys and of the
	// elements of a list or map; Key and Elem are those shapes once linked.
	KeyTarget, ElemTarget string
	Key, Elem             *Shape

	form *regexp.Regexp
}

// Matches reports whether s satisfies the shape's pattern; a shape without
// one, and one whose service was not linked, accepts everything.
func (s *Shape) Matches(str string) bool { return s.form == nil || s.form.MatchString(str) }

// Operation is one call of the API.
type Operation struct {
	Name   string
	Method string
	// Path is the pattern of the escaped path; {name} stands for one segment.
	Path string
	// InputTarget and OutputTarget name the shapes of request and response;
	// empty means none. Input and Output are those shapes once linked.
	InputTarget, OutputTarget string
	Input, Output             *Shape
	// Errors are the names of the exceptions the model allows it to answer.
	Errors []string
}

// Service is one of AWS's services with the operations that Muster serves.
type Service struct {
	// Name identifies the service: iot, iotdata or iotjobsdata.
	Name string
	// SigningName is the service in the credential scope of a signature.
	SigningName string
	Version     string
	Operations  []Operation
	Shapes      map[string]*Shape
	// ErrorStatus maps the exceptions of the service to their HTTP status.
	ErrorStatus map[string]int
}

// Link resolves the names in s and compiles its patterns. A description that
// was generated always links; a hand-made one may not.
func (s *Service) Link() error {
	for name, shape := range s.Shapes {
		if err := s.linkShape(shape); err != nil {
			return fmt.Errorf("cannot link shape %s of %s: %w", name, s.Name, err)
		}
	}
	for i := range s.Operations {
		op := &s.Operations[i]
		if err := s.resolve(op.InputTarget, &op.Input); err != nil {
			return fmt.Errorf("cannot link request of %s: %w", op.Name, err)
		}
		if err := s.resolve(op.OutputTarget, &op.Output); err != nil {
			return fmt.Errorf("cannot link response of %s: %w", op.Name, err)
		}
		for _, name := range op.Errors {
			if s.ErrorStatus[name] == 0 {
				return fmt.Errorf("cannot link %s: error %s has no status", op.Name, name)
			}
		}
	}
	return nil
}

func (s *Service) linkShape(shape *Shape) error {
	for i := range shape.Members {
		m := &shape.Members[i]
		if err := s.resolve(m.Target, &m.Shape); err != nil {
			return fmt.Errorf("member %s: %w", m.Name, err)
		}
	}
	if err := s.resolve(shape.KeyTarget, &shape.Key); err != nil {
		return err
	}
	if err := s.resolve(shape.ElemTarget, &shape.Elem); err != nil {
		return err
	}
	if shape.Pattern == "" {
		return nil
	}
	form, err := compile(shape.Pattern)
	if err != nil {
		return err
	}
	shape.form = form
	return nil
}

func (s *Service) resolve(name string, into **Shape) error {
	if name == "" {
		return nil
	}
	shape, ok := s.Shapes[name]
	if !ok {
		return fmt.Errorf("shape %q does not exist", name)
	}
	*into = shape
	return nil
}
