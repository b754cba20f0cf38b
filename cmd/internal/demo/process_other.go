//go:build !unix

package demo

import "os/exec"

func bind(*exec.Cmd) {}

func memory(int) int64 { return 0 }
