package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/operate"
)

func thingCommand() *cobra.Command {
	c := &cobra.Command{Use: "thing", Short: "Look into things", Args: noArgs, RunE: help}
	c.AddCommand(thingPreviewCommand())
	return c
}

func thingPreviewCommand() *cobra.Command {
	c := operator("preview THING", "Say what a change of a thing would do, and do nothing", 1, thingPreview)
	c.Long = `Says which groups a change of a thing would touch, which it would join and leave,
and what jobs would make of that. Nothing is changed.`
	c.Example = `  muster thing preview dev1 --reported '{"softwareVersion":"6"}'
  muster thing preview dev1 --attribute region=eu --connected=false`
	f := c.Flags()
	f.StringArray("attribute", nil, "an attribute as name=value, or name= to remove it; repeat for more")
	f.String("reported", "", "a JSON object that the device would report")
	f.Bool("connected", false, "the thing would be connected, or with --connected=false would not")
	f.Bool("delete", false, "the thing would be deleted")
	return c
}

func thingPreview(c *cobra.Command, args []string, s operatorSettings, api operate.Client) error {
	ask := operate.ChangeQuestion{Thing: protocol.ThingName(args[0]), Delete: s.Delete}
	for _, a := range s.Attributes {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return cli.Usagef("attribute %q is not of the form name=value", a)
		}
		if ask.Attributes == nil {
			ask.Attributes = map[string]string{}
		}
		ask.Attributes[name] = value
	}
	if s.Reported != "" {
		d := json.NewDecoder(strings.NewReader(s.Reported))
		d.UseNumber()
		if err := d.Decode(&ask.Reported); err != nil {
			return cli.Usagef("reported is not a JSON object: %w", err)
		}
	}
	if c.Flags().Changed("connected") {
		ask.Connected = &s.Connected
	}
	if len(ask.Attributes)+len(ask.Reported) == 0 && ask.Connected == nil && !ask.Delete {
		return cli.Usagef("say what would change: --attribute, --reported, --connected or --delete")
	}
	a, err := api.PreviewChange(c.Context(), ask)
	if err != nil {
		return err
	}
	if s.JSON {
		return printJSON(c, a)
	}
	printChange(c, a)
	return nil
}

func printChange(c *cobra.Command, a operate.ChangeAnswer) {
	out := c.OutOrStdout()
	if len(a.Touched)+len(a.Left)+len(a.Jobs) == 0 {
		fmt.Fprintln(out, "nothing: no group would be evaluated")
		return
	}
	if len(a.Touched) > 0 {
		fmt.Fprintf(out, "touches  %s\n", join(a.Touched))
	}
	for _, side := range []struct {
		word  string
		moves []operate.Move
	}{{"joins", a.Joined}, {"leaves", a.Left}} {
		for _, m := range side.moves {
			after := ""
			if m.After != "" {
				after = ", after " + m.After
			}
			fmt.Fprintf(out, "%-8s %s%s\n", side.word, m.Group, after)
		}
	}
	for _, j := range a.Jobs {
		fmt.Fprintf(out, "job      %s: %s (%s)\n", j.Job, j.Action, j.Reason)
	}
}
