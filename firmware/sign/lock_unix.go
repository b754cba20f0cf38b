//go:build unix

package sign

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/muster-iot/muster/protocol"
)

// lock keeps two programs from signing in one workspace at once. The kernel
// drops the lock with the process.
func (w *Workspace) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(w.path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the firmware workspace: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, protocol.Errorf(protocol.Conflict, "another muster command is signing in %s; try again when it is done", w.path)
	}
	return func() { f.Close() }, nil
}
