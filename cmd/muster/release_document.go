package main

import (
	"encoding/json"

	"github.com/spf13/cobra"
)

func releaseDocumentCommand() *cobra.Command {
	c := command("document PRODUCT [VERSION]", "Print the job document that installs a release", 1, 2, releaseDocument)
	c.Long = `Prints the job document that tells devices to install a release, the newest of
the product unless a version is given. It only names the signed target.`
	c.Example = `  muster release document app 6 > job.json
  aws iot create-job --job-id app-6 --targets ARN --document file://job.json`
	c.Flags().String("dir", defaultDir(), "folder of keys and signed releases")
	return c
}

func releaseDocument(c *cobra.Command, args []string) error {
	var s releaseSettings
	w, err := workspace(c, &s, &s.Dir)
	if err != nil {
		return err
	}
	defer w.Close()
	version := ""
	if len(args) > 1 {
		version = args[1]
	}
	t, err := w.Find(args[0], version)
	if err != nil {
		return err
	}
	return printJSON(c, t.Document())
}

func printJSON(c *cobra.Command, v any) error {
	enc := json.NewEncoder(c.OutOrStdout())
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
