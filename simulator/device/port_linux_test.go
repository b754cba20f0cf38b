package device

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// This test is inside the package: a device does not show its socket.

// TestLatePort: a connection from a chosen source leaves the choice of its
// port to connect, and one from no chosen source is left alone.
func TestLatePort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		name   string
		source netip.Addr
		from   string
		option int
	}{
		{"a chosen source", netip.MustParseAddr("127.1.0.7"), "127.1.0.7", 1},
		{"the system's choice", netip.Addr{}, "127.0.0.1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := newNetwork(c.source).dial(context.Background(), l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if from := conn.LocalAddr().(*net.TCPAddr).IP.String(); from != c.from {
				t.Errorf("it connects from %s, not %s", from, c.from)
			}
			if got := option(t, conn.(*line).Conn.(syscall.Conn)); got != c.option {
				t.Errorf("IP_BIND_ADDRESS_NO_PORT is %d, not %d", got, c.option)
			}
		})
	}
}

// option asks the kernel.
func option(t *testing.T, conn syscall.Conn) (value int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		value, failed = unix.GetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT)
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return value
}

func TestSources(t *testing.T) {
	for broker, many := range map[string]bool{
		"127.0.0.1:1883": true, "mqtts://127.0.0.1:8883": true, "127.5.0.1:1": true,
		"localhost:1883": false, "[::1]:1883": false, "10.0.0.1:1883": false, "nowhere": false,
	} {
		list := Sources(broker)
		if (len(list) > 1) != many {
			t.Errorf("to %s from %v", broker, list)
		}
		seen := map[netip.Addr]bool{}
		for _, a := range list {
			if seen[a] || !a.IsLoopback() {
				t.Errorf("to %s from %v", broker, list)
			}
			seen[a] = true
		}
	}
}
