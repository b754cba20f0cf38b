package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-iot/muster/cmd/internal/cli"
	"github.com/muster-iot/muster/internal/devcert"
)

func TestClientTLS(t *testing.T) {
	f, err := devcert.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		ca, cert, key string
		says          string
	}{
		{"nothing", "", "", "", ""},
		{"whom to trust", f.CA, "", "", ""},
		{"what to show", f.CA, f.ClientCert, f.ClientKey, ""},
		{"no file", empty + "x", "", "", "cannot read the certificates to trust"},
		{"no certificate in it", empty, "", "", "no certificate in PEM form"},
		{"a certificate without its key", "", f.ClientCert, "", "both --cert and --key"},
		{"a key without its certificate", "", "", f.ClientKey, "both --cert and --key"},
		{"another one's key", "", f.ClientCert, f.ServerKey, "cannot use the client certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := cli.ClientTLS(c.ca, c.cert, c.key, "fleet")
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v, want one about %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if cfg.ServerName != "fleet" || (cfg.RootCAs != nil) != (c.ca != "") || (len(cfg.Certificates) == 1) != (c.cert != "") {
				t.Errorf("settings: %+v", cfg)
			}
		})
	}
}
