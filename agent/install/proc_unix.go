//go:build unix

package install

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the command the head of a process group, so that all of it
// can be killed.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
