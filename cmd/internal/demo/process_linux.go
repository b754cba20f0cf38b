package demo

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// bind lets the child die with this process, and keeps a terminal's Ctrl-C
// from it: the demo ends its children in order.
func bind(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// memory returns the resident memory of a process in bytes, 0 if unknown.
func memory(pid int) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
