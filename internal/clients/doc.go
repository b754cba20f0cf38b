// Package clients runs clients that strangers wrote, unchanged, against the
// real musterd: the SDKs and device SDKs of AWS, its CLI and Mosquitto's
// clients. A step of an API client is written once, in the files steps_*_test.go,
// and every client takes it: a small script below testdata does as its users
// would and tells what it saw as lines of JSON, the tests judge. Device SDKs have
// a script each. Clients that no registry has are replayed byte by byte.
//
// It owns docs/clients.md, the table of which client ran which operation. It
// holds no code besides its tests:
//
//	go test ./internal/clients -v        # run all, show the table
//	go test ./internal/clients -update   # write the table down
//
// A client that is not installed is skipped with its reason, but fails where CI
// is true. The packages of npm are installed once, into a folder of the user's
// cache, exactly as testdata/package-lock.json has them.
//
// Reading order: environment_test.go (what is installed), api_test.go (how a
// step reaches a client), the steps, then device_test.go.
package clients
