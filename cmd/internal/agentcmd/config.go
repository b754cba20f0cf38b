package agentcmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/protocol"
)

// DefaultConfigFile is read when it exists and --config names no other one.
const DefaultConfigFile = "/etc/muster-agent/config.yaml"

// envPrefix begins the environment variables: MUSTER_AGENT_THING.
const envPrefix = "MUSTER_AGENT"

// Config is the agent's configuration. Flags win over the environment, the
// environment over the file; names in the file are those of the flags.
type Config struct {
	// MQTT holds server addresses, host:port or mqtts://host:port for TLS;
	// they are tried in turn.
	MQTT []string
	// CA, Cert and Key are PEM files: whom the agent trusts over TLS (empty:
	// the system's roots), and the certificate that it shows, if any.
	CA, Cert, Key string
	// HTTP is the server's base URL; the signed repository is below it in tuf/.
	HTTP string
	// Thing is the device's name.
	Thing protocol.ThingName
	// State is the folder of journal, trusted metadata and downloads.
	State string
	// Products is what the agent manages, the primary one first.
	Products []Product
	// HardwareID is this device's hardware, from a local file.
	HardwareID string
	// Root is the file of the signed root metadata that the device trusts first.
	Root string
	// HealthTimeout bounds the health check when the signed target does not.
	HealthTimeout time.Duration
	// Register asks a development server to register this thing.
	Register bool
	// LogLevel is what is logged at least.
	LogLevel string
}

// Product is one product with its folder and local commands.
type Product struct {
	Name, Dir, Restart, Health string
}

// addFlags declares the flags; each is also a key of the file.
func addFlags(flags *pflag.FlagSet) {
	flags.String("config", "", "YAML file with any of these settings (default "+DefaultConfigFile+" if it exists)")
	flags.StringArray("mqtt", nil, "server address, host:port, or mqtts://host:port for TLS; more than one are tried in turn")
	flags.String("ca", "", "PEM file of the authorities that a server is trusted by over TLS (default the system's)")
	flags.String("cert", "", "PEM file of the certificate that this device shows over TLS")
	flags.String("key", "", "PEM file of its key")
	flags.String("http", "", "server base URL, http://host:port; updates come from tuf/ below it")
	flags.String("thing", "", "name of this device (default: the host name)")
	flags.String("state", "/var/lib/muster-agent", "folder of journal, trusted metadata and downloads")
	flags.StringArray("product", nil, "product and its install folder, app=/opt/app; the first one is reported as softwareVersion")
	flags.StringArray("restart", nil, "command that restarts the product after a switch; [PRODUCT=]COMMAND")
	flags.StringArray("health", nil, "command that exits 0 when the new version works; [PRODUCT=]COMMAND")
	flags.Duration("health-timeout", 2*time.Minute, "time for the health command to succeed, unless the signed target says")
	flags.String("hardware-file", "", "file with this device's hardware id")
	flags.String("root", "", "root.json that signed updates are trusted by, for the first start")
	flags.Bool("register", false, "ask a development server to register this thing")
	flags.String("log-level", "info", "debug, info, warn or error")
}

// load decodes flags, environment and file into a Config, once.
func load(flags *pflag.FlagSet) (Config, error) {
	v := viper.New()
	v.SetEnvPrefix(envPrefix)
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	if err := v.BindPFlags(flags); err != nil {
		return Config{}, err
	}
	if err := readFile(v, flags); err != nil {
		return Config{}, err
	}
	cfg := Config{
		MQTT: list(v.Get("mqtt"), ","), CA: v.GetString("ca"), Cert: v.GetString("cert"), Key: v.GetString("key"), HTTP: v.GetString("http"), Thing: protocol.ThingName(v.GetString("thing")),
		State: v.GetString("state"), Root: v.GetString("root"), HealthTimeout: v.GetDuration("health-timeout"),
		Register: v.GetBool("register"), LogLevel: v.GetString("log-level"),
	}
	var err error
	if cfg.Products, err = products(list(v.Get("product"), ","), list(v.Get("restart"), ""), list(v.Get("health"), "")); err != nil {
		return Config{}, usage(err)
	}
	if cfg.HardwareID, err = readHardware(v.GetString("hardware-file")); err != nil {
		return Config{}, err
	}
	return cfg.checked()
}

