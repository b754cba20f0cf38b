// Package simcmd is the command muster-sim: flags, environment and file become
// a scenario, which runs against a server and ends in a report and an exit
// code. It decides nothing about the run; package scenario does.
package simcmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/simulator/report"
	"github.com/muster-iot/muster/simulator/scenario"
)

// settings are the keys of flags, MUSTER_SIM_* variables and the file.
type settings struct {
	Server         string        `mapstructure:"server"`
	HTTP           string        `mapstructure:"http"`
	MQTT           string        `mapstructure:"mqtt"`
	Devices        int           `mapstructure:"devices"`
	Late           int           `mapstructure:"late"`
	Ramp           time.Duration `mapstructure:"ramp"`
	Seed           uint64        `mapstructure:"seed"`
	Duration       time.Duration `mapstructure:"duration"`
	Drop           string        `mapstructure:"drop"`
	DropTime       time.Duration `mapstructure:"drop-time"`
	Crash          string        `mapstructure:"crash"`
	CrashPhase     string        `mapstructure:"crash-phase"`
	Fail           string        `mapstructure:"fail"`
	UpdateTime     time.Duration `mapstructure:"update-time"`
	MaxNotify      time.Duration `mapstructure:"max-notify"`
	Rate           int           `mapstructure:"rate"`
	Query          string        `mapstructure:"query"`
	Product        string        `mapstructure:"product"`
	From           string        `mapstructure:"from"`
	To             string        `mapstructure:"to"`
	Run            string        `mapstructure:"run"`
	Firmware       string        `mapstructure:"firmware"`
	PassphraseFile string        `mapstructure:"passphrase-file"`
	JSON           string        `mapstructure:"json"`
	Keep           bool          `mapstructure:"keep"`
	NoTTY          bool          `mapstructure:"no-tty"`
	LogLevel       string        `mapstructure:"log-level"`
}

// Command returns the command muster-sim.
func Command() *cobra.Command {
	root := &cobra.Command{
		Use:   "muster-sim",
		Short: "Virtual things on the real agent's code, and a judge of what the server makes of them",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_ = c.Help()
			return cli.Usagef("say what to do: muster-sim run --server http://127.0.0.1:8080")
		},
	}
	root.AddCommand(runCommand())
	return root
}

func runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run --server URL",
		Short: "Update a fleet of virtual things from one version to the next, and judge it",
		Long: `run lets virtual things connect on one version, makes the dynamic group that
finds them and the continuous job that brings them to the next one, disturbs
them as told, and checks the invariants against what it saw and what the
server answers.

Every flag can be set as MUSTER_SIM_<FLAG> in the environment or as a key of the
YAML file named by --config. The passphrase of a firmware folder comes from
--passphrase-file or MUSTER_PASSPHRASE.

Exit codes: 0 everything held, 1 error, 2 wrong usage, 98 an invariant was
violated, 99 a threshold was missed.`,
		Example: `  muster-sim run --server http://127.0.0.1:8080 --devices 100 --seed 1
  muster-sim run --server http://127.0.0.1:8080 --devices 1000 --drop 10% --late 20 --crash 5% --update-time 5s`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return run(c) },
	}
	flags(c)
	return c
}

func flags(c *cobra.Command) {
	f := c.Flags()
	f.String("config", "", "YAML file with the same keys as the flags")
	f.String("server", "", "base URL of the server; where it speaks MQTT is asked of it")
	f.String("http", "", "the same as --server")
	f.String("mqtt", "", "address of the MQTT broker, host:port, where it differs from what the server says")
	f.Int("devices", 100, "number of virtual things")
	f.Int("late", 10, "number of things that join during the roll-out; they measure change -> notify-next")
	f.Duration("ramp", 0, "time in which the things connect (default 10ms for each)")
	f.Uint64("seed", 1, "decides every draw: the same seed draws the same")
	f.Duration("duration", time.Minute, "longest time of the roll-out; what is not updated by then misses a threshold")
	f.String("drop", "0%", "part of the things that lose their connection during the roll-out")
	f.Duration("drop-time", 2*time.Second, "how long they stay away")
	f.String("crash", "0%", "part of the things that lose power during their update")
	f.String("crash-phase", string(update.Downloading), "the phase in which they do")
	f.String("fail", "0%", "part of the updates after which the new version does not become healthy")
	f.Duration("update-time", time.Second, "longest time of an update, download aside")
	f.Duration("max-notify", 0, "threshold: the p99 from a change to notify-next (0 is none)")
	f.Int("rate", 0, "maximumPerMinute of the job (0 is none)")
	f.String("query", "", `query of the group (default the run's connected things on the old version)`)
	f.String("product", "app", "product that is updated")
	f.String("from", "5", "version that the things begin with")
	f.String("to", "6", "version that they are updated to")
	f.String("run", "", "name of the run, part of every name that is made (default the time)")
	f.String("firmware", "", "firmware folder that signs the versions (default: what the server has, or a key for this run)")
	f.String("passphrase-file", "", "file with the passphrase of the firmware folder")
	f.String("json", "", "file for the report as JSON; - is standard output, in place of the text")
	f.Bool("keep", false, "leave group, job and things on the server; what went wrong is always left")
	f.Bool("no-tty", false, "plain lines also on a terminal")
	f.String("log-level", "error", "debug, info, warn or error")
}

