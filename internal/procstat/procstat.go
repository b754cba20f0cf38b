// Package procstat tells what a process uses, from Linux's /proc; on other
// systems every answer is an error. It measures and decides nothing.
package procstat

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Memory is the resident memory of a process in bytes.
func Memory(pid int) (int64, error) {
	fields, err := read(pid, "statm", 2)
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// ticks is how many units of its CPU time a second has, as programs see them.
const ticks = 100

// CPU is the CPU time that a process has used, in user mode and in the
// kernel; it is told in hundredths of a second (man 5 proc).
func CPU(pid int) (time.Duration, error) {
	const user, system = 11, 12 // fields 14 and 15; ours begin at the third
	fields, err := read(pid, "stat", system+1)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, f := range fields[user : system+1] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// read returns the fields of a file of a process, at least so many, from behind
// the program's name, which stands in brackets and may hold anything.
func read(pid int, name string, atLeast int) ([][]byte, error) {
	file := "/proc/" + strconv.Itoa(pid) + "/" + name
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < atLeast {
		return nil, fmt.Errorf("%s has %d fields, not %d", file, len(fields), atLeast)
	}
	return fields, nil
}
