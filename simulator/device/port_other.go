//go:build !linux

package device

import (
	"net/netip"
	"syscall"
)

// latePort has no counterpart here.
func latePort(string, string, syscall.RawConn) error { return nil }

// Sources returns none: other systems have one loopback address.
func Sources(string) []netip.Addr { return nil }
