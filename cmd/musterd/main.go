// Command musterd is the fleet server. See package server.
package main

import (
	"os"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/cmd/internal/serverd"
)

func main() { os.Exit(cli.Main(serverd.Command())) }
