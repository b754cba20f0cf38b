package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/firmware"
)

func releaseListCommand() *cobra.Command {
	c := command("list", "List signed releases", 0, 0, releaseList)
	f := c.Flags()
	f.String("dir", defaultDir(), "folder of keys and signed releases")
	f.StringP("output", "o", "table", "table or json")
	return c
}

func releaseList(c *cobra.Command, _ []string) error {
	var s releaseSettings
	w, err := workspace(c, &s, &s.Dir)
	if err != nil {
		return err
	}
	defer w.Close()
	list, err := w.Releases()
	if err != nil {
		return err
	}
	switch s.Output {
	case "json":
		return printJSON(c, list)
	case "table":
		return printReleases(c, list)
	default:
		return cli.Usagef("output %q is not table or json", s.Output)
	}
}

func printReleases(c *cobra.Command, list []firmware.Target) error {
	tw := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "PRODUCT\tVERSION\tSEQ\tHARDWARE\tBYTES\tTARGET")
	for _, t := range list {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\t%d\t%s\n", t.Custom.Product, t.Custom.Version, t.Custom.Seq,
			strings.Join(t.Custom.HardwareIDs, ","), t.Length, t.Path)
	}
	return tw.Flush()
}
