// Package agentcmd is the command line of the agent, apart from the binary,
// so that other binaries can run agents as hidden subcommands. It owns flags,
// environment and configuration file, and puts the agent's real parts
// together; everything else is in package agent.
package agentcmd

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/cmd/internal/cli"
)

// Version is the agent's version; signed targets may ask for a least one.
const Version = "0.1.0"

// stopTime is how long a running agent may take to end after SIGTERM.
const stopTime = 5 * time.Second

// usage makes an error one of wrong usage.
func usage(err error) error { return &cli.ExitError{Code: cli.Usage, Err: err} }

// Command returns the command muster-agent with its subcommands, for [cli.Main].
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "muster-agent",
		Short:         "Keep this device on the version that its fleet wants",
		Version:       Version + revision(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	cmd.AddCommand(runCommand(), statusCommand())
	return cmd
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.Usagef("unknown argument %q; see --help", args[0])
	}
	return nil
}

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Connect, report and update until stopped",
		Example: "  muster-agent run --mqtt fleet.example:1883 --http http://fleet.example:8080 --thing pump-17 \\\n" +
			"    --product app=/opt/app --root /etc/muster-agent/root.json --restart 'systemctl restart app'",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd.Flags())
			if err != nil {
				return err
			}
			logger, err := cli.Logger(cfg.LogLevel)
			if err != nil {
				return err
			}
			return run(cmd.Context(), cfg, logger)
		},
	}
	addFlags(cmd.Flags())
	return cmd
}

// run runs an agent until ctx ends, and then for stopTime at most.
func run(ctx context.Context, cfg Config, logger *slog.Logger) error {
	a, closing, err := build(cfg, logger)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		defer closing()
		ended <- a.Run(ctx)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(stopTime):
		// The journal knows where the update stands; the next start goes on.
		logger.Warn("stopped in the middle of a work", "after", stopTime)
		return nil
	}
}

// revision returns the source revision of the build, for --version.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return " (" + s.Value[:12] + ")"
		}
	}
	return ""
}
