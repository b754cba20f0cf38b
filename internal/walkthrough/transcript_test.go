package walkthrough_test

import (
	"fmt"
	"regexp"
	"strings"
)

// A transcript is a Markdown file, cut into what is run and what is not.
type transcript struct {
	parts []part
}

// part is prose (no command) or one command with what it prints.
type part struct {
	prose   string
	line    int    // of the command in the file, from 1
	command string // without prompt; may have several lines
	output  string // each line ends with a newline
	setup   bool   // a whole sh block: pasted by the reader, prints nothing
}

const (
	fence  = "```"
	prompt = "$ "
	more   = "> "
)

// parse reads a transcript. In a console block "$ " begins a command, "> "
// continues it, and everything else is output. A block of sh is one command
// without output. All other text is prose.
func parse(text string) (transcript, error) {
	var t transcript
	block := "" // the kind of block we are in
	for i, line := range strings.SplitAfter(text, "\n") {
		if line == "" {
			continue
		}
		kind, isFence := strings.CutPrefix(strings.TrimSuffix(line, "\n"), fence)
		switch {
		case isFence && block != "":
			block = ""
			t.addProse(line)
		case isFence:
			block = kind
			if block == "" {
				return t, fmt.Errorf("line %d: a block must say what it is", i+1)
			}
			t.addProse(line)
			if block == "sh" {
				t.parts = append(t.parts, part{line: i + 2, setup: true})
			}
		case block == "sh":
			t.last().command += line
		case block == "console":
			if err := t.addConsole(i+1, line); err != nil {
				return t, err
			}
		default:
			t.addProse(line)
		}
	}
	if block != "" {
		return t, fmt.Errorf("a block of %s is never closed", block)
	}
	return t, nil
}

func (t *transcript) last() *part { return &t.parts[len(t.parts)-1] }

func (t *transcript) addProse(line string) {
	if len(t.parts) == 0 || t.last().command != "" {
		t.parts = append(t.parts, part{})
	}
	t.last().prose += line
}

func (t *transcript) addConsole(number int, line string) error {
	if command, ok := strings.CutPrefix(line, prompt); ok {
		t.parts = append(t.parts, part{line: number, command: command})
		return nil
	}
	last := t.last()
	if last.command == "" {
		return fmt.Errorf("line %d: output before the first command of a block", number)
	}
	if command, ok := strings.CutPrefix(line, more); ok && last.output == "" {
		last.command += command
		return nil
	}
	last.output += line
	return nil
}

// String returns the Markdown again.
func (t transcript) String() string {
	var b strings.Builder
	for _, p := range t.parts {
		switch {
		case p.command == "":
			b.WriteString(p.prose)
		case p.setup:
			b.WriteString(p.command)
		default:
			b.WriteString(prompt + strings.ReplaceAll(strings.TrimSuffix(p.command, "\n"), "\n", "\n"+more) + "\n" + p.output)
		}
	}
	return b.String()
}

// A normalizer replaces what differs from run to run: times by a word, ids by
// their number in order of appearance, so that the same id must come back in
// the same places.
type normalizer struct {
	ids map[string]string
}

var varying = regexp.MustCompile(
	`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(-\d+)?\b` +
		`|\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)` +
		`|\b[12]\d{12}\b|\b[12]\d{9}(\.\d+)?\b`)

func (n *normalizer) normalize(output string) string {
	if n.ids == nil {
		n.ids = map[string]string{}
	}
	return varying.ReplaceAllStringFunc(output, func(s string) string {
		switch {
		case strings.Contains(s, "T"):
			return "<time>"
		case strings.Contains(s, "-"):
			if n.ids[s] == "" {
				n.ids[s] = fmt.Sprintf("<id %d>", len(n.ids)+1)
			}
			return n.ids[s]
		case len(s) == 13 && !strings.Contains(s, "."):
			return "<milliseconds>"
		default:
			return "<seconds>"
		}
	})
}
