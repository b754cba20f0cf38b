package clients_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/devcert"
	"github.com/muster-iot/muster/internal/proctest"
)

// plant is a server with all its listeners, and what clients need to reach it.
type plant struct {
	addresses
	devcert.Files
	// RSACert and RSAKey are a device's whose key is RSA in PKCS#1, as AWS hands
	// them out.
	RSACert, RSAKey string
	api             *session
}

// startPlant starts a server with TLS for devices that show a certificate.
func startPlant(t *testing.T) *plant {
	t.Helper()
	dir := t.TempDir()
	files, err := devcert.Make(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := &plant{Files: files, RSACert: filepath.Join(dir, "rsa.pem"), RSAKey: filepath.Join(dir, "rsa-key.pem")}
	trusted := filepath.Join(dir, "devices.pem")
	if err := errors.Join(p.makeRSA(), join(trusted, p.CA, p.RSACert)); err != nil {
		t.Fatal(err)
	}
	p.addresses = startServer(t, "--mqtts", "127.0.0.1:0", "--https", "127.0.0.1:0", "--ws", "127.0.0.1:0",
		"--cert", p.ServerCert, "--key", p.ServerKey, "--client-ca", trusted)
	p.api = &session{t: t, at: p.addresses, name: "Go v2", client: newGoClient(t, "http://"+p.HTTP), table: newTable()}
	return p
}

// makeRSA makes a certificate that is its own authority.
func (p *plant) makeRSA() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	now := time.Now()
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "AWS IoT Certificate"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(p.RSACert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(p.RSAKey, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600))
}

// join writes one file that holds the others.
func join(file string, parts ...string) error {
	var all []byte
	for _, part := range parts {
		text, err := os.ReadFile(part)
		if err != nil {
			return err
		}
		all = append(all, text...)
	}
	return os.WriteFile(file, all, 0o600)
}

// port is the port of an address.
func port(t *testing.T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// connected waits until the API says whether the device is connected.
func (p *plant) connected(thing string, want object) {
	p.api.t.Helper()
	p.api.eventually("SearchIndex", object{"queryString": "thingName:" + thing}, object{"things": []any{object{"connectivity": want}}})
}

const jobDocument = `{"operation":"install","version":"6"}`

// createJob sends a job to a device.
func (p *plant) createJob(id, thing string) {
	p.api.t.Helper()
	p.api.ok("CreateJob", object{"jobId": id, "targets": []any{arn("thing/" + thing)}, "document": jobDocument}, object{"jobId": id})
}

// sight is something that a device script saw.
type sight struct {
	what string
	want object
	// then is what the fleet does when the device says so.
	then func()
}

// watch runs a device script, which must see exactly this.
func watch(t *testing.T, cmd *bufio.Reader, device *proctest.Process, sights []sight) {
	t.Helper()
	for _, want := range sights {
		line, err := cmd.ReadBytes('\n')
		if err != nil {
			t.Fatalf("it ended before it saw %s: %v\n%s", want.what, device.Err, device.Stderr)
		}
		var got object
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("it printed %q: %v", line, err)
		}
		if got["saw"] != want.what {
			t.Fatalf("it saw %s, want %s\n%s", line, want.what, device.Stderr)
		}
		for _, problem := range differences(want.what, want.want, got) {
			t.Errorf("%s", problem)
		}
		if want.then != nil {
			want.then()
		}
	}
	if line, err := cmd.ReadBytes('\n'); err == nil {
		t.Fatalf("and then it saw %s", line)
	}
	<-device.Ended
	if device.Err != nil {
		t.Errorf("it ended with %v\n%s", device.Err, device.Stderr)
	}
}

// runDevice runs a script as a thing, with a deadline for all that it does.
func runDevice(t *testing.T, name string, at object, sights []sight) {
	t.Helper()
	text, err := json.Marshal(at)
	if err != nil {
		t.Fatal(err)
	}
	cmd := script(t, name, string(text))
	if ca, _ := at["ca"].(string); ca != "" {
		cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+ca) // v1 takes no authority over WebSocket
	}
	device, out := proctest.StartReading(t, cmd, nil)
	ctx, cancel := context.WithTimeout(t.Context(), deviceTime)
	defer cancel()
	stop := context.AfterFunc(ctx, device.Kill)
	defer stop()
	watch(t, out, device, sights)
}

// deviceTime is far above what a device needs on a busy machine.
const deviceTime = 90 * time.Second

