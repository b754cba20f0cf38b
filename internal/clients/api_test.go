package clients_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"testing"

	"github.com/muster-iot/muster/internal/proctest"
)

const (
	region  = "eu-north-1" // every client's; ARNs have it from the signature
	account = "123456789012"
)

func arn(resource string) string { return "arn:aws:iot:" + region + ":" + account + ":" + resource }

// object is a JSON object: the input of an operation, or what is wanted of its
// output.
type object map[string]any

// step is what a client is asked to do.
type step struct {
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Input     object `json:"input"`
	// Pages is the member that a paginator collects from pages of two; without
	// it the operation is called once.
	Pages string `json:"pages,omitempty"`
}

// answer is what the client saw; exactly one of its members is set.
type answer struct {
	Output object   `json:"output"`
	Error  *failure `json:"error"`
	// Absent says why the client has no such operation.
	Absent string `json:"absent"`
}

// failure is an exception of the client.
type failure struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	// Status is the HTTP status, 0 where the client does not tell.
	Status int `json:"status"`
	// Typed says that it came as the class of that name, which the client's
	// model of the service has.
	Typed bool   `json:"typed"`
	More  object `json:"more"`
}

// client is one stranger's client of the HTTP API.
type client interface {
	do(s step) (answer, error)
}

// apiClients are the clients, as the table names them, and how one is
// started for an endpoint.
var apiClients = []struct {
	name  string
	start func(t *testing.T, endpoint string) client
}{
	{"aws CLI", func(t *testing.T, endpoint string) client {
		needPython(t, "awscli", "awscli")
		return startScript(t, exec.Command(python, "testdata/with_awscli.py", endpoint))
	}},
	{"boto3", func(t *testing.T, endpoint string) client {
		needPython(t, "boto3", "python3-boto3")
		return startScript(t, exec.Command(python, "testdata/with_boto3.py", endpoint))
	}},
	{"JavaScript v3", func(t *testing.T, endpoint string) client {
		return startScript(t, script(t, "with_sdk3.mjs", endpoint))
	}},
	{"Go v2", newGoClient},
}

// scriptClient is a script that answers a line per step.
type scriptClient struct {
	stdin  io.Writer
	stdout *bufio.Reader
	*proctest.Process
}

func startScript(t *testing.T, cmd *exec.Cmd) *scriptClient {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	process, stdout := proctest.StartReading(t, cmd, nil)
	return &scriptClient{stdin: stdin, stdout: stdout, Process: process}
}

func (c *scriptClient) do(s step) (a answer, err error) {
	line, err := json.Marshal(s)
	if err != nil {
		return a, err
	}
	if _, err := c.stdin.Write(append(line, '\n')); err != nil {
		return a, fmt.Errorf("cannot ask the client: %w\n%s", err, c.Stderr)
	}
	text, err := c.stdout.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("the client does not answer: %w\n%s", err, c.Stderr)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("the client answers %q: %w", text, err)
	}
	return a, nil
}

// TestAPIClients runs every step with every client, each against a server of
// its own, and compares who ran what with docs/clients.md.
func TestAPIClients(t *testing.T) {
	table := newTable()
	t.Run("clients", func(t *testing.T) {
		for _, c := range apiClients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				at := startServer(t)
				s := &session{t: t, at: at, name: c.name, client: c.start(t, "http://"+at.HTTP), table: table}
				s.run()
			})
		}
	})
	table.check(t)
}
