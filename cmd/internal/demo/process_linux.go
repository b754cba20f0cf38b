package demo

import (
	"os/exec"
	"syscall"
)

// bind lets the child die with this process, and keeps a terminal's Ctrl-C
// from it: the demo ends its children in order.
func bind(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
