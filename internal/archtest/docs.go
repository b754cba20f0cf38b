package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// minDocumented is the share of exported names that must have a comment.
const minDocumented = 0.95

func docRules() []Rule {
	return []Rule{
		{Name: "every package says what it is", Check: checkPackageDocs},
		{Name: "exported names are documented", Check: checkExportedDocs},
	}
}

func checkPackageDocs(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		if p.Name == "" {
			continue // only tests
		}
		var docs []*File
		for _, f := range p.Files {
			if !f.Test && f.AST.Doc != nil && strings.TrimSpace(f.AST.Doc.Text()) != "" {
				docs = append(docs, f)
			}
		}
		if len(docs) == 0 {
			found = append(found, Finding{Where: p.Dir, What: "the package has no doc comment"})
			continue
		}
		for _, f := range docs[1:] {
			found = append(found, f.at(f.AST.Package, "a second package comment: "+docs[0].Path+" has one"))
		}
		if wrong := docFault(p, docs[0].AST.Doc.Text()); wrong != "" {
			found = append(found, docs[0].at(docs[0].AST.Package, wrong))
		}
	}
	return found
}

// docFault returns what is wrong with a package comment, or "".
func docFault(p *Package, doc string) string {
	starts := []string{"Package " + p.Name}
	if p.Name == "main" {
		base := path.Base(p.Dir)
		starts = []string{"Command " + base, base, strings.ToUpper(base[:1]) + base[1:], "Muster"}
	}
	if !slices.ContainsFunc(starts, func(s string) bool { return strings.HasPrefix(doc, s+" ") }) {
		return fmt.Sprintf("the package comment must begin with %q", starts[0]+" ")
	}
	paragraph, _, _ := strings.Cut(doc, "\n\n")
	paragraph = strings.TrimSpace(paragraph)
	if len(strings.Fields(paragraph)) < 8 || !strings.HasSuffix(paragraph, ".") && !strings.HasSuffix(paragraph, ":") {
		return "the package comment must begin with a whole sentence of eight words or more"
	}
	return ""
}

// checkExportedDocs reports every bare name once too few are documented: below
// the share, each of them counts.
func checkExportedDocs(t *Tree) []Finding {
	names, bare := t.exported()
	if names == 0 || float64(names-len(bare)) >= minDocumented*float64(names) {
		return nil
	}
	return bare
}

// exported counts the exported names at the top of packages that are no
// commands, and returns those without a comment. A name in a group is
// documented by a comment on itself, behind itself or on the group.
func (t *Tree) exported() (names int, bare []Finding) {
	note := func(f *File, id *ast.Ident, documented bool) {
		if !id.IsExported() {
			return
		}
		names++
		if !documented {
			bare = append(bare, f.at(id.Pos(), id.Name+" is exported and has no comment"))
		}
	}
	for _, p := range t.Packages {
		if p.Name == "main" {
			continue
		}
		for _, f := range p.Files {
			if f.Test || f.Generated {
				continue
			}
			for _, decl := range f.AST.Decls {
				eachName(decl, func(id *ast.Ident, documented bool) { note(f, id, documented) })
			}
		}
	}
	return names, bare
}

// eachName calls yield for the names that a declaration gives to the package.
func eachName(decl ast.Decl, yield func(id *ast.Ident, documented bool)) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || ast.IsExported(receiver(d)) {
			yield(d.Name, d.Doc != nil)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				yield(s.Name, s.Doc != nil || s.Comment != nil || d.Doc != nil && d.Lparen == token.NoPos)
			case *ast.ValueSpec:
				for _, id := range s.Names {
					yield(id, s.Doc != nil || s.Comment != nil || d.Doc != nil)
				}
			}
		}
	}
}

// receiver returns the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.ParenExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}
