// Package cli is what Muster's programs share around their commands: signals,
// one-line errors, exit codes and the way of settings from flags,
// environment and file into a plain configuration. viper ends here.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"
)

// The exit codes of every program.
const (
	OK        = 0
	Failed    = 1
	Usage     = 2
	NotFound  = 3
	Invariant = 98
	Threshold = 99
)

// ExitError is an error with an exit code of its own.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }
func (e *ExitError) Unwrap() error { return e.Err }

// Usagef makes an error of wrong usage.
func Usagef(format string, args ...any) error {
	return &ExitError{Usage, fmt.Errorf(format, args...)}
}

// Main runs a root command until it ends or the process is told to stop by
// SIGINT or SIGTERM, prints a failure as one line, and returns the exit code.
func Main(root *cobra.Command) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return Usagef("%w: see %s --help", err, c.CommandPath())
	})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return OK
	}
	fmt.Fprintf(root.ErrOrStderr(), "%s: %s\n", root.Name(), strings.ReplaceAll(err.Error(), "\n", "; "))
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit.Code
	}
	if strings.HasPrefix(err.Error(), "unknown command") {
		return Usage
	}
	return Failed
}

// Settings gathers a command's flags, then PREFIX_* variables, then the YAML
// file named by the flag "config", the first that sets a key winning, and
// decodes them into a struct with mapstructure tags. Unknown keys of the file are errors.
func Settings(c *cobra.Command, prefix string, into any) error {
	v := viper.New()
	v.SetEnvPrefix(prefix)
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	if err := v.BindPFlags(c.Flags()); err != nil {
		return err
	}
	if file := v.GetString("config"); file != "" {
		v.SetConfigFile(file)
		v.SetConfigType("yaml")
		if err := v.ReadInConfig(); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("cannot read configuration: %s does not exist", file)
			}
			return fmt.Errorf("cannot read configuration %s: %w", file, err)
		}
		for _, k := range v.AllKeys() {
			if c.Flags().Lookup(k) == nil {
				return fmt.Errorf("configuration %s has unknown key %q: the keys are the names of the flags", file, k)
			}
		}
	}
	if err := v.Unmarshal(into); err != nil {
		return fmt.Errorf("cannot read settings: %w", err)
	}
	return nil
}

// Logger returns a logger to standard error: text, at the named level.
func Logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, Usagef("log level %q is not debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}
