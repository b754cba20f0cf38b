// Command muster-agent keeps a device on the version that its fleet wants:
// see package agent, and agentcmd for its flags.
package main

import (
	"os"

	"github.com/muster-iot/muster/cmd/internal/agentcmd"
	"github.com/muster-iot/muster/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(agentcmd.Command())) }
