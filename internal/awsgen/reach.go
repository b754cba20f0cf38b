package main

import (
	"fmt"
	"maps"
	"slices"
)

// part is what the listed operations of a model need: the operations in the
// order of the list, their shapes and exceptions by name.
type part struct {
	version, signingName string
	names                []string
	operations           map[string]operation
	shapes               map[string]shape
	errorStatus          map[string]int
}

// reach keeps what the operations need. An operation that the model lacks is
// an error: it belongs into a supplement.
func reach(m *model, operations []string) (part, error) {
	p := part{
		version: m.Metadata.APIVersion, signingName: m.Metadata.SigningName,
		names: operations, operations: map[string]operation{},
		shapes: map[string]shape{}, errorStatus: map[string]int{},
	}
	for _, name := range operations {
		op, ok := m.Operations[name]
		if !ok {
			return part{}, fmt.Errorf("the model has no operation %s", name)
		}
		p.operations[name] = op
		p.keep(m, op.Input.Shape)
		p.keep(m, op.Output.Shape)
		for _, e := range op.Errors {
			p.errorStatus[e.Shape] = status(m.Shapes[e.Shape])
		}
	}
	return p, nil
}

// keep adds a shape and all it is made of.
func (p *part) keep(m *model, name string) {
	if _, done := p.shapes[name]; done || name == "" {
		return
	}
	s := m.Shapes[name]
	p.shapes[name] = s
	for _, sub := range s.Members {
		p.keep(m, sub.Shape)
	}
	for _, sub := range []ref{s.Member, s.Key, s.Value} {
		p.keep(m, sub.Shape)
	}
}

func (p part) shapeNames() []string { return slices.Sorted(maps.Keys(p.shapes)) }

// status is the HTTP status of an exception; one without is the client's
// fault (400) unless the model marks it as the server's.
func status(s shape) int {
	if s.Error.HTTPStatusCode != 0 {
		return s.Error.HTTPStatusCode
	}
	if s.Fault {
		return 500
	}
	return 400
}
