package clients_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the table of this run into docs/clients.md")

const (
	page      = "../../docs/clients.md"
	beginMark = "<!-- operations begin: go test ./internal/clients -update -->\n"
	endMark   = "<!-- operations end -->\n"
)

// cell is how an operation went with a client.
type cell string

// The cells. An operation with several steps has the worst of theirs.
const (
	unknown cell = ""       // the client did not run
	absent  cell = "no"     // this version of the client has no such operation
	passed  cell = "yes"    // all its steps held
	failed  cell = "failed" // one did not
)

// table is who ran what.
type table struct {
	mu   sync.Mutex
	rows map[string]map[string]cell // by operation and client
}

func newTable() *table { return &table{rows: map[string]map[string]cell{}} }

func (b *table) set(operation, client string, c cell) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rows[operation] == nil {
		b.rows[operation] = map[string]cell{}
	}
	if b.rows[operation][client] != failed {
		b.rows[operation][client] = c
	}
}

// names are the operations, those of the control plane first.
func (b *table) names() []string {
	var all []string
	for name := range b.rows {
		all = append(all, name)
	}
	slices.SortFunc(all, func(a, c string) int {
		_, _, aData := strings.Cut(a, " ")
		_, _, cData := strings.Cut(c, " ")
		if aData != cData {
			if aData {
				return 1
			}
			return -1
		}
		return strings.Compare(a, c)
	})
	return all
}

// String is the table in Markdown.
func (b *table) String() string {
	var w strings.Builder
	w.WriteString("| operation |")
	for _, c := range apiClients {
		w.WriteString(" " + c.name + " |")
	}
	w.WriteString("\n|" + strings.Repeat(" --- |", len(apiClients)+1) + "\n")
	for _, operation := range b.names() {
		w.WriteString("| " + operation + " |")
		for _, c := range apiClients {
			w.WriteString(" " + string(b.rows[operation][c.name]) + " |")
		}
		w.WriteString("\n")
	}
	return w.String()
}

// check shows the table and compares it with the one in docs/clients.md: what a
// client did there it must have done here, unless it did not run or this version
// of it has no such operation; and nothing is missing there.
func (b *table) check(t *testing.T) {
	t.Helper()
	shown := b.String()
	t.Logf("%d operations:\n%s", len(b.rows), shown)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), beginMark)
	was, after, ended := strings.Cut(rest, endMark)
	if !ok || !ended {
		t.Fatalf("%s has no lines %q and %q", page, beginMark, endMark)
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(page, []byte(before+beginMark+"\n"+shown+"\n"+endMark+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, problem := range b.lacks(was) {
		t.Errorf("%s: %s", page, problem)
	}
}

// lacks returns where a table in Markdown says another thing than this one.
func (b *table) lacks(was string) []string {
	var problems []string
	documented := map[string]bool{}
	for line := range strings.Lines(was) {
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		if len(cells) != len(apiClients)+1 || strings.Contains(line, "---") || strings.Contains(line, "| operation |") {
			continue
		}
		operation := strings.TrimSpace(cells[0])
		documented[operation] = true
		for i, c := range apiClients {
			want, got := cell(strings.TrimSpace(cells[i+1])), b.rows[operation][c.name]
			if want == passed && got == unknown && b.ran(c.name) {
				problems = append(problems, fmt.Sprintf("%s of %s is not tested any more: run with -update", operation, c.name))
			}
			if want != passed && got == passed && want != absent {
				problems = append(problems, fmt.Sprintf("%s of %s is tested now: run with -update", operation, c.name))
			}
		}
	}
	var missing []string
	for _, operation := range b.names() {
		if !documented[operation] {
			missing = append(missing, operation)
		}
	}
	if len(missing) > 0 {
		problems = append(problems, "run with -update: it lacks "+strings.Join(missing, ", "))
	}
	return problems
}

func (b *table) ran(client string) bool {
	for _, cells := range b.rows {
		if cells[client] != unknown {
			return true
		}
	}
	return false
}
