// Package proctest tests the programs as they ship: it starts the real musterd
// and muster-agent, kills them with SIGKILL, feeds them garbage, and judges by
// what a client outside can see. It owns the [Ledger] of everything that the
// server ever acknowledged and the [Fleet] that is read back from it over HTTP;
// it knows none of Muster's own types, so that a mistake there cannot hide
// itself here.
//
// Reading order: ledger.go (what was promised), fleet.go (what is there, and
// what must hold of it whatever was promised), then the tests: musterd_test.go
// (the process), operator_test.go and device_test.go (the clients), and
// kill_test.go (the rounds).
package proctest
