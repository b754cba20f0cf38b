package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/operate"
	"github.com/muster-iot/muster/server/query"
)

// operatorSettings are the flags of the commands that ask a server about its
// fleet.
type operatorSettings struct {
	Server string `mapstructure:"server"`
	JSON   bool   `mapstructure:"json"`

	Query string `mapstructure:"query"`
	Group string `mapstructure:"group"`
	Thing string `mapstructure:"thing"`
	First int    `mapstructure:"first"`

	Debounce string `mapstructure:"connectivity-debounce"`

	Attributes []string `mapstructure:"attribute"`
	Reported   string   `mapstructure:"reported"`
	Connected  bool     `mapstructure:"connected"`
	Delete     bool     `mapstructure:"delete"`
}

// operator makes a command that asks a server.
func operator(use, short string, args int, do func(*cobra.Command, []string, operatorSettings, operate.Client) error) *cobra.Command {
	c := command(use, short, args, args, func(c *cobra.Command, args []string) error {
		var s operatorSettings
		if err := cli.Settings(c, "MUSTER", &s); err != nil {
			return err
		}
		return do(c, args, s, operate.Client{URL: s.Server})
	})
	c.Flags().String("server", "http://127.0.0.1:8080", "URL of the server")
	c.Flags().Bool("json", false, "print the server's answer as JSON")
	return c
}

func groupCommand() *cobra.Command {
	c := &cobra.Command{Use: "group", Short: "Look into thing groups", Args: noArgs, RunE: help}
	c.AddCommand(groupExplainCommand(), groupPreviewCommand(), groupDescribeCommand(), groupSetCommand())
	return c
}

func groupExplainCommand() *cobra.Command {
	c := operator("explain GROUP THING", "Say why a thing is in a group, or is not", 2, groupExplain)
	c.Long = `Says why a thing is in a group, or is not: every part of the group's query with
its answer and the values that it saw, and what stands between a match and the
membership.`
	c.Example = `  muster group explain ConnectedSWV5 dev1`
	return c
}

func groupExplain(c *cobra.Command, args []string, s operatorSettings, api operate.Client) error {
	m, err := api.Membership(c.Context(), protocol.ThingGroupName(args[0]), protocol.ThingName(args[1]))
	if err != nil {
		return err
	}
	if s.JSON {
		return printJSON(c, m)
	}
	out := c.OutOrStdout()
	is := "is not"
	if m.Member {
		is = "is"
	}
	fmt.Fprintf(out, "%s %s in %s: %s\n", m.Thing, is, m.Group, because(m))
	if m.Query != nil {
		printTree(out, *m.Query, "")
	}
	if m.JobsWait {
		fmt.Fprintf(out, "jobs learn of it when the group is ACTIVE\n")
	}
	for _, n := range m.NotMirrored {
		fmt.Fprintf(out, "reported %s is no attribute: %s\n", n.Field, n.Reason)
	}
	return nil
}

// because puts the reason of a membership into words.
func because(m operate.Membership) string {
	switch m.Reason {
	case engine.MemberMatches:
		return "the query matches"
	case engine.MemberNoMatch:
		return "the query does not match"
	case engine.MemberBuilding:
		return fmt.Sprintf("the group is %s%s and has not come to it", m.Status, progress(m.Build))
	case engine.MemberRefused:
		return fmt.Sprintf("the query matches, but it may be in no more groups than %s", join(m.Places))
	case engine.MemberDebounce:
		return fmt.Sprintf("its connectivity has changed, and the membership will at %s unless it changes back", m.Until.Format(time.RFC3339))
	case engine.MemberDirect:
		return "it was put there"
	case engine.MemberBelow:
		return "it is in " + join(m.Through[len(m.Through)-1:]) + " below it"
	case engine.MemberNot:
		return "it was not put there, nor into a group below"
	}
	return string(m.Reason)
}

func progress(b *engine.BuildProgress) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf(" (%d of %d things)", b.Scanned, b.Of)
}

func join[S ~string](list []S) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// printTree prints a query part by part, each with a mark and what it saw.
func printTree(out io.Writer, e query.Explanation, indent string) {
	mark, text := "✗", e.Text
	if e.Matched {
		mark = "✓"
	}
	if e.Operator != "" {
		text = e.Operator
	}
	switch {
	case len(e.Seen) > 0:
		text += "   saw " + strings.Join(e.Seen, ", ")
	case e.Field != "":
		text += "   saw no value"
	}
	fmt.Fprintf(out, "%s%s %s\n", indent, mark, text)
	for _, child := range e.Children {
		printTree(out, child, indent+"  ")
	}
}

