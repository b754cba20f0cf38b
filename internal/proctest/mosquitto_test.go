package proctest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/proctest"
)

// mosquitto is Mosquitto's clients at a server.
type mosquitto struct {
	*musterd
	api  *api
	port string
}

func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	for _, tool := range []string{"mosquitto_pub", "mosquitto_sub"} {
		if _, err := exec.LookPath(tool); err != nil {
			proctest.Missing(t, tool+" is not installed")
		}
	}
	m := &mosquitto{musterd: newMusterd(t)}
	m.start()
	_, m.port, _ = net.SplitHostPort(m.mqtt)
	m.api = newAPI(m.http)
	m.publish("-r", "-t", "ready", "-m", "go")
	return m
}

// run ends within 20 s and returns what the tool printed.
func (m *mosquitto) run(tool string, args ...string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, append([]string{"-p", m.port}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("%s %q: %v\n%s%s", tool, args, err, out, &errs)
	}
	return strings.TrimSpace(string(out))
}

// publish sends one message at QoS 1 and returns after its PUBACK.
func (m *mosquitto) publish(args ...string) {
	m.t.Helper()
	m.run("mosquitto_pub", append([]string{"-q", "1"}, args...)...)
}

// first subscribes and returns the first message.
func (m *mosquitto) first(filter string, args ...string) string {
	m.t.Helper()
	return m.run("mosquitto_sub", append([]string{"-q", "1", "-C", "1", "-F", "%t %p retain=%r", "-t", filter}, args...)...)
}

// listen runs a subscriber and returns when it has subscribed, which the
// retained message of its second topic proves.
func (m *mosquitto) listen(filter string, args ...string) *listener {
	m.t.Helper()
	all := append([]string{"-p", m.port, "-q", "1", "-t", filter, "-t", "ready", "-F", "%t %p retain=%r"}, args...)
	p, out := proctest.StartReading(m.t, exec.Command("mosquitto_sub", all...), nil)
	l := &listener{t: m.t, Process: p, lines: make(chan string, 100)}
	go func() {
		defer close(l.lines)
		for {
			line, err := out.ReadString('\n')
			if err != nil {
				return
			}
			l.lines <- strings.TrimSpace(line)
		}
	}()
	l.want("ready go retain=1")
	return l
}

// listener is a running mosquitto_sub.
type listener struct {
	t *testing.T
	*proctest.Process
	lines chan string
}

func (l *listener) want(want string) {
	l.t.Helper()
	select {
	case got := <-l.lines:
		if got != want {
			l.t.Fatalf("got %q, want %q\n%s", got, want, l.Stderr)
		}
	case <-time.After(20 * time.Second):
		l.t.Fatalf("no %q\n%s", want, l.Stderr)
	}
}

func (m *mosquitto) call(method, path string, body any, status int, into any) {
	m.t.Helper()
	err := m.api.call(m.t.Context(), iotdata, method, path, body, into)
	switch r, refused := err.(*refusal); {
	case err == nil && status == 200, refused && r.status == status:
	default:
		m.t.Fatalf("%s %s: %v, want status %d", method, path, err, status)
	}
}

// TestMosquittoRetained: retained messages as Mosquitto's clients see them,
// through kill -9 and a clear, and from HTTP.
func TestMosquittoRetained(t *testing.T) {
	t.Parallel()
	m := newMosquitto(t)
	m.publish("-r", "-t", "state/dev1", "-m", "online")
	wantText(t, m.first("state/dev1"), "state/dev1 online retain=1")
	live := m.listen("state/#")
	m.publish("-r", "-t", "state/dev1", "-m", "busy")
	live.want("state/dev1 busy retain=0") // and not the retained one before: no wildcard gets it
	m.Kill()
	m.start()
	wantText(t, m.first("state/dev1"), "state/dev1 busy retain=1")

	m.call("POST", "/topics/state%2Fdev2?qos=1&retain=true&contentType=text%2Fplain", object{"a": 1}, 200, nil)
	wantText(t, m.first("state/dev2", "-V", "5", "-F", "%t %p %q %C"), `state/dev2 {"a":1} 1 text/plain`)
	var got struct {
		Topic   string
		Payload string
		QoS     int
	}
	m.call("GET", "/retainedMessage/state%2Fdev1", nil, 200, &got)
	wantText(t, got.Payload, base64.StdEncoding.EncodeToString([]byte("busy")))
	m.publish("-r", "-n", "-t", "state/dev1")
	m.call("GET", "/retainedMessage/state%2Fdev1", nil, 404, nil)
	m.Kill()
	m.start()
	m.call("GET", "/retainedMessage/state%2Fdev1", nil, 404, nil)
}

func wantText(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// TestMosquittoDeleteConnection: an operator ends sessions of Mosquitto's
// clients: the will, its suppression, and a session that has no connection.
func TestMosquittoDeleteConnection(t *testing.T) {
	t.Parallel()
	m := newMosquitto(t)
	watcher := m.listen("wills/#")
	will := []string{"-i", "dev1", "-c", "--will-topic", "wills/dev1", "--will-payload", "gone", "--will-retain"}
	m.call("DELETE", "/connections/dev1?cleanSession=true", nil, 404, nil)
	dev1 := m.listen("jobs/dev1", will...)
	m.call("DELETE", "/connections/dev1?preventWillMessage=true", nil, 200, nil)
	dev1.want("ready go retain=1") // mosquitto_sub comes back by itself and subscribes again
	m.call("DELETE", "/connections/dev1", nil, 200, nil)
	watcher.want("wills/dev1 gone retain=0") // the first will that is sent
	dev1.want("ready go retain=1")
	wantText(t, m.first("wills/dev1"), "wills/dev1 gone retain=1")
	dev1.Kill()
	watcher.want("wills/dev1 gone retain=0")
	m.publish("-t", "jobs/dev1", "-m", "waits")
	wantText(t, m.first("other", will...), "jobs/dev1 waits retain=0")
	m.call("DELETE", "/connections/dev1", nil, 404, nil) // it has no connection
	m.call("DELETE", "/connections/dev1?cleanSession=true", nil, 200, nil)
	m.call("DELETE", "/connections/dev1?cleanSession=true", nil, 404, nil)
}
