package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/firmware/sign"
	"github.com/muster-iot/muster/protocol"
)

func firmwareInitCommand() *cobra.Command {
	c := command("init --solo --server URL", "Make the firmware key and root of a fleet", 0, 0, firmwareInit)
	c.Long = `Makes a key that is sealed with a passphrase, signs the root that devices will
trust, and prints a recovery key that is stored nowhere: write it down.

The server's own key, fetched from --server, may only confirm daily which
releases are current; it can never make one.`
	c.Example = "  muster firmware init --solo --server http://127.0.0.1:8080"
	f := c.Flags()
	f.Bool("solo", false, "one key for everything, for fleets run by one person")
	f.String("server", "", "URL of the server, as http://127.0.0.1:8080")
	f.String("dir", defaultDir(), "folder of keys and signed releases")
	f.String("passphrase-file", "", "file with the passphrase (default: MUSTER_PASSPHRASE, or ask)")
	return c
}

func firmwareInit(c *cobra.Command, _ []string) error {
	var s firmwareSettings
	if err := cli.Settings(c, "MUSTER", &s); err != nil {
		return err
	}
	if !s.Solo {
		return cli.Usagef("give --solo: keys for several people are not available yet")
	}
	if s.Dir == "" {
		return cli.Usagef("no home folder: say with --dir where to keep the key")
	}
	api, err := client(s.Server, sign.Settings{})
	if err != nil {
		return err
	}
	status, err := api.Status(c.Context())
	if err != nil {
		return fmt.Errorf("cannot get the server's online key: %w", err)
	}
	if len(status.Roles) > 0 {
		return protocol.Errorf(protocol.AlreadyExists, "%s already has a firmware root that its devices trust; use the workspace that made it", s.Server)
	}
	pass, err := passphrase(c, s.PassphraseFile, true)
	if err != nil {
		return err
	}
	w, recovery, err := sign.InitSolo(sign.SoloConfig{
		Dir: s.Dir, Settings: sign.Settings{Server: s.Server}, OnlineKey: status.OnlineKey, Passphrase: pass, Now: time.Now(),
	})
	if err != nil {
		return err
	}
	defer w.Close()
	fmt.Fprintf(c.OutOrStdout(), `Firmware key made in %s.

Recovery key, shown only this once. Write it down and keep it apart from this
computer; it replaces the key if that is lost:

    %s

Ship this file with every device; it is what they trust:

    %s

Next: muster release add DIR --product app --version 1
`, s.Dir, recovery, w.RootPath())
	return nil
}
