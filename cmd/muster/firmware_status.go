package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/firmware"
)

func firmwareStatusCommand() *cobra.Command {
	c := command("status", "Show roles, versions and how long they last", 0, 0, firmwareStatus)
	f := c.Flags()
	f.String("server", "", "URL of the server (default: the one of firmware init)")
	f.String("dir", defaultDir(), "folder of keys and signed releases")
	return c
}

func firmwareStatus(c *cobra.Command, _ []string) error {
	var s firmwareSettings
	w, err := workspace(c, &s, &s.Dir)
	if err != nil {
		return err
	}
	defer w.Close()
	roles, err := w.Status()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "Signed here, in %s:\n", s.Dir)
	if err := printRoles(c, roles); err != nil {
		return err
	}
	api, err := client(s.Server, w.Settings())
	if err != nil {
		return err
	}
	status, err := api.Status(c.Context())
	if err != nil {
		return err
	}
	if len(status.Roles) == 0 {
		fmt.Fprintf(c.OutOrStdout(), "\n%s has nothing published yet; publish with: muster release publish\n", api.URL)
		return nil
	}
	fmt.Fprintf(c.OutOrStdout(), "\nPublished at %s, %d targets, confirmed %s:\n", api.URL, status.Targets, status.Issued.Format(time.RFC3339))
	return printRoles(c, status.Roles)
}

func printRoles(c *cobra.Command, roles []firmware.RoleStatus) error {
	tw := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ROLE\tVERSION\tEXPIRES\tDAYS LEFT\tKEYS")
	now := time.Now()
	for _, r := range roles {
		fmt.Fprintf(tw, "%s\t%d\t%s\t%d\t%d of %d\n", r.Role, r.Version, r.Expires.Format(time.DateOnly), r.DaysLeft(now), r.Threshold, len(r.KeyIDs))
	}
	return tw.Flush()
}
