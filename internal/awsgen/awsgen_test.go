package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

const committed = "../../server/api/awsmodel"

// TestOutputIsCommitted generates everything anew and compares it with what
// is committed. It needs the SDK module, so it runs with the generator's own
// module; package awsmodel compares hashes without it.
func TestOutputIsCommitted(t *testing.T) {
	out := t.TempDir()
	for _, svc := range services() {
		if err := os.Mkdir(filepath.Join(out, svc.name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(out); err != nil {
		t.Fatal(err)
	}
	paths := []string{"gen.sum"}
	for _, svc := range services() {
		paths = append(paths, filepath.Join(svc.name, "types_gen.go"), filepath.Join(svc.name, "describe_gen.go"))
	}
	for _, path := range paths {
		got, err := os.ReadFile(filepath.Join(out, path))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(committed, path))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes", path)
		}
	}
}

func TestReachRefusesUnknownOperations(t *testing.T) {
	if _, err := reach(&model{}, []string{"CreateThing"}); err == nil {
		t.Error("an operation that the model lacks was accepted")
	}
}

func TestStatus(t *testing.T) {
	var explicit, fault, plain shape
	explicit.Error.HTTPStatusCode = 410
	fault.Fault = true
	for _, row := range []struct {
		name  string
		shape shape
		want  int
	}{{"explicit", explicit, 410}, {"fault of the server", fault, 500}, {"neither", plain, 400}} {
		if got := status(row.shape); got != row.want {
			t.Errorf("%s: got %d, want %d", row.name, got, row.want)
		}
	}
}
