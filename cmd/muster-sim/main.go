// Command muster-sim runs virtual things against a server. See package
// simulator.
package main

import (
	"os"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/cmd/internal/simcmd"
)

func main() { os.Exit(cli.Main(simcmd.Command())) }
