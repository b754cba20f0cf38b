package procstat_test

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/procstat"
)

// TestOwn: this process uses memory, and CPU time that grows with its work.
func TestOwn(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/proc is Linux's")
	}
	memory, err := procstat.Memory(os.Getpid())
	if err != nil || memory < 1<<20 {
		t.Errorf("%d bytes, %v", memory, err)
	}
	before, err := procstat.CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if used, err := procstat.CPU(os.Getpid()); err != nil || used > before {
			return
		}
	}
	t.Error("a busy process uses no CPU time")
}

// TestNone: a process that does not exist is an error.
func TestNone(t *testing.T) {
	if _, err := procstat.Memory(-1); err == nil {
		t.Error("memory is told")
	}
	if _, err := procstat.CPU(-1); err == nil {
		t.Error("CPU time is told")
	}
}
