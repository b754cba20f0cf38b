package main

import (
	"time"

	"github.com/spf13/cobra"
)

// releaseSettings are the flags of the release commands.
type releaseSettings struct {
	Dir            string        `mapstructure:"dir"`
	Server         string        `mapstructure:"server"`
	Product        string        `mapstructure:"product"`
	Version        string        `mapstructure:"version"`
	Seq            int64         `mapstructure:"seq"`
	Hardware       []string      `mapstructure:"hw"`
	MinAgent       string        `mapstructure:"min-agent"`
	HealthTimeout  time.Duration `mapstructure:"health-timeout"`
	PassphraseFile string        `mapstructure:"passphrase-file"`
	Output         string        `mapstructure:"output"`
}

func releaseCommand() *cobra.Command {
	c := &cobra.Command{Use: "release", Short: "Sign and publish releases", Args: noArgs, RunE: help}
	c.AddCommand(releaseAddCommand(), releasePublishCommand(), releaseListCommand(), releaseDocumentCommand())
	return c
}
