// Package restjson speaks AWS's rest-json protocol on net/http: it finds the
// operation of a request, decodes and validates what it carries by the
// descriptions of package awsmodel, calls the function that serves the
// operation and writes its answer or error (AWS IoT reference, chapter 1).
//
// It owns no state and knows no operation: package api supplies them. It
// never decides what an error is, only how AWS words it on the wire.
//
// A request flows downhill through the files: handler.go reads and
// authenticates it, route.go finds the operation, decode.go reads its members
// (body.go parses the JSON, fill.go sets and checks the fields), operation.go
// makes the call, respond.go writes the answer, errors.go the failure.
// token.go makes the tokens with which lists go on.
package restjson
