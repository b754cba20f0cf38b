//go:build unix && !linux

package demo

import (
	"os/exec"
	"syscall"
)

// bind keeps a terminal's Ctrl-C from the child: the demo ends its children in
// order. That they end with this process is left to their standard input.
func bind(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
