//go:build unix

package agentcmd

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock keeps a second agent away from the same state. The kernel gives it
// back when the process ends, however it ends.
func lock(name string) (unlock func() error, err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.New("another agent is using it")
		}
		return nil, err
	}
	return f.Close, nil
}