// readFile merges the configuration file in. A key that is no flag is an error.
func readFile(v *viper.Viper, flags *pflag.FlagSet) error {
	name := v.GetString("config")
	if name == "" {
		if _, err := os.Stat(DefaultConfigFile); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		name = DefaultConfigFile
	}
	file := viper.New()
	file.SetConfigFile(name)
	file.SetConfigType("yaml")
	if err := file.ReadInConfig(); err != nil {
		return fmt.Errorf("cannot read the configuration file %s: %w", name, oneLine(err))
	}
	for _, key := range file.AllKeys() {
		if flags.Lookup(key) == nil || key == "config" {
			return cli.Usagef("configuration file %s: unknown setting %q; see muster-agent run --help", name, key)
		}
	}
	return v.MergeConfigMap(file.AllSettings())
}

func oneLine(err error) error { return errors.New(strings.Join(strings.Fields(err.Error()), " ")) }

// list reads a setting that may be a list (flag, file) or one text
// (environment, file), which is split at sep unless sep is empty.
func list(value any, sep string) []string {
	var items []string
	switch v := value.(type) {
	case []string:
		items = v
	case []any:
		for _, item := range v {
			items = append(items, fmt.Sprint(item))
		}
	case string:
		items = []string{v}
		if sep != "" {
			items = strings.Split(v, sep)
		}
	}
	var kept []string
	for _, item := range items {
		if item = strings.TrimSpace(item); item != "" {
			kept = append(kept, item)
		}
	}
	return kept
}

// products puts product folders and commands together.
func products(dirs, restarts, healths []string) ([]Product, error) {
	var out []Product
	for _, s := range dirs {
		name, dir, ok := strings.Cut(s, "=")
		if !ok || dir == "" {
			return nil, fmt.Errorf("product %q is not PRODUCT=FOLDER, such as app=/opt/app", s)
		}
		if err := firmware.CheckProduct(name); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(p Product) bool { return p.Name == name }) {
			return nil, fmt.Errorf("product %q is given twice", name)
		}
		out = append(out, Product{Name: name, Dir: dir})
	}
	for _, c := range restarts {
		if err := command(out, c, "restart", func(p *Product, c string) { p.Restart = c }); err != nil {
			return nil, err
		}
	}
	for _, c := range healths {
		if err := command(out, c, "health", func(p *Product, c string) { p.Health = c }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// command gives [PRODUCT=]COMMAND to its product: a command without one
// belongs to the only product.
func command(products []Product, text, what string, set func(*Product, string)) error {
	if name, rest, ok := strings.Cut(text, "="); ok {
		for i := range products {
			if products[i].Name == name {
				set(&products[i], rest)
				return nil
			}
		}
	}
	if len(products) != 1 {
		return fmt.Errorf("%s command %q does not say which product it is for: write PRODUCT=COMMAND", what, text)
	}
	set(&products[0], text)
	return nil
}

func readHardware(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read the hardware id: %w", err)
	}
	id := strings.TrimSpace(strings.TrimRight(string(data), "\x00"))
	if err := firmware.CheckHardwareID(id); err != nil {
		return "", fmt.Errorf("file %s: %w", file, err)
	}
	return id, nil
}

// checked fills in what can be found out and refuses what cannot work.
func (c Config) checked() (Config, error) {
	if c.Thing == "" {
		host, err := os.Hostname()
		if err != nil {
			return c, cli.Usagef("--thing is missing and this machine has no host name")
		}
		c.Thing = protocol.ThingName(host)
	}
	var err error
	switch {
	case !c.Thing.Valid():
		err = fmt.Errorf("thing name %q is not 1 to 128 of [a-zA-Z0-9:_-]", c.Thing)
	case len(c.MQTT) == 0:
		err = errors.New("--mqtt is missing: the address of the server, host:port")
	case c.HTTP == "":
		err = errors.New("--http is missing: the base URL of the server, http://host:port")
	case len(c.Products) == 0:
		err = errors.New("--product is missing: what to manage and where, such as app=/opt/app")
	case c.State == "":
		err = errors.New("--state is missing: the folder of the agent's state")
	case c.HealthTimeout <= 0:
		err = errors.New("--health-timeout is not a positive time")
	}
	if err != nil {
		return c, usage(err)
	}
	if c.State, err = filepath.Abs(c.State); err != nil {
		return c, err
	}
	for i := range c.Products {
		if c.Products[i].Dir, err = filepath.Abs(c.Products[i].Dir); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Load decodes the arguments of the subcommand run, the environment and the
// file that either names.
func Load(args []string) (Config, error) {
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	addFlags(flags)
	if err := flags.Parse(args); err != nil {
		return Config{}, usage(err)
	}
	return load(flags)
}
