// Package identity holds what the fleet knows about who its devices are and
// what they may do: certificates, the CA certificates that sign them, policies
// with their versions, and which statuses and attachments are allowed (AWS IoT
// reference 2.5). It is pure: a change takes a record and returns a record, and
// every refusal is a *protocol.Error.
//
// The records are the engine's, which makes them durable. A policy's text is
// parsed once, by [ParsePolicy], into the [Document] that enforcement will
// evaluate; nothing here evaluates it. This package never sees a private key
// and never issues a certificate (package issuer does).
package identity
