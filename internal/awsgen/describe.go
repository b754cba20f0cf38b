package main

import (
	"bytes"
	"fmt"
	"go/format"
	"maps"
	"slices"
	"strconv"
)

// printDescription prints the function that returns the awsmodel.Service.
func printDescription(svc service, p part) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%spackage %s\n\n", header, svc.name)
	fmt.Fprint(&b, "import \"github.com/muster-iot/muster/server/api/awsmodel\"\n\n")
	fmt.Fprint(&b, "// Service describes the operations; each call makes a new description, not yet linked.\n")
	fmt.Fprint(&b, "func Service() awsmodel.Service {\n\treturn awsmodel.Service{\n")
	fmt.Fprintf(&b, "Name: %q, SigningName: %q, Version: %q,\n", svc.name, p.signingName, p.version)
	fmt.Fprint(&b, "Operations: operations(), Shapes: shapes(),\nErrorStatus: map[string]int{\n")
	for _, name := range slices.Sorted(maps.Keys(p.errorStatus)) {
		fmt.Fprintf(&b, "%q: %d,\n", name, p.errorStatus[name])
	}
	fmt.Fprint(&b, "},\n}\n}\n\nfunc operations() []awsmodel.Operation {\n\treturn []awsmodel.Operation{\n")
	for _, name := range p.names {
		printOperation(&b, name, p.operations[name])
	}
	fmt.Fprint(&b, "}\n}\n\nfunc shapes() map[string]*awsmodel.Shape {\n\treturn map[string]*awsmodel.Shape{\n")
	for _, name := range p.shapeNames() {
		printShape(&b, name, p.shapes[name])
	}
	fmt.Fprint(&b, "}\n}\n")
	return format.Source(b.Bytes())
}

func printOperation(b *bytes.Buffer, name string, op operation) {
	fmt.Fprintf(b, "{\nName: %q, Method: %q, Path: %q,\n", name, op.HTTP.Method, op.HTTP.RequestURI)
	fmt.Fprintf(b, "InputTarget: %q, OutputTarget: %q,\nErrors: []string{", op.Input.Shape, op.Output.Shape)
	for i, e := range op.Errors {
		if i > 0 {
			fmt.Fprint(b, ", ")
		}
		fmt.Fprintf(b, "%q", e.Shape)
	}
	fmt.Fprint(b, "},\n},\n")
}

func printShape(b *bytes.Buffer, name string, s shape) {
	fmt.Fprintf(b, "%q: {Kind: %q", name, s.Type)
	printBound(b, "Min", s.Min)
	printBound(b, "Max", s.Max)
	if s.Pattern != "" {
		fmt.Fprintf(b, ", Pattern: %s", literal(s.Pattern))
	}
	if len(s.Enum) > 0 {
		fmt.Fprintf(b, ", Enum: %#v", s.Enum)
	}
	if s.Key.Shape != "" {
		fmt.Fprintf(b, ", KeyTarget: %q", s.Key.Shape)
	}
	if elem := s.Member.Shape + s.Value.Shape; elem != "" {
		fmt.Fprintf(b, ", ElemTarget: %q", elem)
	}
	if len(s.Members) > 0 {
		fmt.Fprint(b, ", Members: []awsmodel.Member{\n")
		for _, m := range s.Members {
			printMember(b, s, m)
		}
		fmt.Fprint(b, "}")
	}
	fmt.Fprint(b, "},\n")
}

func printMember(b *bytes.Buffer, s shape, m member) {
	wire, location := m.name, m.Location
	if m.LocationName != "" {
		wire = m.LocationName
	}
	if s.Payload == m.name {
		location = "payload"
	}
	fmt.Fprintf(b, "{Name: %q, WireName: %q, Target: %q", m.name, wire, m.Shape)
	if location != "" {
		fmt.Fprintf(b, ", In: %q", location)
	}
	if slices.Contains(s.Required, m.name) {
		fmt.Fprint(b, ", Required: true")
	}
	fmt.Fprint(b, "},\n")
}

func printBound(b *bytes.Buffer, name string, v *float64) {
	if v != nil {
		fmt.Fprintf(b, ", %s: new(float64(%s))", name, strconv.FormatFloat(*v, 'g', -1, 64))
	}
}

// literal prefers a raw string: patterns are full of backslashes.
func literal(s string) string {
	if strconv.CanBackquote(s) {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}