func groupPreviewCommand() *cobra.Command {
	c := operator("preview", "Say what a query would match, before there is a group", 0, groupPreview)
	c.Long = `Says how many things a query matches now, names the first of them, and points at
what may not be meant. With --group it says what the query would change in a
group that there is. Nothing is changed.`
	c.Example = `  muster group preview --query 'attributes.softwareSeq<60000'
  muster group preview --query 'attributes.region:eu' --group Europe --thing dev1`
	f := c.Flags()
	f.String("query", "", "the query")
	f.String("group", "", "a dynamic group that would get the query")
	f.String("thing", "", "explain the query to this thing")
	f.Int("first", 10, "how many things to name, at most 100")
	return c
}

func groupPreview(c *cobra.Command, _ []string, s operatorSettings, api operate.Client) error {
	if s.Query == "" {
		return cli.Usagef("%s needs --query", c.CommandPath())
	}
	a, err := api.PreviewQuery(c.Context(), operate.QueryQuestion{
		Query: s.Query, Group: protocol.ThingGroupName(s.Group), Thing: protocol.ThingName(s.Thing), First: &s.First,
	})
	if err != nil {
		return err
	}
	if s.JSON {
		return printJSON(c, a)
	}
	out := c.OutOrStdout()
	fmt.Fprintf(out, "%s\nmatches %s now; %d of at most %d terms\n", a.Query, things(a.Count), a.Terms, a.MaxTerms)
	if a.Joining != nil && a.Leaving != nil {
		fmt.Fprintf(out, "%s would gain %s and lose %s\n", s.Group, things(*a.Joining), things(*a.Leaving))
	}
	for _, n := range a.First {
		fmt.Fprintf(out, "  %s\n", n)
	}
	if more := a.Count - len(a.First); more > 0 && len(a.First) > 0 {
		fmt.Fprintf(out, "  and %d more\n", more)
	}
	for _, l := range a.Lints {
		fmt.Fprintf(out, "note: %s\n", l.Text)
	}
	if a.Explanation != nil {
		fmt.Fprintf(out, "%s:\n", s.Thing)
		printTree(out, *a.Explanation, "")
	}
	return nil
}

func things(n int) string {
	if n == 1 {
		return "1 thing"
	}
	return fmt.Sprintf("%d things", n)
}

func groupDescribeCommand() *cobra.Command {
	c := operator("describe GROUP", "Describe a thing group beyond what AWS tells", 1, groupDescribe)
	c.Example = `  muster group describe ConnectedSWV5`
	return c
}

func groupDescribe(c *cobra.Command, args []string, s operatorSettings, api operate.Client) error {
	g, err := api.Group(c.Context(), protocol.ThingGroupName(args[0]))
	if err != nil {
		return err
	}
	return printGroup(c, s, g)
}

func groupSetCommand() *cobra.Command {
	c := operator("set GROUP", "Set what Muster adds to a dynamic thing group", 1, groupSet)
	c.Long = `Sets how long a thing's join or leave waits that its connectivity alone caused: a
device that comes back within that time has not left. 0s carries it out at once.`
	c.Example = `  muster group set ConnectedSWV5 --connectivity-debounce 30s`
	c.Flags().String("connectivity-debounce", "", "a duration from 0s to 1h, such as 30s")
	return c
}

func groupSet(c *cobra.Command, args []string, s operatorSettings, api operate.Client) error {
	if s.Debounce == "" {
		return cli.Usagef("%s needs --connectivity-debounce", c.CommandPath())
	}
	g, err := api.SetGroup(c.Context(), protocol.ThingGroupName(args[0]), operate.GroupSettings{ConnectivityDebounce: &s.Debounce})
	if err != nil {
		return err
	}
	return printGroup(c, s, g)
}

func printGroup(c *cobra.Command, s operatorSettings, g operate.Group) error {
	if s.JSON {
		return printJSON(c, g)
	}
	out := c.OutOrStdout()
	if !g.Dynamic {
		fmt.Fprintf(out, "%s is a static group of %s\n", g.Name, things(g.Members))
	} else {
		fmt.Fprintf(out, "%s is a dynamic group of %s\n", g.Name, things(g.Members))
		fmt.Fprintf(out, "  status    %s%s\n", g.Status, progress(g.Build))
		fmt.Fprintf(out, "  query     %s\n", g.Query)
		fmt.Fprintf(out, "  terms     %d\n", g.Terms)
		fmt.Fprintf(out, "  debounce  %s, %s waiting\n", g.ConnectivityDebounce, things(g.PendingDebounces))
		fmt.Fprintf(out, "  held      %s join its jobs when it is ACTIVE\n", things(g.HeldJoins))
	}
	fmt.Fprintf(out, "  jobs      %s\n", cmp.Or(join(g.Jobs), "none"))
	fmt.Fprintf(out, "  version   %d, created %s\n", g.Version, g.CreatedAt.Format(time.RFC3339))
	return nil
}
