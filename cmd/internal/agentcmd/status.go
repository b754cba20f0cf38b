package agentcmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-iot/muster/agent/journal"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/internal/durable"
)

// status is what the journal says.
type status struct {
	Update    update.State              `json:"update"`
	Committed map[string]update.Release `json:"committed"`
	// Problems are the parts of the journal that cannot be read.
	Problems []string `json:"problems,omitempty"`
}

func statusCommand() *cobra.Command {
	var dir, output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs here and where an update stands",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return cli.Usagef("output %q is not text or json", output)
			}
			s, err := readStatus(dir)
			if err != nil {
				return err
			}
			if output == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(s)
			}
			return s.print(cmd.OutOrStdout())
		},
	}
	state := "/var/lib/muster-agent"
	if env := os.Getenv(envPrefix + "_STATE"); env != "" {
		state = env
	}
	cmd.Flags().StringVar(&dir, "state", state, "folder of the agent's state")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func readStatus(dir string) (status, error) {
	disk, err := durable.OpenOS(dir)
	if err != nil {
		return status{}, fmt.Errorf("cannot read the agent's state: %w", err)
	}
	defer disk.Close()
	j := journal.New(disk)
	var s status
	if s.Update, err = j.State(); err != nil {
		s.Problems = append(s.Problems, err.Error())
	}
	if s.Update.Phase == "" {
		s.Update.Phase = update.Idle
	}
	if s.Committed, err = j.Committed(); err != nil {
		s.Problems = append(s.Problems, err.Error())
	}
	return s, nil
}

func (s status) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "phase\t%s", s.Update.Phase)
	if s.Update.Since > 0 {
		fmt.Fprintf(w, " since %s", stamp(s.Update.Since))
	}
	fmt.Fprintln(w)
	if id := s.Update.Execution; id != (update.Identity{}) {
		fmt.Fprintf(w, "job\t%s (execution %d)\n", id.JobID, id.ExecutionNumber)
	}
	for _, product := range slices.Sorted(maps.Keys(s.Committed)) {
		r := s.Committed[product]
		fmt.Fprintf(w, "product %s\tversion %s, seq %d\n", product, r.Version, r.Seq)
	}
	for _, f := range slices.Backward(s.Update.Finished) {
		fmt.Fprintf(w, "ended\t%s %s %s", stamp(f.At), f.Execution.JobID, f.Outcome.Status)
		if f.Outcome.Reason != "" {
			fmt.Fprintf(w, ": %s", f.Outcome.Reason)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var errs []error
	for _, p := range s.Problems {
		errs = append(errs, errors.New(p))
	}
	return errors.Join(errs...)
}

func stamp(sec int64) string { return time.Unix(sec, 0).UTC().Format(time.RFC3339) }
