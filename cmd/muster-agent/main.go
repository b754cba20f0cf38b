// Command muster-agent keeps a device on the version that its fleet wants:
// see package agent, and agentcmd for its flags.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/muster-iot/muster/cmd/internal/agentcmd"
)

func main() {
	err := agentcmd.Command().ExecuteContext(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "muster-agent:", err)
	}
	os.Exit(agentcmd.ExitCode(err))
}
