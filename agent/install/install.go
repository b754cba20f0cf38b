// Package install holds the installers of the agent: what putting a new
// version on a device, running it and going back means for each kind of
// target. It owns the folders that it installs into and never decides when
// something is installed: agent/update does. The commands it runs come from
// the device's local configuration, never from a job or a target.
//
// So far there is one kind, [AppDir]. A new one (update modules, rauc,
// swupdate, the agent itself) is a type here that has agent.Installer's
// methods, each repeatable after a power cut, and passes the tests of AppDir.
package install

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Runner runs a local command and returns its output. Commands are lines of
// sh; env is added to a minimal environment.
type Runner func(ctx context.Context, command string, env []string) (output []byte, err error)

// outputKept is how much of a failed command's output goes into its error.
const outputKept = 200

// Shell is the [Runner] of a real device. The command and all that it started
// are killed when ctx ends.
func Shell(ctx context.Context, command string, env []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, env...)
	cmd.WaitDelay = time.Second
	ownGroup(cmd)
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil && err != nil {
		err = fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	}
	return output, err
}

// failed makes the error of a command.
func failed(what string, output []byte, err error) error {
	text := strings.Join(strings.Fields(string(output)), " ")
	if over := len(text) - outputKept; over > 0 {
		text = "…" + text[over:]
	}
	if text == "" {
		return fmt.Errorf("the %s command failed: %w", what, err)
	}
	return fmt.Errorf("the %s command failed: %w: %s", what, err, text)
}
