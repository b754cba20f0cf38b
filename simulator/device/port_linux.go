package device

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// latePort leaves the choice of the local port to connect, which knows the
// whole connection: bind alone runs out of ports as soon as many connections
// of one source address are in TIME_WAIT.
func latePort(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
	if err != nil {
		return err
	}
	return failed
}
