package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// process is a child that serves. It ends when its standard input closes, and
// so with this process at the latest.
type process struct {
	name string
	cmd  *exec.Cmd
	life io.Closer
	addr addresses
}

// addresses is the line that a child prints once it serves.
type addresses struct {
	HTTP  string `json:"http"`
	MQTT  string `json:"mqtt"`
	MQTTS string `json:"mqtts"`
}

func start(name, binary string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(binary, args...)}
	log := &bytes.Buffer{}
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.life, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.addr)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s did not start: %q %s", name, line, log)
	}
	return p, nil
}

func (p *process) stop() {
	_ = p.life.Close()
	late := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	_ = p.cmd.Wait()
}

// ticks is the kernel's unit of CPU time as programs see it, USER_HZ.
const ticks = 100

// cpu is the CPU time that the child has used.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name, which may hold anything, ends with the last parenthesis.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const user, system = 11, 12
	var sum int
	for _, f := range [][]byte{fields[user], fields[system]} {
		n, err := strconv.Atoi(string(f))
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// rss is the child's resident memory in bytes.
func (p *process) rss() (int64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/statm")
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(string(bytes.Fields(text)[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}
