package restjson

import (
	"context"
	"fmt"
	"reflect"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/api/awsmodel"
)

// Nothing is the response of an operation that has none.
type Nothing = struct{}

// Operation is a function that serves an operation, made by [Serve].
type Operation struct {
	in, out reflect.Type
	call    func(ctx context.Context, call Call, in any) (any, error)
}

// Serve makes an [Operation] of a function. In and Out are the generated
// types of the request and the response; a nil response is an empty one.
func Serve[In, Out any](f func(ctx context.Context, call Call, in *In) (*Out, error)) Operation {
	return Operation{
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		call: func(ctx context.Context, call Call, in any) (any, error) {
			out, err := f(ctx, call, in.(*In))
			if err != nil {
				return nil, err
			}
			if out == nil {
				out = new(Out)
			}
			return out, nil
		},
	}
}

func (o Operation) served() bool { return o.call != nil }

// check compares the Go types with the description, member by member.
func (o Operation) check(op *awsmodel.Operation) error {
	if err := sameMembers(o.in, op.Input); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if err := sameMembers(o.out, op.Output); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	if op.Output == nil {
		return nil
	}
	for _, m := range op.Output.Members {
		if m.In != awsmodel.Body && m.In != awsmodel.Payload {
			return fmt.Errorf("response: member %s travels in the %s, which is not supported", m.Name, m.In)
		}
	}
	return nil
}

func sameMembers(t reflect.Type, shape *awsmodel.Shape) error {
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%s is not a structure", t)
	}
	var members []awsmodel.Member
	if shape != nil {
		members = shape.Members
	}
	if t.NumField() != len(members) {
		return fmt.Errorf("%s has %d fields, the description %d members", t, t.NumField(), len(members))
	}
	for i, m := range members {
		if !sameName(t.Field(i).Name, m.Name) {
			return fmt.Errorf("field %d of %s is %s, the description has %s", i, t, t.Field(i).Name, m.Name)
		}
	}
	return nil
}

func sameName(field, member string) bool {
	return len(field) == len(member) && field[1:] == member[1:] && field[0]|0x20 == member[0]|0x20
}

// Call is what an operation knows about the request beside its members.
type Call struct {
	Operation string
	// Region is that of the caller's signature, else the server's.
	Region, Account string
	RequestID       string

	filters map[string]any // members that a list's token is bound to
}

// ARN names a resource in the caller's region and the server's account.
func (c Call) ARN(kind, name string) string {
	return protocol.ARN{Region: c.Region, Account: c.Account, Kind: kind, Name: name}.String()
}
