package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/muster-iot/muster/cmd/internal/agentcmd"
	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/cmd/internal/demo"
	"github.com/muster-iot/muster/cmd/internal/floorcmd"
	"github.com/muster-iot/muster/cmd/internal/serverd"
)

// demoSettings are the flags of the demo.
type demoSettings struct {
	Devices int    `mapstructure:"devices"`
	TLS     bool   `mapstructure:"tls"`
	Keep    bool   `mapstructure:"keep"`
	Seed    uint64 `mapstructure:"seed"`
}

func demoCommand() *cobra.Command {
	c := command("demo", "Watch a fleet update itself on this machine", 0, 0, runDemo)
	c.Long = `Starts a server, three agents and many virtual devices in a temporary folder,
updates them all from version 5 to 6 by a dynamic group and a continuous job,
lets devices drop off and kills the server on the way, and checks in the end
that every device was updated exactly once. It exits with 0 only if all of it held.`
	f := c.Flags()
	f.Int("devices", 100, "number of virtual devices at the start; three for ten of them, at least 20, come later")
	f.Bool("tls", false, "let all devices speak TLS, with certificates that the demo makes")
	f.Bool("keep", false, "leave it running until Ctrl-C, with commands to try")
	f.Uint64("seed", 1, "decides what the simulation draws")
	return c
}

func runDemo(c *cobra.Command, _ []string) error {
	var s demoSettings
	if err := cli.Settings(c, "MUSTER_DEMO", &s); err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program, to start it again: %w", err)
	}
	cfg := demo.Config{Binary: binary, Devices: s.Devices, TLS: s.TLS, Keep: s.Keep, Seed: s.Seed, Out: c.OutOrStdout()}
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) {
		if cfg.Width, _, err = term.GetSize(fd); err != nil {
			cfg.Width = 80
		}
	}
	d, err := demo.New(cfg)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	return d.Run(c.Context())
}

// childCommands are what the demo runs as child processes of this binary.
func childCommands() []*cobra.Command {
	return []*cobra.Command{demo.Child(serverd.Command()), demo.Child(agentcmd.Command()), floorcmd.Command()}
}
