package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestSettings starts musterd with the same settings given in every way, and
// with contradicting ones: a flag wins over the environment, that over the file.
func TestSettings(t *testing.T) {
	const file = "dev: true\ndata: from-file\nhttp: 127.0.0.1:0\nmqtt: 127.0.0.1:0\naccount-id: \"111111111111\"\nregion: eu-north-1\nreconnect-grace: 3s\n"
	all := []string{
		"MUSTER_DEV=true", "MUSTER_DATA=from-env", "MUSTER_HTTP=127.0.0.1:0", "MUSTER_MQTT=127.0.0.1:0",
		"MUSTER_ACCOUNT_ID=222222222222", "MUSTER_REGION=eu-west-2", "MUSTER_RECONNECT_GRACE=3s",
	}
	for _, row := range []struct {
		name      string
		env, args []string
		data, arn string
	}{
		{
			name: "flags",
			args: []string{"--dev", "--data", "from-flag", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--account-id", "333333333333", "--region", "eu-west-3"},
			data: "from-flag", arn: "arn:aws:iot:eu-west-3:333333333333:thing/t",
		},
		{name: "environment", env: all, data: "from-env", arn: "arn:aws:iot:eu-west-2:222222222222:thing/t"},
		{name: "file", args: []string{"--config", "muster.yaml"}, data: "from-file", arn: "arn:aws:iot:eu-north-1:111111111111:thing/t"},
		{name: "file named by the environment", env: []string{"MUSTER_CONFIG=muster.yaml"}, data: "from-file", arn: "arn:aws:iot:eu-north-1:111111111111:thing/t"},
		{
			name: "flag over environment over file", env: []string{"MUSTER_REGION=eu-west-2", "MUSTER_ACCOUNT_ID=222222222222"},
			args: []string{"--config", "muster.yaml", "--account-id", "333333333333"},
			data: "from-file", arn: "arn:aws:iot:eu-west-2:333333333333:thing/t",
		},
		{name: "defaults", args: free(), data: "muster-data", arn: "arn:aws:iot:us-east-1:123456789012:thing/t"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "muster.yaml"), []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
			p := start(t, dir, row.env, row.args...)
			if got := p.must(t, http.MethodPost, "/things/t", "{}")["thingArn"]; got != row.arn {
				t.Errorf("ARN %v, want %s", got, row.arn)
			}
			if _, err := os.Stat(filepath.Join(dir, row.data, "store")); err != nil {
				t.Errorf("the data are not where they should be: %v", err)
			}
			if code := p.stop(t, os.Interrupt); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}
