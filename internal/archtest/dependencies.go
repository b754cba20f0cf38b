package archtest

import (
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// dependencyRule: nobody adds a dependency without saying what it is for.
func dependencyRule() Rule {
	const page = "ARCHITECTURE.md"
	return Rule{
		Name: "every direct dependency has a line in ARCHITECTURE.md",
		Skip: func(t *Tree) string {
			if _, err := fs.Stat(t.root, page); err != nil {
				return page + " does not exist yet"
			}
			return ""
		},
		Check: func(t *Tree) []Finding {
			text, err := fs.ReadFile(t.root, page)
			if err != nil {
				return []Finding{{Where: page, What: err.Error()}}
			}
			var found []Finding
			for _, module := range t.directModules() {
				if !strings.Contains(string(text), unversioned(module)) {
					found = append(found, Finding{Where: page, What: "no line for " + unversioned(module)})
				}
			}
			return found
		},
	}
}

// directModules returns the modules that packages of the tree import, tests
// included, whatever the comments in go.mod say.
func (t *Tree) directModules() []string {
	direct := map[string]bool{}
	t.eachImport([]string{"..."}, nil, true, func(_ *Package, _ *File, _ *ast.ImportSpec, target string) {
		longest := ""
		for _, module := range t.Requires {
			if (target == module || strings.HasPrefix(target, module+"/")) && len(module) > len(longest) {
				longest = module
			}
		}
		if longest != "" {
			direct[longest] = true
		}
	})
	return slices.Sorted(maps.Keys(direct))
}

// Module is a module that the binaries or the tests are built from.
type Module struct {
	// Path is the module's path.
	Path string
	// Licence is the text of its licence file, empty if there is none.
	Licence string
}

// Licence kinds, by what they ask of whoever distributes a binary.
const (
	permissive = "permissive"
	fileLevel  = "file-level copyleft"
	unfit      = "unfit"
	unknown    = "unknown"
)

// licenceKind tells the kind of a licence from its text. The order matters:
// the texts of MPL and EPL name the GPL too, and a file may hold several.
func licenceKind(text string) string {
	head := strings.Join(strings.Fields(text[:min(len(text), 2000)]), " ")
	all := strings.Join(strings.Fields(text), " ")
	has := func(in string, words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(in), strings.ToLower(w)) })
	}
	switch {
	case has(head, "Mozilla Public License", "Eclipse Public License", "Common Development and Distribution License"):
		return fileLevel
	case has(head, "GNU General Public", "GNU Affero", "GNU Lesser", "GNU Library", "Business Source", "Server Side Public", "Elastic License", "Commons Clause"):
		return unfit
	case has(all, "Apache License", "Permission is hereby granted, free of charge", "Redistribution and use in source and binary forms",
		"Permission to use, copy, modify", "CC0 1.0 Universal", "This is free and unencumbered software"):
		return permissive
	}
	return unknown
}

// CheckLicences returns the modules whose licence does not fit an Apache-2.0
// project or cannot be told, and those under file-level copyleft that the
// notice does not name.
func CheckLicences(notice string, modules []Module) []Finding {
	var found []Finding
	for _, m := range modules {
		switch kind := licenceKind(m.Licence); {
		case kind == unfit:
			found = append(found, Finding{Where: m.Path, What: "its licence does not allow to link it"})
		case kind == unknown:
			found = append(found, Finding{Where: m.Path, What: "its licence cannot be told"})
		case kind == fileLevel && !namesModule(notice, m.Path):
			found = append(found, Finding{Where: m.Path, What: fmt.Sprintf("it is under %s and NOTICE does not name it", kind)})
		}
	}
	return found
}

// namesModule reports whether a line of the notice is the module's path.
func namesModule(notice, path string) bool {
	return slices.ContainsFunc(strings.Split(notice, "\n"), func(line string) bool { return strings.TrimSpace(line) == path })
}
