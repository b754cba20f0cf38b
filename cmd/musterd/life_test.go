package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAddresses: one line of JSON says where the server answers, and it does.
func TestAddresses(t *testing.T) {
	p := start(t, t.TempDir(), nil, free()...)
	t.Logf("addresses after %v on an empty folder", p.started.Round(time.Millisecond))
	for _, addr := range []string{p.HTTP, p.MQTT} {
		if host, port, err := net.SplitHostPort(addr); err != nil || host != "127.0.0.1" || port == "0" {
			t.Errorf("address %q is not one to connect to", addr)
		}
	}
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if status, got, _ := p.call(t, http.MethodGet, path, ""); status != http.StatusOK || got["text"] != want {
			t.Errorf("%s: %d %q, want 200 %q", path, status, got["text"], want)
		}
	}
	connectMQTT(t, p.MQTT, "pump-17")
	if code := p.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d with a device connected; log:\n%s", code, p.log)
	}
}

// connectMQTT connects a device and reads the broker's consent.
func connectMQTT(t *testing.T, addr, id string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	body := "\x00\x04MQTT\x04\x02\x00\x3c\x00" + string(rune(len(id))) + id
	if _, err := io.WriteString(conn, "\x10"+string(rune(len(body)))+body); err != nil {
		t.Fatal(err)
	}
	ack := make([]byte, 4)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, ack); err != nil || string(ack) != "\x20\x02\x00\x00" {
		t.Fatalf("CONNACK % x, %v", ack, err)
	}
	return conn
}

// TestUnknownOperation: what the server does not have is an error that SDKs
// can show.
func TestUnknownOperation(t *testing.T) {
	p := start(t, t.TempDir(), nil, free()...)
	for _, path := range []string{"/billing-groups", "/", "/things/a/b/c", "/%2e%2e/etc/passwd", "/muster/v2/nothing"} {
		status, answer, header := p.call(t, http.MethodGet, path, "")
		if strings.HasPrefix(path, "/muster/") {
			if status != http.StatusNotFound {
				t.Errorf("%s: %d", path, status)
			}
			continue
		}
		if message, _ := answer["message"].(string); status != http.StatusNotFound ||
			header.Get("x-amzn-ErrorType") != "UnknownOperationException" || message == "" || header.Get("x-amzn-RequestId") == "" {
			t.Errorf("%s: %d %v %v", path, status, header, answer)
		}
	}
}

// TestDrain: a request that has begun when SIGTERM comes is answered, what it
// did is kept, and nothing new is taken.
func TestDrain(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, nil, free()...)
	const body = `{"attributePayload":{"attributes":{"site":"oslo"}}}`
	conn, err := net.Dial("tcp", p.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /things/late HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", p.HTTP, len(body))
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("the server is not reading the request: %q, %v", line, err)
	}
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	untilRefused(t, p.HTTP)
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("no answer to the request in flight: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the request in flight was answered %s", resp.Status)
	}
	if code := p.wait(t); code != 0 {
		t.Errorf("exit status %d; log:\n%s", code, p.log)
	}
	p = start(t, dir, nil, free()...)
	if got := p.must(t, http.MethodGet, "/things/late", "")["thingName"]; got != "late" {
		t.Errorf("what was acknowledged while stopping is lost: %v", got)
	}
}

// untilRefused waits until nobody listens at addr.
func untilRefused(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return
		}
		// A listener's backlog may take it still: wait for it to be closed or answered.
		_ = conn.SetDeadline(time.Now().Add(20 * time.Millisecond))
		_, _ = conn.Read(make([]byte, 1))
		conn.Close()
	}
	t.Fatalf("%s still accepts connections", addr)
}

// TestRestart: things, groups, jobs, executions and configuration are there
// after a restart, and the device that comes back is in its group.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, nil, free("--data", "fleet")...)
	p.must(t, http.MethodPost, "/things/pump-17", `{"attributePayload":{"attributes":{"softwareVersion":"5"}}}`)
	p.must(t, http.MethodPost, "/dynamic-thing-groups/on5", `{"queryString":"attributes.softwareVersion:5"}`)
	p.must(t, http.MethodPut, "/jobs/to6", `{"targets":["arn:aws:iot:us-east-1:123456789012:thinggroup/on5"],"document":"{\"to\":6}","targetSelection":"CONTINUOUS"}`)
	p.must(t, http.MethodPatch, "/event-configurations", `{"eventConfigurations":{"JOB":{"Enabled":true}}}`)
	p.must(t, http.MethodPost, "/indexing/config", `{"thingIndexingConfiguration":{"thingIndexingMode":"REGISTRY","thingConnectivityIndexingMode":"STATUS"}}`)
	reads := []string{
		"/things/pump-17", "/thing-groups/on5", "/thing-groups/on5/things", "/jobs/to6", "/jobs/to6/job-document",
		"/jobs/to6/things", "/event-configurations", "/indexing/config", "/indices/AWS_Things",
	}
	before := map[string]string{}
	for _, path := range reads {
		before[path] = fmt.Sprint(p.must(t, http.MethodGet, path, ""))
	}
	if want := "map[things:[pump-17]]"; before["/thing-groups/on5/things"] != want {
		t.Fatalf("members %s, want %s", before["/thing-groups/on5/things"], want)
	}
	if code := p.stop(t, syscall.SIGTERM); code != 0 {
		t.Fatalf("exit status %d; log:\n%s", code, p.log)
	}
	p = start(t, dir, nil, free("--data", "fleet")...)
	for _, path := range reads {
		if got := fmt.Sprint(p.must(t, http.MethodGet, path, "")); got != before[path] {
			t.Errorf("%s\n is %s\nwas %s", path, got, before[path])
		}
	}
}

// TestSecondServer: two servers never share a data folder; the first goes on.
func TestSecondServer(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir, nil, free("--data", "fleet")...)
	second := exec.Command("musterd", free("--data", "fleet")...)
	second.Dir = dir
	out, err := second.CombinedOutput()
	if code := second.ProcessState.ExitCode(); code != 1 || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "fleet") {
		t.Errorf("exit status %d (%v), want 1 and one line that names the folder:\n%s", code, err, out)
	}
	first.must(t, http.MethodPost, "/things/still-here", "{}")
}
