package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

func habitRules() []Rule {
	return []Rule{
		{Name: "tests do not sleep", Check: checkSleep},
		{Name: "no function is named init", Check: checkInit},
		{Name: "no global logger and no exit outside of commands", Check: checkGlobals},
		{Name: "selfupdate never replaces the running binary", Check: checkSelfUpdate},
		{Name: "package variables are never changed", Check: checkVariables},
	}
}

// checkSleep lets time.Sleep stand in the function given to synctest.Test:
// there it costs no time and is never too short.
func checkSleep(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			if !f.Test && !isTestHelper(p.Dir) {
				continue
			}
			ast.Inspect(f.AST, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if target, name, ok := f.uses(call.Fun); ok && target == "testing/synctest" && name == "Test" {
						return false
					}
				}
				if target, name, ok := f.uses(n); ok && target == "time" && name == "Sleep" {
					found = append(found, f.at(n.Pos(), "a test must not sleep: poll with a deadline, or use testing/synctest"))
				}
				return true
			})
		}
	}
	return found
}

func checkInit(t *Tree) []Finding {
	return t.inspect(func(_ *Package, f *File) bool { return !f.Generated }, func(f *File, n ast.Node) (Finding, bool) {
		d, ok := n.(*ast.FuncDecl)
		if !ok || d.Recv != nil || d.Name.Name != "init" {
			return Finding{}, false
		}
		return f.at(d.Pos(), "init runs before anyone can configure it: do it in New or in a table"), true
	})
}

// checkGlobals: only a command may decide where logs go and when to end.
func checkGlobals(t *Tree) []Finding {
	code := func(p *Package, f *File) bool { return p.Name != "main" && !f.Test }
	return t.inspect(code, func(f *File, n ast.Node) (Finding, bool) {
		target, name, ok := f.uses(n)
		if !ok {
			return Finding{}, false
		}
		global := []string{"Debug", "DebugContext", "Info", "InfoContext", "Warn", "WarnContext", "Error", "ErrorContext", "Log", "LogAttrs", "Default", "SetDefault", "With"}
		switch {
		case target == "os" && name == "Exit",
			target == "log" && name != "New" && name != "Logger" && !strings.HasPrefix(name, "L"),
			target == "log/slog" && slices.Contains(global, name),
			target == "net/http" && (name == "DefaultServeMux" || name == "DefaultClient" || name == "Handle" || name == "HandleFunc"):
			return f.at(n.Pos(), fmt.Sprintf("%s.%s is global: pass it in, or return an error", target, name)), true
		}
		return Finding{}, false
	})
}

// checkSelfUpdate: its Apply writes without fsync and leaves a moment without
// a file; only its patcher and its check of a binary are used.
func checkSelfUpdate(t *Tree) []Finding {
	return t.inspect(func(*Package, *File) bool { return true }, func(f *File, n ast.Node) (Finding, bool) {
		target, name, ok := f.uses(n)
		if !ok || target != "github.com/minio/selfupdate" || !slices.Contains([]string{"Apply", "CommitBinary", "RollbackError"}, name) {
			return Finding{}, false
		}
		return f.at(n.Pos(), "selfupdate."+name+" is not safe against power loss: switch version folders instead"), true
	})
}

// checkVariables: what a package keeps in a variable of its own is a table, a
// compiled expression or a sentinel error, set where it is declared.
func checkVariables(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		vars := map[string]bool{}
		for _, f := range p.Files {
			if f.Test || f.Generated {
				continue
			}
			for _, decl := range f.AST.Decls {
				if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
					found = append(found, t.variables(f, d, vars)...)
				}
			}
		}
		found = append(found, p.changes(vars)...)
	}
	return found
}

