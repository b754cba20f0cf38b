package floorcmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/internal/devcert"
	"github.com/muster-iot/muster/simulator"
)

// limit bounds the start of the child process, and its end.
const limit = 10 * time.Second

// Start starts the command as a child process of a binary that has it, with
// certificates of its own when it is to speak TLS. stop ends the child, which
// ends by itself when this process does.
func Start(binary string, secure bool) (f simulator.Floor, stop func() error, err error) {
	args := []string{Name}
	if secure {
		dir, err := os.MkdirTemp("", "muster-floor-")
		if err != nil {
			return f, nil, fmt.Errorf("cannot start the floor: %w", err)
		}
		defer os.RemoveAll(dir) // all are read when this function returns
		files, err := devcert.Make(dir)
		if err != nil {
			return f, nil, err
		}
		if f.TLS, err = cli.ClientTLS(files.CA, "", "", ""); err != nil {
			return f, nil, err
		}
		args = append(args, "--cert", files.ServerCert, "--key", files.ServerKey)
	}
	cmd := exec.Command(binary, args...)
	cmd.Stderr = os.Stderr
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return f, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return f, nil, err
	}
	if err := cmd.Start(); err != nil {
		return f, nil, fmt.Errorf("cannot start the floor: %w", err)
	}
	stop = func() error { return end(cmd, lifeline) }
	if f.Address, err = address(out); err != nil {
		return f, nil, errors.Join(fmt.Errorf("cannot start the floor: %w", err), stop())
	}
	return f, stop, nil
}

// address reads the line that the child prints.
func address(out io.Reader) (string, error) {
	type answer struct {
		line []byte
		err  error
	}
	printed := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(out).ReadBytes('\n')
		printed <- answer{line, err}
	}()
	select {
	case a := <-printed:
		if a.err != nil {
			return "", fmt.Errorf("it did not print its address: %w", a.err)
		}
		var at Address
		err := json.Unmarshal(a.line, &at)
		return at.MQTT, err
	case <-time.After(limit):
		return "", fmt.Errorf("it did not answer within %s", limit)
	}
}

// end closes the child's standard input, and kills it if that is not enough.
func end(cmd *exec.Cmd, lifeline io.Closer) error {
	_ = lifeline.Close()
	late := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("the floor ended: %w", err)
	}
	return nil
}
