package walkthrough_test

import (
	"os"
	"strings"
	"testing"
)

const (
	walkthroughFile = "../../docs/walkthrough.md"
	readmeFile      = "../../README.md"
	beginMark       = "<!-- docs/walkthrough.md begins -->\n"
	endMark         = "<!-- docs/walkthrough.md ends -->\n"
)

// TestReadme: the README leads to the walkthrough, or shows it between two
// marks; then word for word. With -update what it shows is renewed.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, shows := strings.Cut(string(readme), beginMark)
	if !shows {
		if !strings.Contains(string(readme), "(docs/walkthrough.md)") {
			t.Errorf("README.md neither links docs/walkthrough.md nor shows it between %q and %q", beginMark, endMark)
		}
		return
	}
	shown, after, ends := strings.Cut(rest, endMark)
	if !ends {
		t.Fatalf("README.md has no line %q after %q", endMark, beginMark)
	}
	text, err := os.ReadFile(walkthroughFile)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "\n") // the README has a heading of its own
	if strings.TrimSpace(shown) == strings.TrimSpace(body) {
		return
	}
	if !*update {
		t.Fatal("README.md shows another text than docs/walkthrough.md: go test ./internal/walkthrough -update")
	}
	renewed := before + beginMark + "\n" + strings.TrimSpace(body) + "\n\n" + endMark + after
	if err := os.WriteFile(readmeFile, []byte(renewed), 0o644); err != nil {
		t.Fatal(err)
	}
}
