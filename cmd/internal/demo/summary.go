package demo

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// summary prints checks as a table and returns an error that names those that
// do not hold.
func (s *screen) summary(checks []check) error {
	what, seen := len("what"), len("seen")
	for _, c := range checks {
		what, seen = max(what, utf8.RuneCountInString(c.what)), max(seen, utf8.RuneCountInString(c.seen))
	}
	var failed []string
	s.line("    %-*s  %-*s  %s", what, "what", seen, "seen", "wanted")
	for _, c := range checks {
		mark := "✓"
		if !c.ok {
			mark = "✗"
			failed = append(failed, fmt.Sprintf("%s: %s seen, %s wanted", c.what, c.seen, c.want))
		}
		s.line("  %s %-*s  %-*s  %s", mark, what, c.what, seen, c.seen, c.want)
	}
	if len(failed) > 0 {
		return fmt.Errorf("the demo failed: %s", strings.Join(failed, "; "))
	}
	return nil
}

// tries prints what a user may do while the demo is kept.
func (d *Demo) tries() {
	address, secure := d.server.MQTT, ""
	if d.server.tls != nil {
		address, secure = d.server.MQTTS, " --cafile "+d.server.tls.CA
	}
	d.screen.line(`
It keeps running until Ctrl-C. In another terminal:

  export AWS_ENDPOINT_URL=%s AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x
  aws iot search-index --query-string 'connectivity.connected:true AND attributes.softwareVersion:6' --max-results 3
  aws iot describe-job --job-id %s
  aws iot list-job-executions-for-thing --thing-name %s
  aws iot describe-thing-group --thing-group-name %s

Make a device old again, by hand, and see the job come to it once more:

  mosquitto_sub -h %s -p %s%[10]s -v -t '$aws/events/#' &
  aws iot update-thing --thing-name %[7]s --attribute-payload '{"attributes":{"softwareVersion":"5"},"merge":true}'

Server, HTTP: %[1]s (also /healthz, /tuf/timestamp.json)   MQTT: %[5]s:%[6]s
Devices:      %[8]s/real-1 to real-%[9]d, each with its state and its app folder
Logs:         %[8]s/logs
`, d.server.url(), jobName, d.real[0].name, groupName, host(address), port(address), d.real[0].name, d.folder, realAgents, secure)
}

func host(address string) string { h, _, _ := strings.Cut(address, ":"); return h }
func port(address string) string { _, p, _ := strings.Cut(address, ":"); return p }
