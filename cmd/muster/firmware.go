package main

import (
	"github.com/spf13/cobra"
)

// firmwareSettings are the flags of the firmware commands.
type firmwareSettings struct {
	Dir            string `mapstructure:"dir"`
	Server         string `mapstructure:"server"`
	Solo           bool   `mapstructure:"solo"`
	PassphraseFile string `mapstructure:"passphrase-file"`
}

func firmwareCommand() *cobra.Command {
	c := &cobra.Command{Use: "firmware", Short: "Keys and roles that sign firmware", Args: noArgs, RunE: help}
	c.AddCommand(firmwareInitCommand(), firmwareStatusCommand())
	return c
}
