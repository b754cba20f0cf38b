package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

const (
	// maxFileLines holds for tests as well.
	maxFileLines = 800
	// maxFuncLines is for code, maxTestFuncLines for tests, whose tables count.
	maxFuncLines     = 120
	maxTestFuncLines = 200
)

func sizeRules() []Rule {
	return []Rule{
		{Name: "no file is longer than 800 lines", Check: checkFiles},
		{Name: "no function is longer than 120 lines", Check: checkFuncs},
	}
}

func checkFiles(t *Tree) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			if !f.Generated && f.Lines > maxFileLines {
				found = append(found, Finding{Where: f.Path, What: fmt.Sprintf("%d lines: split it by concept", f.Lines)})
			}
		}
	}
	return found
}

func checkFuncs(t *Tree) []Finding {
	return t.inspect(func(_ *Package, f *File) bool { return !f.Generated }, func(f *File, n ast.Node) (Finding, bool) {
		d, ok := n.(*ast.FuncDecl)
		if !ok {
			return Finding{}, false
		}
		limit := maxFuncLines
		if f.Test {
			limit = maxTestFuncLines
		}
		lines := f.span(d)
		return f.at(d.Pos(), fmt.Sprintf("%s has %d lines", d.Name.Name, lines)), lines > limit
	})
}

// span returns how many lines a node covers.
func (f *File) span(n ast.Node) int {
	return f.fset.Position(n.End()).Line - f.fset.Position(n.Pos()).Line + 1
}

// Stats returns the numbers of a tree beside the limits, one line each, for
// the log: where they move, the code is changing its character.
func (t *Tree) Stats() []string {
	var files, testLines, funcs, depths, methods []int
	for _, p := range t.Packages {
		for _, f := range p.Files {
			switch {
			case f.Generated:
				continue
			case f.Test:
				testLines = append(testLines, f.Lines)
				continue
			}
			files = append(files, f.Lines)
			ast.Inspect(f.AST, func(n ast.Node) bool {
				switch d := n.(type) {
				case *ast.FuncDecl:
					funcs = append(funcs, f.span(d))
					depths = append(depths, depth(d.Body))
				case *ast.InterfaceType:
					methods = append(methods, d.Methods.NumFields())
				}
				return true
			})
		}
	}
	names, bare := t.exported()
	return []string{
		fmt.Sprintf("packages %d, files %d, lines %d, test lines %d", len(t.Packages), len(files), sum(files), sum(testLines)),
		"lines of a file: " + spread(files),
		"lines of a function: " + spread(funcs),
		"nesting of a function: " + spread(depths),
		fmt.Sprintf("methods of an interface: %s, %d of %d with three or fewer", spread(methods), atMost(methods, 3), len(methods)),
		fmt.Sprintf("exported names: %d, %d of them without a comment", names, len(bare)),
	}
}

// depth returns how deep if, for, switch and select are nested. An else-if
// lies as deep as its if.
func depth(n ast.Node) int {
	deepest := 0
	ast.Inspect(n, func(child ast.Node) bool {
		if child == nil || child == n {
			return true
		}
		switch s := child.(type) {
		case *ast.IfStmt:
			deepest = max(deepest, 1+depth(s.Body))
			if elseIf, ok := s.Else.(*ast.IfStmt); ok {
				deepest = max(deepest, depth(&ast.BlockStmt{List: []ast.Stmt{elseIf}}))
			} else if s.Else != nil {
				deepest = max(deepest, 1+depth(s.Else))
			}
			return false
		case *ast.ForStmt:
			deepest = max(deepest, 1+depth(s.Body))
			return false
		case *ast.RangeStmt:
			deepest = max(deepest, 1+depth(s.Body))
			return false
		case *ast.SwitchStmt:
			deepest = max(deepest, 1+depth(s.Body))
			return false
		case *ast.TypeSwitchStmt:
			deepest = max(deepest, 1+depth(s.Body))
			return false
		case *ast.SelectStmt:
			deepest = max(deepest, 1+depth(s.Body))
			return false
		}
		return true
	})
	return deepest
}

func sum(values []int) int {
	total := 0
	for _, v := range values {
		total += v
	}
	return total
}

func atMost(values []int, limit int) int {
	n := 0
	for _, v := range values {
		if v <= limit {
			n++
		}
	}
	return n
}

// spread returns the percentiles of values that tell about their shape.
func spread(values []int) string {
	if len(values) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(values))
	var parts []string
	for _, percent := range []int{50, 90, 99, 100} {
		parts = append(parts, fmt.Sprintf("p%d %d", percent, sorted[(len(sorted)-1)*percent/100]))
	}
	return strings.Join(parts, ", ")
}
