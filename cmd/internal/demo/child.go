package demo

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

// Child makes a program's root command a hidden one that the demo starts as a
// child process: it ends when its standard input does.
func Child(root *cobra.Command) *cobra.Command {
	root.Hidden = true
	for _, c := range append(root.Commands(), root) {
		run := c.RunE
		if run == nil {
			continue
		}
		c.RunE = func(c *cobra.Command, args []string) error {
			ctx, end := context.WithCancel(c.Context())
			defer end()
			in := c.InOrStdin()
			go func() {
				defer end()
				_, _ = io.Copy(io.Discard, in)
			}()
			c.SetContext(ctx)
			return run(c, args)
		}
	}
	return root
}
