// Package archtest holds the rules about the shape of the source tree and
// checks them: who may import whom, which packages are pure, that packages and
// exported names are documented, how long files and functions may be, and what
// stands in NOTICE and ARCHITECTURE.md. It owns the tables of those rules
// (ARCHITECTURE.md says why they are so); it reads source text only, never
// builds or changes anything, and is imported by nothing: its tests run with
// all others. Read on in [Rules]; to add a rule, add a row and a fixture with
// the row's name under testdata that breaks it.
package archtest

import "strings"

// Finding is one place that breaks a rule.
type Finding struct {
	// Where is a path below the root of the tree, with a line when there is one.
	Where string
	// What says what is wrong there, and where it helps, the way out.
	What string
}

// String returns the finding as one line, in the form of a compiler message.
func (f Finding) String() string { return f.Where + ": " + f.What }

// Rule is one named statement about the tree.
type Rule struct {
	// Name is the statement, as it reads in a test's name.
	Name string
	// Check returns every place that breaks the statement.
	Check func(*Tree) []Finding
	// Skip, if set, returns why the rule cannot be checked yet, or "".
	Skip func(*Tree) string
}

// Rules returns all rules about a tree.
func Rules() []Rule {
	var all []Rule
	for _, l := range layers() {
		all = append(all, l.rule())
	}
	for _, o := range onlies() {
		all = append(all, o.rule())
	}
	all = append(all, adapterRule(), reachRule(), testHelperRule())
	all = append(all, pureRules()...)
	all = append(all, docRules()...)
	all = append(all, sizeRules()...)
	all = append(all, habitRules()...)
	return append(all, dependencyRule())
}

// matches reports whether a folder fits a pattern: "agent" is that folder,
// "agent/..." the folder and everything below it, "..." every folder.
func matches(dir, pattern string) bool {
	if pattern == "..." {
		return true
	}
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == base || strings.HasPrefix(dir, base+"/")
	}
	return dir == pattern
}

// matchesAny reports whether a folder fits one of the patterns.
func matchesAny(dir string, patterns []string) bool {
	for _, p := range patterns {
		if matches(dir, p) {
			return true
		}
	}
	return false
}
