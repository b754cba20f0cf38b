// Package simcmd is the command muster-sim: flags, environment and file become
// a scenario, which runs against a server and ends in a report and an exit
// code. It decides nothing about the run; package scenario does.
package simcmd

import (
	"context"
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
	"github.com/muster-iot/muster/cmd/internal/floorcmd"
	"github.com/muster-iot/muster/simulator/report"
	"github.com/muster-iot/muster/simulator/scenario"
)

// settings are the keys of flags, MUSTER_SIM_* variables and the file.
type settings struct {
	Server         string        `mapstructure:"server"`
	HTTP           string        `mapstructure:"http"`
	MQTT           string        `mapstructure:"mqtt"`
	CA             string        `mapstructure:"ca"`
	Cert           string        `mapstructure:"cert"`
	Key            string        `mapstructure:"key"`
	ServerName     string        `mapstructure:"server-name"`
	Devices        int           `mapstructure:"devices"`
	Late           int           `mapstructure:"late"`
	Ramp           time.Duration `mapstructure:"ramp"`
	RampRate       float64       `mapstructure:"ramp-rate"`
	Groups         time.Duration `mapstructure:"groups"`
	Storm          time.Duration `mapstructure:"storm"`
	Flap           string        `mapstructure:"flap"`
	FlapEvery      time.Duration `mapstructure:"flap-every"`
	Flaps          int           `mapstructure:"flaps"`
	Floor          bool          `mapstructure:"floor"`
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
	root.AddCommand(runCommand(), floorcmd.Command())
	return root
}

func runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run --server URL",
		Short: "Update a fleet of virtual things from one version to the next, and judge it",
		Long: `run lets virtual things connect on one version (the ramp), makes the dynamic
group that finds them and the continuous job that brings them to the next one
(the roll-out), disturbs them as told, lets late joiners come, and then, if told,
makes, changes and deletes groups of all kinds while things change (--groups),
cuts all connections at once (--storm) or some again and again (--flap). After
each of these phases it checks the invariants against what it saw and what the
server answers.

Things connect over TCP, or over TLS to --mqtt mqtts://HOST:PORT; --ca, --cert,
--key and --server-name hold for that and for a --server that is https://. From
a broker on 127.0.0.0/8 they are spread over 16 source addresses.

Beside the server a bare MQTT echo runs in a process of its own, with as many
idle connections: the floor that change -> notify-next is compared with.

Every flag can be set as MUSTER_SIM_<FLAG> in the environment or as a key of the
YAML file named by --config. The passphrase of a firmware folder comes from
--passphrase-file or MUSTER_PASSPHRASE.

Exit codes: 0 everything held, 1 error, 2 wrong usage, 98 an invariant was
violated, 99 a threshold was missed.`,
		Example: `  muster-sim run --server http://127.0.0.1:8080 --devices 100 --seed 1
  muster-sim run --server http://127.0.0.1:8080 --devices 1000 --drop 10% --late 300 --crash 5% --update-time 5s
  muster-sim run --server http://127.0.0.1:8080 --mqtt mqtts://127.0.0.1:8883 --ca ca.pem --devices 1000 --ramp-rate 100 --storm 6s --flap 5%`,
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
	f.String("mqtt", "", "address of the MQTT broker, host:port or mqtts://host:port for TLS (default: what the server says)")
	f.String("ca", "", "PEM file of the authorities that the server is trusted by over TLS (default the system's)")
	f.String("cert", "", "PEM file of a certificate that all things show over TLS")
	f.String("key", "", "PEM file of its key")
	f.String("server-name", "", "name in the server's certificate, where its address is another")
	f.Int("devices", 100, "number of virtual things")
	f.Int("late", 10, "number of new things that join after the job; they measure change -> notify-next")
	f.Duration("ramp", 0, "time in which the things connect (default 10ms for each)")
	f.Float64("ramp-rate", 0, "things that connect in a second, in place of --ramp; a token bucket keeps to it")
	f.Duration("groups", 0, "make, change and delete groups of all kinds for so long, while things change, when all is updated (0 does not)")
	f.Duration("storm", 0, "cut all connections at once for so long, at least 6s, when all is updated (0 does not)")
	f.String("flap", "0%", "part of the things that lose their connection again and again in the end")
	f.Duration("flap-every", 3*time.Second, "how often each of them does")
	f.Int("flaps", 5, "how many times")
	f.Bool("floor", true, "measure a bare echo beside the server")
	f.Uint64("seed", 1, "decides every draw: the same seed draws the same")
	f.Duration("duration", 0, "longest time of all phases; what has no end by then misses a threshold (default 1m, and 1m for each of --storm and --flap)")
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
	if _, err := scenario.New(cfg); err != nil { // before anything is started
		return cli.Usagef("%w", err)
	}
	stop, err := s.floor(&cfg)
	if err != nil {
		return err
	}
	rep, err := simulate(c.Context(), cfg)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	return finish(c, rep, s.JSON)
}

func simulate(ctx context.Context, cfg scenario.Config) (*report.Report, error) {
	rollout, err := scenario.New(cfg)
	if err != nil {
		return nil, err
	}
	return rollout.Run(ctx)
}

// floor starts the bare echo, which speaks TLS when the server does.
func (s settings) floor(cfg *scenario.Config) (stop func() error, err error) {
	if !s.Floor || s.Late == 0 {
		return func() error { return nil }, nil
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program, to start the floor: %w", err)
	}
	cfg.Floor, stop, err = floorcmd.Start(binary, strings.HasPrefix(s.MQTT, "mqtts://"))
	return stop, err
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
		Groups: s.Groups, Storm: s.Storm, FlapEvery: s.FlapEvery, Flaps: s.Flaps,
		Progress: report.NewProgress(c.ErrOrStderr(), !s.NoTTY && term.IsTerminal(int(os.Stderr.Fd()))),
		Replay:   s.replay(c),
	}
	for _, part := range []struct {
		flag, text string
		into       *float64
	}{{"drop", s.Drop, &cfg.Drop}, {"crash", s.Crash, &cfg.Crash}, {"fail", s.Fail, &cfg.Fail}, {"flap", s.Flap, &cfg.Flap}} {
		if *part.into, err = Fraction(part.text); err != nil {
			return cfg, cli.Usagef("--%s: %w", part.flag, err)
		}
	}
	if !knownPhase(cfg.CrashPhase) {
		return cfg, cli.Usagef("--crash-phase %q is none of %v", s.CrashPhase, update.Phases())
	}
	switch {
	case s.Devices < 1:
		return cfg, cli.Usagef("--devices %d: at least one is needed", s.Devices)
	case s.RampRate < 0 || s.RampRate > 0 && s.Ramp != 0:
		return cfg, cli.Usagef("--ramp-rate is things in a second, in place of --ramp: give one of them")
	case s.RampRate > 0:
		cfg.Ramp = time.Duration(float64(s.Devices) / s.RampRate * float64(time.Second))
	}
	if cfg.Source.TLS, err = cli.ClientTLS(s.CA, s.Cert, s.Key, s.ServerName); err != nil {
		return cfg, err
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
