package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestMosquitto is Mosquitto's command line client as a device that reports to
// its shadow, over every way to the broker that Debian's build knows (it has no
// WebSocket).
func TestMosquitto(t *testing.T) {
	t.Parallel()
	needProgram(t, "mosquitto_rr", "mosquitto-clients")
	p := startPlant(t)
	p.api.t = t
	p.api.ok("CreateThing", object{"thingName": "valve"}, nil)
	ca, cert := []string{"--cafile", p.CA}, []string{"--cert", p.ClientCert, "--key", p.ClientKey}
	rsa := []string{"--cert", p.RSACert, "--key", p.RSAKey}
	alpn := func(name string) []string { return []string{"--tls-alpn", name} }
	for _, row := range []struct {
		name, address string
		args          [][]string
		refused       string // what it says when it is not let in
	}{
		{"TCP", p.MQTT, nil, ""},
		{"TCP and MQTT 5", p.MQTT, [][]string{{"-V", "5"}}, ""},
		{"TLS with an EC certificate", p.MQTTS, [][]string{ca, cert}, ""},
		{"TLS with an RSA certificate", p.MQTTS, [][]string{ca, rsa}, ""},
		{"TLS and MQTT 5", p.MQTTS, [][]string{ca, cert, {"-V", "5"}}, ""},
		{"TLS with AWS's ALPN", p.MQTTS, [][]string{ca, cert, alpn("x-amzn-mqtt-ca")}, ""},
		{"TLS with ALPN mqtt", p.MQTTS, [][]string{ca, cert, alpn("mqtt")}, ""},
		{"the HTTPS port with AWS's ALPN", p.HTTPS, [][]string{ca, cert, alpn("x-amzn-mqtt-ca")}, ""},
		{"the HTTPS port with ALPN mqtt", p.HTTPS, [][]string{ca, rsa, alpn("mqtt")}, ""},
		{"TLS without a certificate", p.MQTTS, [][]string{ca}, "error"},
		{"TLS with an authority that it does not know", p.MQTTS, [][]string{{"--cafile", p.RSACert}, cert}, "error"},
	} {
		t.Run(row.name, func(t *testing.T) {
			const topic = "$aws/things/valve/shadow/update"
			args := []string{
				"-h", "localhost", "-p", strconv.Itoa(port(t, row.address)), "-i", "valve", "-q", "1", "-W", "30", "-F", "%p",
				"-t", topic, "-e", topic + "/accepted", "-m", `{"state":{"reported":{"way":"` + row.name + `"}},"clientToken":"t"}`,
			}
			for _, more := range row.args {
				args = append(args, more...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), deviceTime)
			defer cancel()
			cmd := exec.CommandContext(ctx, "mosquitto_rr", args...)
			var said bytes.Buffer
			cmd.Stderr = &said
			out, err := cmd.Output()
			if row.refused != "" {
				if err == nil || !strings.Contains(strings.ToLower(said.String()), row.refused) {
					t.Fatalf("it was let in: %v, %q, %q", err, out, said.String())
				}
				return
			}
			var accepted object
			if err := json.Unmarshal(out, &accepted); err != nil {
				t.Fatalf("it printed %q and %q: %v", out, said.String(), err)
			}
			want := object{"state": object{"reported": object{"way": row.name}}, "clientToken": "t"}
			for _, problem := range differences("accepted", want, accepted) {
				t.Error(problem)
			}
		})
	}
}