// variables adds the names that d declares to vars and returns those that are
// born as state: without a value, or with one that only makes sense when it changes.
func (t *Tree) variables(f *File, d *ast.GenDecl, vars map[string]bool) []Finding {
	var found []Finding
	for _, spec := range d.Specs {
		s, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for _, id := range s.Names {
			vars[id.Name] = id.Name != "_"
			if len(s.Values) == 0 && id.Name != "_" && !embeds(d.Doc) && !embeds(s.Doc) {
				found = append(found, f.at(id.Pos(), "package variable "+id.Name+" has no value: it is state"))
			}
		}
		for _, value := range s.Values {
			if what := t.stateful(f, value); what != "" {
				found = append(found, f.at(value.Pos(), "package variable "+s.Names[0].Name+" is state: "+what))
			}
		}
	}
	return found
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// stateful returns why a variable's first value shows that it will change, or "".
func (t *Tree) stateful(f *File, value ast.Expr) string {
	call, ok := value.(*ast.CallExpr)
	if !ok {
		if lit, ok := value.(*ast.CompositeLit); ok {
			if target, name, ok := f.uses(lit.Type); ok && (target == "sync" || target == "sync/atomic") {
				return target + "." + name
			}
		}
		return ""
	}
	if id, ok := call.Fun.(*ast.Ident); ok && (id.Name == "make" || id.Name == "new") {
		return id.Name
	}
	target, name, ok := f.uses(call.Fun)
	if !ok || strings.HasPrefix(name, "Must") {
		return ""
	}
	constant := map[string][]string{
		"errors": {"New", "Join"}, "fmt": {"Errorf", "Sprintf", "Sprint"}, "strings": {"NewReplacer", "Repeat", "Split", "Fields"},
		"sync": {"OnceValue", "OnceValues"}, "html/template": {"New"}, "text/template": {"New"}, "math/big": {"NewInt"},
		"slices": {"Sorted", "Concat", "Collect"}, "maps": {"Keys", "Collect"}, "encoding/binary": {"Size"},
		"hash/crc32": {"MakeTable"}, "hash/crc64": {"MakeTable"}, "time": {"Date", "Unix", "UnixMilli", "Duration"},
		"encoding/base64": {"NewEncoding"}, "encoding/base32": {"NewEncoding"}, "reflect": {"TypeFor", "TypeOf"},
		"unicode/utf8": {"RuneLen"}, "math": {"Inf", "NaN", "Float64bits"}, "io/fs": {"FileMode"},
	}
	if _, own := t.own(target); own || slices.Contains(constant[target], name) {
		return "" // one of ours is judged by what is done to the variable
	}
	return "made by " + target + "." + name
}

// changes returns the places where code of the package changes one of vars.
func (p *Package) changes(vars map[string]bool) []Finding {
	var found []Finding
	for _, f := range p.Files {
		if f.Test || f.Generated {
			continue
		}
		// Names that the parser did not find in the file belong to another
		// file of the package; names with an object are local unless the
		// object is the file's own package variable.
		isVar := func(e ast.Expr) (string, bool) {
			id := root(e)
			if id == nil || !vars[id.Name] {
				return "", false
			}
			if id.Obj == nil {
				return id.Name, true
			}
			_, global := f.AST.Scope.Objects[id.Name]
			return id.Name, global && f.AST.Scope.Objects[id.Name] == id.Obj
		}
		report := func(n ast.Node, e ast.Expr, how string) {
			if name, ok := isVar(e); ok {
				found = append(found, f.at(n.Pos(), "package variable "+name+" is "+how))
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch s := n.(type) {
			case *ast.AssignStmt:
				if s.Tok == token.DEFINE {
					return true
				}
				for _, left := range s.Lhs {
					report(s, left, "assigned")
				}
			case *ast.IncDecStmt:
				report(s, s.X, "changed")
			case *ast.RangeStmt:
				if s.Tok == token.ASSIGN {
					report(s, s.Key, "assigned")
				}
			case *ast.CallExpr:
				if id, ok := s.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && id.Obj == nil && len(s.Args) > 0 {
					report(s, s.Args[0], "changed")
				}
			case *ast.UnaryExpr:
				if s.Op == token.AND {
					report(s, s.X, "given away by address")
				}
			}
			return true
		})
	}
	return found
}

// root returns the variable that an expression such as x.f[i] reaches into.
// What lies behind an explicit pointer is not the variable's own.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}