func run(c *cobra.Command) error {
	var s settings
	if err := cli.Settings(c, "MUSTER_SIM", &s); err != nil {
		return err
	}
	cfg, err := s.scenario(c)
	if err != nil {
		return err
	}
	rollout, err := scenario.New(cfg)
	if err != nil {
		return cli.Usagef("%w", err)
	}
	rep, err := rollout.Run(c.Context())
	if err != nil {
		return err
	}
	return finish(c, rep, s.JSON)
}

// finish writes the report and turns it into an exit code.
func finish(c *cobra.Command, rep *report.Report, file string) error {
	if file != "-" {
		if err := rep.Write(c.OutOrStdout()); err != nil {
			return fmt.Errorf("cannot write the report: %w", err)
		}
	}
	if err := writeJSON(c.OutOrStdout(), rep, file); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	if code := rep.ExitCode(); code != cli.OK {
		return &cli.ExitError{Code: code, Err: errors.New(rep.Verdict())}
	}
	return nil
}

func writeJSON(stdout io.Writer, rep *report.Report, file string) error {
	switch file {
	case "":
		return nil
	case "-":
		return rep.WriteJSON(stdout)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(rep.WriteJSON(f), f.Close())
}

// scenario turns settings into what is to be run.
func (s settings) scenario(c *cobra.Command) (scenario.Config, error) {
	var cfg scenario.Config
	server := s.Server
	switch {
	case server == "":
		server = s.HTTP
	case s.HTTP != "" && s.HTTP != server:
		return cfg, cli.Usagef("--server and --http are the same and differ: leave one out")
	}
	if server == "" {
		return cfg, cli.Usagef("which server? give its base URL: --server http://127.0.0.1:8080")
	}
	logger, err := cli.Logger(s.LogLevel)
	if err != nil {
		return cfg, err
	}
	cfg = scenario.Config{
		Source: scenario.Source{HTTP: server, Product: s.Product, From: s.From, To: s.To, Workspace: s.Firmware},
		MQTT:   s.MQTT, Devices: s.Devices, Late: s.Late, Ramp: s.Ramp, DropTime: s.DropTime, CrashPhase: update.Phase(s.CrashPhase),
		UpdateTime: s.UpdateTime, Timeout: s.Duration, MaxNotify: s.MaxNotify, Run: s.Run, Query: s.Query, PerMinute: s.Rate, Keep: s.Keep,
		Seed: s.Seed, Logger: logger,
		Progress: report.NewProgress(c.ErrOrStderr(), !s.NoTTY && term.IsTerminal(int(os.Stderr.Fd()))),
		Replay:   s.replay(c),
	}
	for _, part := range []struct {
		flag, text string
		into       *float64
	}{{"drop", s.Drop, &cfg.Drop}, {"crash", s.Crash, &cfg.Crash}, {"fail", s.Fail, &cfg.Fail}} {
		if *part.into, err = Fraction(part.text); err != nil {
			return cfg, cli.Usagef("--%s: %w", part.flag, err)
		}
	}
	if !knownPhase(cfg.CrashPhase) {
		return cfg, cli.Usagef("--crash-phase %q is none of %v", s.CrashPhase, update.Phases())
	}
	if s.Devices < 1 {
		return cfg, cli.Usagef("--devices %d: at least one is needed", s.Devices)
	}
	cfg.Source.Passphrase, err = s.passphrase()
	return cfg, err
}

func knownPhase(p update.Phase) bool {
	for _, known := range update.Phases() {
		if p == known {
			return true
		}
	}
	return false
}

// passphrase reads that of the firmware folder.
func (s settings) passphrase() ([]byte, error) {
	switch {
	case s.Firmware == "":
		return nil, nil
	case s.PassphraseFile != "":
		data, err := os.ReadFile(s.PassphraseFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the passphrase: %w", err)
		}
		return []byte(strings.TrimRight(string(data), "\r\n")), nil
	case os.Getenv("MUSTER_PASSPHRASE") != "":
		return []byte(os.Getenv("MUSTER_PASSPHRASE")), nil
	}
	return nil, cli.Usagef("the firmware folder %s has a passphrase: give --passphrase-file or MUSTER_PASSPHRASE", s.Firmware)
}

// Fraction reads "10%" or "0.1".
func Fraction(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f >= 0 && f <= 1) {
		return 0, fmt.Errorf("%q is not a part such as 10%% or 0.1", text)
	}
	return f, nil
}

// replay is the command line that makes the same settings, wherever they came
// from.
func (s settings) replay(c *cobra.Command) string {
	parts := []string{"muster-sim", "run"}
	fields := reflect.TypeFor[settings]()
	for i := range fields.NumField() {
		name := fields.Field(i).Tag.Get("mapstructure")
		value := fmt.Sprint(reflect.ValueOf(s).Field(i))
		if value == c.Flags().Lookup(name).DefValue && name != "seed" {
			continue
		}
		if strings.ContainsAny(value, " \"'*$&|<>();") {
			value = "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
		}
		parts = append(parts, "--"+name+"="+value)
	}
	return strings.Join(parts, " ")
}
