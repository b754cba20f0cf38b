package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// startLimit bounds the start of a child process.
const startLimit = 20 * time.Second

// musterd is the server of a demo.
type musterd struct {
	family *family
	data   string // folder of everything that survives a restart
	process
	// HTTP and MQTT are the addresses, host:port. They stay the same.
	HTTP string `json:"http"`
	MQTT string `json:"mqtt"`
}

// process is the server's current process.
type process struct {
	child  *child
	starts int
	kills  int
}

func newMusterd(f *family, folder string) *musterd {
	return &musterd{family: f, data: filepath.Join(folder, "musterd"), HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0"}
}

// url is the base URL of the HTTP surfaces.
func (m *musterd) url() string { return "http://" + m.HTTP }

// start starts the server, on free ports the first time and on the same ones
// afterwards, and returns how long it took until it answered.
func (m *musterd) start(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	c, err := m.family.start("musterd", "musterd", "--dev", "--data", m.data, "--http", m.HTTP, "--mqtt", m.MQTT)
	if err != nil {
		return 0, err
	}
	m.child, m.starts = c, m.starts+1
	line, err := c.line(ctx, startLimit)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal([]byte(line), m); err != nil {
		return 0, fmt.Errorf("musterd printed %q, not its addresses: %w", line, err)
	}
	for _, a := range []string{m.HTTP, m.MQTT} {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return 0, fmt.Errorf("musterd printed %q, not its addresses: %w", line, err)
		}
	}
	return time.Since(began), nil
}

// kill ends the server with SIGKILL: it cannot save anything.
func (m *musterd) kill() error {
	if err := m.child.kill(); err != nil {
		return err
	}
	m.kills++
	return nil
}

// memory returns the server's resident memory in bytes, 0 if unknown.
func (m *musterd) memory() int64 { return memory(m.child.cmd.Process.Pid) }
