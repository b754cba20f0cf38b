// Package api serves the AWS REST surface of the fleet: the operations of the
// services iot, iotdata and iotjobsdata, one file per chapter of the AWS IoT
// reference, each a function from a request to an engine input or a read.
//
// It owns no state. It translates names: what AWS calls a thing, group or job
// on the wire is what the engine calls it in Go. It never decides what an
// operation means (package engine) nor how it travels (package restjson).
//
// # Adding an operation
//
//  1. Add its name to the list in internal/awsgen/services.go and run
//     go -C internal/awsgen run . -out ../../server/api/awsmodel
//     The request and response types appear in awsmodel/iot (or iotdata,
//     iotjobsdata). An operation that the published model lacks cannot be
//     generated yet.
//  2. Write a method of operations in the file of its chapter:
//     func (o *operations) name(ctx, call, *iot.NameRequest) (*iot.NameResponse, error).
//     The request is validated by the model already: required members are
//     there, lengths, patterns and enums hold. Refuse members that have no
//     effect here with unsupported, rather than ignoring them.
//  3. Change something with engine.Do and one input; read with o.read. Return
//     its error as it is: restjson maps *protocol.Error to the exception that the
//     operation's model has.
//  4. For a list, take page(call, in.NextToken, in.MaxResults) and return
//     next(call, cursor); the token is bound to the operation and its filters.
//     Return an empty list, not nil.
//  5. Write ARNs with call.ARN: the region is the caller's.
//  6. Register the method in table (api.go). New refuses a method whose types
//     are not those of the model.
//  7. Test it through HTTP in a file beside, and with a real SDK client in the
//     conformance tests.
package api
