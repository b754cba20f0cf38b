package floorcmd_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/muster-iot/muster/cmd/internal/floorcmd"
	"github.com/muster-iot/muster/internal/devcert"
	"github.com/muster-iot/muster/internal/floor"
)

// TestFloor: it says where it is, answers, and ends with its standard input.
func TestFloor(t *testing.T) {
	f, err := devcert.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		args   []string
		dialer floor.Dialer
	}{
		{"echo", nil, &net.Dialer{}},
		{"raw", []string{"--kind", "raw"}, &net.Dialer{}},
		{"over TLS", []string{"--cert", f.ServerCert, "--key", f.ServerKey}, &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := floorcmd.Command()
			c.SetArgs(row.args)
			lifeline, hold := io.Pipe()
			out, say := io.Pipe()
			c.SetIn(lifeline)
			c.SetOut(say)
			ended := make(chan error, 1)
			go func() { ended <- c.ExecuteContext(context.Background()) }()
			line, err := bufio.NewReader(out).ReadBytes('\n')
			if err != nil {
				t.Fatal(err)
			}
			var a floorcmd.Address
			if err := json.Unmarshal(line, &a); err != nil {
				t.Fatal(err)
			}
			probe, err := floor.Dial(t.Context(), row.dialer, a.MQTT, "probe")
			if err != nil {
				t.Fatal(err)
			}
			defer probe.Close()
			if err := probe.Echo([]byte("hello")); err != nil {
				t.Error(err)
			}
			hold.Close()
			if err := <-ended; err != nil {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"half a certificate": {"--cert", "x"}, "no certificate": {"--cert", "x", "--key", "y"},
		"a bad address": {"--listen", "nowhere"}, "an argument": {"now"},
	} {
		t.Run(name, func(t *testing.T) {
			c := floorcmd.Command()
			c.SetArgs(args)
			c.SilenceErrors, c.SilenceUsage = true, true
			if c.Execute() == nil {
				t.Error("it runs")
			}
		})
	}
}

// TestMain is the command when the test starts itself as a child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == floorcmd.Name {
		c := floorcmd.Command()
		c.SetArgs(os.Args[2:])
		if c.Execute() != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestStart starts and ends real child processes.
func TestStart(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, secure := range map[string]bool{"over TCP": false, "over TLS": true} {
		t.Run(name, func(t *testing.T) {
			f, stop, err := floorcmd.Start(binary, secure)
			if err != nil {
				t.Fatal(err)
			}
			var dialer floor.Dialer = &net.Dialer{}
			if secure {
				dialer = &tls.Dialer{Config: f.TLS}
			}
			probe, err := floor.Dial(t.Context(), dialer, f.Address, "probe")
			if err != nil {
				t.Fatal(err)
			}
			if err := probe.Echo([]byte("hello")); err != nil {
				t.Error(err)
			}
			probe.Close()
			if err := stop(); err != nil {
				t.Error(err)
			}
			if _, err := floor.Dial(t.Context(), dialer, f.Address, "probe"); err == nil {
				t.Error("it is still there")
			}
		})
	}
	if _, _, err := floorcmd.Start("/no/such/binary", false); err == nil {
		t.Error("nothing was started")
	}
	if _, _, err := floorcmd.Start("/bin/false", false); err == nil || !strings.Contains(err.Error(), "did not print its address") {
		t.Errorf("error %v", err)
	}
}
