package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func releasePublishCommand() *cobra.Command {
	c := command("publish", "Send signed releases to the server", 0, 0, releasePublish)
	f := c.Flags()
	f.String("server", "", "URL of the server (default: the one of firmware init)")
	f.String("dir", defaultDir(), "folder of keys and signed releases")
	return c
}

func releasePublish(c *cobra.Command, _ []string) error {
	var s releaseSettings
	w, err := workspace(c, &s, &s.Dir)
	if err != nil {
		return err
	}
	defer w.Close()
	api, err := client(s.Server, w.Settings())
	if err != nil {
		return err
	}
	status, uploaded, err := api.Publish(c.Context(), w)
	if err != nil {
		return err
	}
	for _, t := range uploaded {
		fmt.Fprintf(c.OutOrStdout(), "Uploaded %s (%d bytes)\n", t.Path, t.Length)
	}
	fmt.Fprintf(c.OutOrStdout(), "Published at %s: %d targets, confirmed %s\n", api.URL, status.Targets, status.Issued.Format(time.RFC3339))
	return nil
}
