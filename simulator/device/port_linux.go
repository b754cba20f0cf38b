package device

import (
	"net"
	"net/netip"
	"strings"
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

// sources is how many local addresses a fleet connects from: 25,000 from each
// are more than one process may have files.
const sources = 16

// Sources returns the local addresses that a fleet connects from to a broker
// in 127.0.0.0/8, all of which is this machine: each has ports of its own, so
// that neither many connections nor those in TIME_WAIT use them up. For other
// brokers there is none: the system chooses.
func Sources(broker string) []netip.Addr {
	host, _, _ := net.SplitHostPort(strings.TrimPrefix(broker, "mqtts://"))
	a, err := netip.ParseAddr(host)
	if err != nil || !a.Is4() || !a.IsLoopback() {
		return nil
	}
	list := make([]netip.Addr, sources)
	for i := range list {
		list[i] = netip.AddrFrom4([4]byte{127, 1, 0, byte(i + 1)})
	}
	return list
}
