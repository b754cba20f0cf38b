package rules_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/rules"
)

// TestProfiles: the name of a profile leads to its rules, another one to an
// error that names both.
func TestProfiles(t *testing.T) {
	for p, want := range map[rules.Profile]rules.Rules{"safe": rules.Safe(), "aws": rules.AWS()} {
		if got, err := p.Rules(); err != nil || !reflect.DeepEqual(got, want) || got.Profile != p {
			t.Errorf("%s: %+v, %v", p, got, err)
		}
	}
	for _, p := range []rules.Profile{"", "AWS", "google"} {
		if _, err := p.Rules(); err == nil || !strings.Contains(err.Error(), "safe or aws") {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// table is docs/rules.md.
func table(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEveryFieldIsDocumented: docs/rules.md names every field.
func TestEveryFieldIsDocumented(t *testing.T) {
	text := table(t)
	for _, of := range []reflect.Type{reflect.TypeFor[rules.Rules](), reflect.TypeFor[rules.Limits]()} {
		for f := range of.NumField() {
			name := of.Field(f).Name
			if name != "Profile" && name != "Limits" && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("docs/rules.md does not name %s", name)
			}
		}
	}
}

// TestNamedTestsExist: the tests that docs/rules.md names are there, and a rule
// that is built as the server's has one.
func TestNamedTestsExist(t *testing.T) {
	all := sources(t)
	row := regexp.MustCompile(`(?m)^\| (\d+) \|.*\| ([^|]*) \| ([^|]*) \|$`)
	rows := row.FindAllStringSubmatch(table(t), -1)
	if len(rows) != 30 {
		t.Errorf("docs/rules.md has %d rules, not 30", len(rows))
	}
	for _, r := range rows {
		named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(r[3], -1)
		if strings.HasPrefix(r[2], "now") && len(named) == 0 && r[1] != "18" { // which is of commands
			t.Errorf("rule %s is built, but docs/rules.md names no test of it", r[1])
		}
		for _, n := range named {
			if !strings.Contains(all, "func "+n[1]+"(") {
				t.Errorf("rule %s: %s does not exist", r[1], n[1])
			}
		}
	}
}

// sources returns the text of all test files.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		if errors.Is(err, fs.ErrNotExist) { // somebody works on the sources
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
