package walkthrough_test

import (
	"os"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const text = "# Title\n\n```console\n$ one \\\n>     two\n1\n> not a command\n$ three\n```\n\n```sh\nf() {\n}\n```\nEnd.\n"
	got, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != text {
		t.Errorf("printed again:\n%s", got)
	}
	var commands []part
	for _, p := range got.parts {
		if p.command != "" {
			commands = append(commands, p)
		}
	}
	want := []part{
		{line: 4, command: "one \\\n    two\n", output: "1\n> not a command\n"},
		{line: 8, command: "three\n"},
		{line: 12, command: "f() {\n}\n", setup: true},
	}
	if len(commands) != len(want) {
		t.Fatalf("%d commands, want %d: %+v", len(commands), len(want), commands)
	}
	for i := range want {
		if commands[i] != want[i] {
			t.Errorf("command %d is %+v, want %+v", i, commands[i], want[i])
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"output first":    "```console\nhello\n```\n",
		"open block":      "```console\n$ one\n",
		"nameless block":  "```\n$ one\n```\n",
		"open after text": "text\n```sh\nf\n",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestFilesAreTranscripts needs no clients: the files parse, print the same
// again and say how musterd is started.
func TestFilesAreTranscripts(t *testing.T) {
	for _, file := range transcriptFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parse(string(text))
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if got.String() != string(text) {
			t.Errorf("%s is not printed as it was read", file)
		}
		if !strings.Contains(string(text), prompt+server) {
			t.Errorf("%s does not start a server", file)
		}
	}
}

func TestNormalize(t *testing.T) {
	const a, b = "62d7ca48-4bc3-4d4c-88f3-3c299d3455f7", "8d74ec62-73d0-403a-b618-c61384afdaba"
	var n normalizer
	for _, row := range []struct{ in, want string }{
		{a + ":" + b + " " + a, "<id 1>:<id 2> <id 1>"},
		{b + "-12", "<id 3>"},
		{`{"timestamp":1795558003529,"queuedAt":1795558003}`, `{"timestamp":<milliseconds>,"queuedAt":<seconds>}`},
		{`"2026-11-24T22:06:45.390000+00:00"`, `"<time>"`},
		{"arn:aws:iot:us-east-1:123456789012:thing/pump-17 version 6", "arn:aws:iot:us-east-1:123456789012:thing/pump-17 version 6"},
	} {
		if got := n.normalize(row.in); got != row.want {
			t.Errorf("%s becomes %s, want %s", row.in, got, row.want)
		}
	}
}
