// Command muster is the operator's tool: it asks a server about its fleet,
// makes the firmware keys, signs releases and publishes them. Its commands read
// flags, environment and a file and call packages below firmware and
// server/operate; the work is there.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/cmd/internal/cli"
)

func main() { os.Exit(run()) }

func run() int { return cli.Main(rootCommand()) }

func rootCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "muster",
		Short: "Operate a Muster fleet",
		Long: `muster looks into the groups of a fleet, makes its firmware keys, signs releases
and publishes them.

Every flag can be set as MUSTER_<FLAG> in the environment (MUSTER_DIR,
MUSTER_SERVER) or as a key of the YAML file named by --config; a flag wins over
the environment, and that over the file.`,
		Args: noArgs,
		RunE: help,
	}
	c.PersistentFlags().String("config", "", "YAML file with the same keys as the flags")
	c.AddCommand(groupCommand(), thingCommand(), firmwareCommand(), releaseCommand())
	c.AddCommand(demoCommand())
	c.AddCommand(childCommands()...)
	return c
}
