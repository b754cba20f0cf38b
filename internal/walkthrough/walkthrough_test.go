package walkthrough_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	update  = flag.Bool("update", false, "write what the commands print now into the transcripts")
	profile = flag.String("profile", "safe", "the server's profile; the walkthrough reads the same under safe and aws")
)

// safeOnly stands in the prose before what only the safe profile does: another
// one's run ends there.
const safeOnly = "(in profile aws they are not"

// server begins the command that starts musterd, which is not typed into the shell.
const server = "bin/musterd "

var transcriptFiles = []string{walkthroughFile, "testdata/registry-only.md", "testdata/api.md", "testdata/sdk.md"}

// TestTranscripts runs the walkthrough of the documentation and the others.
func TestTranscripts(t *testing.T) {
	if *update && *profile != "safe" {
		t.Fatal("-update writes what the safe profile prints: leave -profile out")
	}
	needClients(t)
	for _, file := range transcriptFiles {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".md"), func(t *testing.T) {
			t.Parallel()
			runFile(t, file)
		})
	}
}

func runFile(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was, err := parse(string(text))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	is := runTranscript(t, was)
	var wasForm, isForm normalizer
	same := true
	for i, p := range was.parts {
		if i >= len(is.parts) {
			break
		}
		want, got := wasForm.normalize(p.output), isForm.normalize(is.parts[i].output)
		if want == got {
			continue
		}
		if same && !*update {
			t.Errorf("%s:%d: %s%s", file, p.line, p.command, firstDifference(got, want))
		}
		same = false
	}
	if *update && !same {
		if err := os.WriteFile(file, []byte(is.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// firstDifference shows the first line of the normalized output that is not as
// wanted, with all that follows if it is not long.
func firstDifference(got, want string) string {
	printed, wanted := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < min(len(printed), len(wanted))-1 && printed[i] == wanted[i] {
		i++
	}
	show := func(lines []string) string { return strings.Join(lines[i:min(len(lines), i+10)], "\n") }
	return fmt.Sprintf("from line %d of its output on, printed:\n%s\nwant:\n%s", i+1, show(printed), show(wanted))
}

// runTranscript runs every command in a fresh folder against a fresh server and
// returns the transcript with what they printed. The first command that
// starts musterd says with which arguments.
func runTranscript(t *testing.T, was transcript) transcript {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	is := transcript{parts: append([]part(nil), was.parts...)}
	var at addresses
	var sh *shell
	for i := range is.parts {
		p := &is.parts[i]
		switch {
		case *profile != "safe" && strings.Contains(p.prose, safeOnly):
			is.parts = is.parts[:i]
			return is
		case p.command == "":
		case strings.HasPrefix(p.command, server):
			at, p.output = startServer(t, dir, append(strings.Fields(p.command)[1:], "--profile", *profile)...)
			sh = startShell(t, dir, environment(t, dir, at))
		case sh == nil:
			t.Fatalf("line %d: no server runs yet: %s", p.line, p.command)
		default:
			p.output = runUntil(t, sh, at, *p)
		}
	}
	return is
}

const retries = 20

var polled = regexp.MustCompile(`^(news|topics) `)

// timeout ends well before the test binary would be killed with all that it has started.
func timeout(t *testing.T) time.Duration {
	if deadline, ok := t.Deadline(); ok {
		return min(commandTimeout, time.Until(deadline)-20*time.Second)
	}
	return commandTimeout
}

// runUntil runs a command. One that shows the news of a log is repeated while
// it has shown the beginning only of what is expected: it shows each line
// once, and messages take their time on a busy machine.
func runUntil(t *testing.T, sh *shell, at addresses, p part) string {
	t.Helper()
	var got strings.Builder
	for range retries {
		output, err := sh.run(at.fromText(p.command), timeout(t))
		if err != nil {
			t.Fatalf("line %d: %v\nprinted so far:\n%s", p.line, err, output)
		}
		got.WriteString(at.toText(output))
		enough := strings.Count(got.String(), "\n") >= strings.Count(p.output, "\n")
		if !polled.MatchString(p.command) || !*update && enough || *update && output == "" {
			break
		}
	}
	if p.setup && got.Len() != 0 {
		t.Fatalf("line %d: a block of sh prints nothing, but this did:\n%s", p.line, got.String())
	}
	return got.String()
}
