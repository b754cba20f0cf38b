package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/sign"
)

func releaseAddCommand() *cobra.Command {
	c := command("add DIR --product NAME --version VERSION", "Pack and sign a folder as a release", 1, 1, releaseAdd)
	c.Long = `Packs a folder and signs it as a version of a product. Nothing is published yet.

Devices order releases by a counter (seq) and never go back below what they
have installed. Without --seq it is made from the version: major*10000 +
minor*100 + patch, so version 6 is 60000 and 5.1.0 is 50100. It has to be
higher than that of every earlier release of the product.`
	c.Example = "  muster release add ./build --product app --version 6 --hw rpi4 --hw rpi5"
	f := c.Flags()
	f.String("product", "", "product that the release updates")
	f.String("version", "", "version of the release, as 6 or 5.1.0")
	f.Int64("seq", 0, "release counter (default: made from the version)")
	f.StringSlice("hw", nil, "hardware id that the release is made for, may be repeated (default: any hardware)")
	f.String("min-agent", "", "oldest agent version that can install it")
	f.Duration("health-timeout", 0, "time in which the release has to become healthy (default: the device's own)")
	f.String("dir", defaultDir(), "folder of keys and signed releases")
	f.String("passphrase-file", "", "file with the passphrase (default: MUSTER_PASSPHRASE, or ask)")
	return c
}

func releaseAdd(c *cobra.Command, args []string) error {
	var s releaseSettings
	if err := cli.Settings(c, "MUSTER", &s); err != nil {
		return err
	}
	if s.Product == "" || s.Version == "" {
		return cli.Usagef("a release needs --product and --version")
	}
	w, err := open(s.Dir)
	if err != nil {
		return err
	}
	defer w.Close()
	pass, err := passphrase(c, s.PassphraseFile, false)
	if err != nil {
		return err
	}
	t, err := w.Add(sign.Release{
		Source: args[0], Product: s.Product, Version: s.Version, Seq: s.Seq, HardwareIDs: s.Hardware, MinAgent: s.MinAgent,
		Health: firmware.Health{Timeout: firmware.Duration(s.HealthTimeout)}, Passphrase: pass, Now: time.Now(),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "Signed %s: %s %s, seq %d, for hardware %s, %d bytes (%d unpacked), SHA-256 %s.\nNext: muster release publish\n",
		t.Path, s.Product, s.Version, t.Custom.Seq, strings.Join(t.Custom.HardwareIDs, ", "), t.Length, t.Custom.UnpackedSize, t.SHA256)
	return nil
}
