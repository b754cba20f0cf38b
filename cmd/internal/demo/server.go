package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/muster-iot/muster/internal/devcert"
	"github.com/muster-iot/muster/internal/procstat"
)

// startLimit bounds the start of a child process.
const startLimit = 20 * time.Second

// musterd is the server of a demo.
type musterd struct {
	family *family
	data   string // folder of everything that survives a restart
	process
	// HTTP, MQTT and, with TLS, MQTTS are the addresses, host:port. They stay
	// the same.
	HTTP  string `json:"http"`
	MQTT  string `json:"mqtt"`
	MQTTS string `json:"mqtts"`
	// tls are the certificates when devices speak TLS, else nil.
	tls *devcert.Files
}

// process is the server's current process.
type process struct {
	child  *child
	starts int
	kills  int
	// spent is the processor time of the processes before it.
	spent time.Duration
}

// newMusterd makes the server's certificates, if devices are to speak TLS, and
// starts nothing.
func newMusterd(f *family, folder string, secure bool) (*musterd, error) {
	m := &musterd{family: f, data: filepath.Join(folder, "musterd"), HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0"}
	if !secure {
		return m, nil
	}
	dir := filepath.Join(folder, "tls")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	files, err := devcert.Make(dir)
	m.tls, m.MQTTS = &files, "127.0.0.1:0"
	return m, err
}

// broker is the address that devices connect to.
func (m *musterd) broker() string {
	if m.tls != nil {
		return "mqtts://" + m.MQTTS
	}
	return m.MQTT
}

// url is the base URL of the HTTP surfaces.
func (m *musterd) url() string { return "http://" + m.HTTP }

// start starts the server, on free ports the first time and on the same ones
// afterwards, and returns how long it took until it answered.
func (m *musterd) start(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	args := []string{"musterd", "--dev", "--data", m.data, "--http", m.HTTP, "--mqtt", m.MQTT}
	if m.tls != nil {
		args = append(args, "--mqtts", m.MQTTS, "--cert", m.tls.ServerCert, "--key", m.tls.ServerKey)
	}
	c, err := m.family.start("musterd", args...)
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
	for _, a := range []string{m.HTTP, strings.TrimPrefix(m.broker(), "mqtts://")} {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return 0, fmt.Errorf("musterd printed %q, not its addresses: %w", line, err)
		}
	}
	return time.Since(began), nil
}

// kill ends the server with SIGKILL: it cannot save anything.
func (m *musterd) kill() error {
	spent := m.cpu()
	if err := m.child.kill(); err != nil {
		return err
	}
	m.kills, m.spent = m.kills+1, spent
	return nil
}

// memory returns the server's resident memory in bytes, 0 if unknown.
func (m *musterd) memory() int64 {
	bytes, _ := procstat.Memory(m.child.cmd.Process.Pid)
	return bytes
}

// cpu returns the processor time of all the server's processes, 0 if unknown.
func (m *musterd) cpu() time.Duration {
	used, _ := procstat.CPU(m.child.cmd.Process.Pid)
	return m.spent + used
}
