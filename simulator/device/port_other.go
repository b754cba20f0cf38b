//go:build !linux

package device

import "syscall"

// latePort has no counterpart here.
func latePort(string, string, syscall.RawConn) error { return nil }
