package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/muster-iot/muster/internal/procstat"
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

// cpu is the CPU time that the child has used.
func (p *process) cpu() (time.Duration, error) { return procstat.CPU(p.cmd.Process.Pid) }

// rss is the child's resident memory in bytes.
func (p *process) rss() (int64, error) { return procstat.Memory(p.cmd.Process.Pid) }