// TestDeviceSDKv2 is the AWS IoT device SDK v2 with both of its MQTT clients,
// both generations of its service clients, over TLS and over WebSocket.
func TestDeviceSDKv2(t *testing.T) {
	t.Parallel()
	needNode(t)
	p := startPlant(t)
	for _, version := range []int{3, 5} {
		for _, transport := range []string{"tls", "wss"} {
			t.Run(fmt.Sprintf("MQTT %d over %s", version, transport), func(t *testing.T) {
				thing := fmt.Sprintf("v2-%d-%s", version, transport)
				p.api.t = t
				p.api.ok("CreateThing", object{"thingName": thing}, nil)
				at := object{
					"mqtt": version, "transport": transport, "host": "localhost", "port": port(t, p.MQTTS), "thing": thing,
					"cert": p.ClientCert, "key": p.ClientKey, "ca": p.CA,
				}
				if transport == "wss" {
					at["port"] = port(t, p.HTTPS)
				}
				runDevice(t, "device_v2.mjs", at, p.sightsV2(version, thing))
				p.connected(thing, object{"connected": false, "disconnectReason": "CLIENT_INITIATED_DISCONNECT"})
			})
		}
	}
}

// sightsV2 is what the script device_v2.mjs must see.
func (p *plant) sightsV2(version int, thing string) []sight {
	sights := []sight{{"connected", nil, func() { p.connected(thing, object{"connected": true}) }}}
	if version == 5 {
		sights = append([]sight{{"settings", object{"maximumQos": 1, "serverKeepAlive": 1200}, nil}}, sights...)
	}
	for i := range 2 {
		id := fmt.Sprintf("%s-job-%d", thing, i+1)
		sights = append(sights, shadowSights()...)
		sights = append(sights, jobSights(thing, id, func() { p.createJob(id, thing) })...)
	}
	return append(sights, sight{"disconnected", nil, nil})
}

func shadowSights() []sight {
	return []sight{
		{"shadow", object{
			"versions": []any{1, 0, 0}, "delta": object{"on": true}, "timestamp": recent, "conflict": 409,
			"state":   object{"reported": object{"on": false}, "desired": object{"on": true}, "delta": object{"on": true}},
			"current": object{"reported": object{"on": false}, "desired": object{"on": true}},
		}, nil},
		{"named shadow", object{"desired": object{"rate": 5}, "delta": object{"rate": 5}, "gone": 404}, nil},
	}
}

func jobSights(thing, id string, create func()) []sight {
	document := object{"operation": "install", "version": "6"}
	return []sight{
		{"waiting", object{"jobId": id}, create},
		{"notified", object{"jobId": id, "status": "QUEUED", "document": document, "queued": []any{id}}, nil},
		{"started", object{
			"queued": []any{id}, "inProgress": 0, "jobId": id, "status": "IN_PROGRESS", "version": 2, "number": 1,
			"details": object{"step": "begin"}, "document": document,
		}, nil},
		{"progress", object{
			"state":     object{"status": "IN_PROGRESS", "versionNumber": 3, "statusDetails": object{"pct": "80"}},
			"described": id, "thing": thing, "document": document, "mismatch": "VersionMismatch", "unknown": "ResourceNotFound",
		}, nil},
		{"succeeded", object{"state": nil, "next": nil, "left": []any{}, "again": "TerminalStateReached", "nothing": nil}, nil},
	}
}

// TestDeviceSDKv1 is the AWS IoT device SDK v1 over TLS and over WebSocket.
func TestDeviceSDKv1(t *testing.T) {
	t.Parallel()
	needNode(t)
	p := startPlant(t)
	for _, transport := range []string{"tls", "wss"} {
		t.Run(transport, func(t *testing.T) {
			thing := "v1-" + transport
			p.api.t = t
			p.api.ok("CreateThing", object{"thingName": thing}, nil)
			at := object{
				"transport": transport, "host": "localhost", "port": port(t, p.MQTTS), "thing": thing,
				"cert": p.RSACert, "key": p.RSAKey, "ca": p.CA,
			}
			if transport == "wss" {
				at["port"] = port(t, p.HTTPS)
			}
			id := thing + "-job-1"
			runDevice(t, "device_v1.mjs", at, []sight{
				{"connected", nil, func() { p.connected(thing, object{"connected": true}) }},
				{"shadow", object{
					"statuses": []any{"accepted", "accepted", "accepted", "accepted", "rejected"}, "delta": object{"on": true},
					"state": object{"reported": object{"on": false}, "desired": object{"on": true}}, "refused": 404,
				}, nil},
				{"waiting", nil, func() { p.createJob(id, thing) }},
				{"notified", object{"jobId": id, "operation": "install", "document": object{"version": "6"}, "status": "QUEUED"}, nil},
				{"succeeded", nil, func() {
					p.api.eventually("DescribeJobExecution", object{"jobId": id, "thingName": thing},
						object{"execution": object{"status": "SUCCEEDED", "versionNumber": 3, "statusDetails": object{"detailsMap": object{"pct": "100"}}}})
				}},
				{"disconnected", nil, nil},
			})
			p.connected(thing, object{"connected": false, "disconnectReason": "CLIENT_INITIATED_DISCONNECT"})
		})
	}
}
