package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/firmware/sign"
	"github.com/muster-iot/muster/protocol"
)

// command makes a leaf command that takes between least and most arguments.
// A failure gets its exit code here.
func command(use, short string, least, most int, do func(*cobra.Command, []string) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < least || len(args) > most {
				return cli.Usagef("%s takes %s, not %d: see %s --help", c.CommandPath(), count(least, most), len(args), c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			err := do(c, args)
			if e, ok := errors.AsType[*protocol.Error](err); ok && e.Code == protocol.NotFound {
				return &cli.ExitError{Code: cli.NotFound, Err: err}
			}
			return err
		},
	}
}

func count(least, most int) string {
	switch {
	case most == 0:
		return "no argument"
	case least == most && most == 1:
		return "one argument"
	case least == most:
		return fmt.Sprintf("%d arguments", most)
	default:
		return fmt.Sprintf("%d to %d arguments", least, most)
	}
}

// noArgs is for commands that only group others.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.Usagef("%s has no command %q: see %s --help", c.CommandPath(), args[0], c.CommandPath())
	}
	return nil
}

func help(c *cobra.Command, _ []string) error { return c.Help() }

// defaultDir is the operator's folder, or "" where there is no home.
func defaultDir() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".muster")
}

// workspace reads the settings of a command and opens the workspace of its
// --dir; dir is where in the settings that is.
func workspace(c *cobra.Command, settings any, dir *string) (*sign.Workspace, error) {
	if err := cli.Settings(c, "MUSTER", settings); err != nil {
		return nil, err
	}
	return open(*dir)
}

// open opens the workspace of --dir.
func open(dir string) (*sign.Workspace, error) {
	if dir == "" {
		return nil, cli.Usagef("no home folder: say with --dir where the firmware workspace is")
	}
	return sign.Open(dir)
}

// client talks to the server of --server, or to the workspace's.
func client(flag string, settings sign.Settings) (repo.Client, error) {
	server := flag
	if server == "" {
		server = settings.Server
	}
	if server == "" {
		return repo.Client{}, cli.Usagef("say with --server which server, as http://127.0.0.1:8080")
	}
	// An answer may take as long as hashing a large artifact does.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 5 * time.Minute
	return repo.Client{URL: server, HTTP: &http.Client{Transport: transport}}, nil
}
