package archtest_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/muster-iot/muster/internal/archtest"
)

var update = flag.Bool("update", false, "write the findings of each fixture into it")

// TestFixtures breaks every rule: the file testdata/NAME.txt holds a small tree
// after the findings that the rule must report in it, all of them and no other.
// A rule without such a file, or whose file finds nothing, is a rule that may
// be unable to fail.
func TestFixtures(t *testing.T) {
	wanted := map[string]bool{}
	for _, rule := range archtest.Rules() {
		name := slug(rule.Name)
		if wanted[name] {
			t.Errorf("two rules are named %q", name)
		}
		wanted[name] = true
		t.Run(name, func(t *testing.T) { checkFixture(t, rule, filepath.Join("testdata", name+".txt")) })
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !wanted[strings.TrimSuffix(filepath.Base(file), ".txt")] {
			t.Errorf("%s belongs to no rule", file)
		}
	}
}

func checkFixture(t *testing.T, rule archtest.Rule, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("the rule has no fixture that breaks it: %v", err)
	}
	want, tree := parseFixture(string(text))
	loaded, err := archtest.Load(tree)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, finding := range rule.Check(loaded) {
		fmt.Fprintln(&got, finding)
	}
	if got.Len() == 0 {
		t.Error("the rule finds nothing in its fixture")
	}
	if *update {
		rest := strings.TrimPrefix(string(text), want)
		if err := os.WriteFile(file, []byte(got.String()+rest), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != want {
		t.Errorf("findings:\n%s\nwant:\n%s", got.String(), want)
	}
}

// slug makes a file name of a rule's name.
func slug(name string) string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// parseFixture splits a fixture into the expected findings and the tree. A file
// begins after a line such as "-- agent/agent.go --". A line "//go:repeat N"
// stands for N empty lines: that keeps the fixtures of the size rules short.
func parseFixture(text string) (want string, tree fstest.MapFS) {
	tree = fstest.MapFS{"go.mod": {Data: []byte("module github.com/muster-iot/muster\n")}}
	var name string
	for line := range strings.Lines(text) {
		if marked, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok && strings.HasSuffix(marked, " --") {
			name = strings.TrimSuffix(marked, " --")
			tree[name] = &fstest.MapFile{}
			continue
		}
		if name == "" {
			want += line
			continue
		}
		var n int
		if _, err := fmt.Sscanf(line, "//go:repeat %d", &n); err == nil {
			line = strings.Repeat("\n", n)
		}
		tree[name].Data = append(tree[name].Data, line...)
	}
	return want, tree
}

// TestEveryNamedPackageIsBound plants a forbidden import into each package that
// a row names: a row must not bind only the one its fixture happens to use.
func TestEveryNamedPackageIsBound(t *testing.T) {
	const module = "github.com/muster-iot/muster/"
	tests := []struct {
		rule     string
		packages []string
		plant    string // an import that the rule forbids to each of the packages
	}{
		{"pure packages import nothing that acts", archtest.Pure(), "net/http"},
		{"pure packages import nothing that acts", archtest.Pure(), "database/sql"},
		{"pure packages import nothing that acts", archtest.Pure(), "log/slog"},
		{"pure packages import nothing that acts", archtest.Pure(), "os"},
		{"pure packages import nothing that acts", archtest.Pure(), "net"},
		{"domain packages know no engine, store or adapter", archtest.Domain(), module + "server/engine"},
		{"domain packages know no engine, store or adapter", archtest.Domain(), module + "server/store"},
		{"domain packages know no engine, store or adapter", archtest.Domain(), module + "server/api/awsmodel"},
		{"adapters never import each other", archtest.Adapters(), module + "server/store/pebble"},
		{"adapters never import each other", []string{"server/store/pebble"}, module + "server/store/mem"},
		{"adapters never import each other", []string{"server/api/sigv4", "server/web"}, module + "server/dispatch"},
	}
	for _, test := range tests {
		rule := ruleNamed(t, test.rule)
		for _, pattern := range test.packages {
			for _, dir := range []string{strings.TrimSuffix(pattern, "/..."), strings.TrimSuffix(pattern, "/...") + "/below"} {
				tree := fstest.MapFS{
					"go.mod":                      {Data: []byte("module github.com/muster-iot/muster\n")},
					dir + "/x.go":                 {Data: []byte("package x\n\nimport _ \"" + test.plant + "\"\n")},
					"server/store/mem/m.go":       {Data: []byte("package mem\n")},
					"server/store/pebble/p.go":    {Data: []byte("package pebble\n")},
					"server/store/storetest/s.go": {Data: []byte("package storetest\n")},
				}
				loaded, err := archtest.Load(tree)
				if err != nil {
					t.Fatal(err)
				}
				if len(rule.Check(loaded)) != 1 {
					t.Errorf("%s: %s in %s is not found", test.rule, test.plant, dir)
				}
			}
		}
	}
}

func ruleNamed(t *testing.T, name string) archtest.Rule {
	t.Helper()
	for _, rule := range archtest.Rules() {
		if rule.Name == name {
			return rule
		}
	}
	t.Fatalf("there is no rule %q", name)
	return archtest.Rule{}
}

func TestLoadErrors(t *testing.T) {
	tests := []struct {
		name string
		tree fstest.MapFS
		want string
	}{
		{"no go.mod", fstest.MapFS{}, "cannot read go.mod"},
		{"bad go.mod", fstest.MapFS{"go.mod": {Data: []byte("modul x\n")}}, "cannot parse go.mod"},
		{"no module line", fstest.MapFS{"go.mod": {Data: []byte("go 1.26\n")}}, "names no module"},
		{"bad source", fstest.MapFS{"go.mod": {Data: []byte("module x\n")}, "a.go": {Data: []byte("package a\nfunc {")}}, "cannot parse: a.go:2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := archtest.Load(test.tree)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestLoadLeavesOutWhatIsNotTheModule(t *testing.T) {
	bad := &fstest.MapFile{Data: []byte("not Go")}
	tree, err := archtest.Load(fstest.MapFS{
		"go.mod":            {Data: []byte("module x\n")},
		"a/a.go":            {Data: []byte("package a\n")},
		"a/testdata/b.go":   bad,
		".hidden/b.go":      bad,
		"_old/b.go":         bad,
		"vendor/v/b.go":     bad,
		"nested/go.mod":     {Data: []byte("module y\n")},
		"nested/b/b.go":     bad,
		"a/notes/readme.md": bad,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Packages) != 1 || tree.Packages[0].Dir != "a" {
		t.Errorf("packages %v, want only a", tree.Packages)
	}
}

func TestCheckLicences(t *testing.T) {
	const (
		mpl    = "Mozilla Public License, version 2.0\n\n... GNU General Public License, Version 2.0 ..."
		epl    = "Eclipse Public License - v 2.0 (EPL-2.0)"
		mit    = "MIT License\n\nPermission is hereby granted, free of\ncharge, to any person"
		apache = "\n   Apache License\n   Version 2.0"
		notice = "Linked\n\n  example.org/named\n      Mozilla Public License 2.0.\n"
	)
	tests := []struct {
		name, path, licence, want string
	}{
		{"mit", "example.org/m", mit, ""},
		{"apache", "example.org/m", apache, ""},
		{"bsd", "example.org/m", "Redistribution and use in source and\nbinary forms, with or without", ""},
		{"mpl named", "example.org/named", mpl, ""},
		{"mpl not named", "example.org/other", mpl, "NOTICE does not name it"},
		{"mpl, a longer path is named", "example.org/name", mpl, "NOTICE does not name it"},
		{"epl not named", "example.org/other", epl, "NOTICE does not name it"},
		{"gpl", "example.org/named", "GNU GENERAL PUBLIC LICENSE\nVersion 3", "does not allow"},
		{"agpl", "example.org/named", "GNU AFFERO GENERAL PUBLIC LICENSE", "does not allow"},
		{"busl", "example.org/named", "Business Source License 1.1", "does not allow"},
		{"none", "example.org/named", "", "cannot be told"},
		{"own words", "example.org/named", "Do what you like.", "cannot be told"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found := archtest.CheckLicences(notice, []archtest.Module{{Path: test.path, Licence: test.licence}})
			switch {
			case test.want == "" && len(found) > 0:
				t.Errorf("found %v, want nothing", found)
			case test.want != "" && (len(found) != 1 || !strings.Contains(found[0].String(), test.want)):
				t.Errorf("found %v, want one with %q", found, test.want)
			}
		})
	}
}
