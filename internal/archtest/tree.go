package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// Tree is the parsed source of one Go module.
type Tree struct {
	// Module is the module's path, from go.mod.
	Module string
	// Requires are the paths of the modules that go.mod names.
	Requires []string
	// Packages are the folders with Go files, sorted by folder. Folders named
	// testdata, hidden folders and nested modules are not part of the tree.
	Packages []*Package

	root fs.FS
	fset *token.FileSet
}

// Package is one folder with Go files, its tests included.
type Package struct {
	// Dir is the folder below the root, "." for the root itself.
	Dir string
	// Name is the name in the package clause of the files that are no tests;
	// empty if there are only tests.
	Name string
	// Files are all Go files, sorted by path.
	Files []*File
}

// File is one Go file.
type File struct {
	// Path is the path below the root.
	Path string
	// Test is whether the name ends in _test.go.
	Test bool
	// Generated is whether a comment says so in the form that Go prescribes.
	Generated bool
	// Lines is the number of lines.
	Lines int
	// AST is the parsed file, comments included.
	AST *ast.File

	fset    *token.FileSet
	imports map[string]string // path by the name it has in the file
}

// Load parses all Go files below root, which holds a go.mod.
func Load(root fs.FS) (*Tree, error) {
	mod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("cannot read go.mod: %w", err)
	}
	parsed, err := modfile.Parse("go.mod", mod, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot parse go.mod: %w", err)
	}
	if parsed.Module == nil {
		return nil, fmt.Errorf("go.mod names no module")
	}
	t := &Tree{Module: parsed.Module.Mod.Path, root: root, fset: token.NewFileSet()}
	for _, r := range parsed.Require {
		t.Requires = append(t.Requires, r.Mod.Path)
	}
	if err := t.walk(); err != nil {
		return nil, err
	}
	slices.SortFunc(t.Packages, func(a, b *Package) int { return strings.Compare(a.Dir, b.Dir) })
	return t, nil
}

func (t *Tree) walk() error {
	byDir := map[string]*Package{}
	return fs.WalkDir(t.root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && t.outside(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || !entry.Type().IsRegular() {
			return nil
		}
		file, err := t.parse(name)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		if byDir[dir] == nil {
			byDir[dir] = &Package{Dir: dir}
			t.Packages = append(t.Packages, byDir[dir])
		}
		p := byDir[dir]
		p.Files = append(p.Files, file)
		if !file.Test {
			p.Name = file.AST.Name.Name
		}
		return nil
	})
}

// outside reports whether a folder is not part of the module, as the go
// command sees it.
func (t *Tree) outside(dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(t.root, path.Join(dir, "go.mod"))
	return err == nil
}

func (t *Tree) parse(name string) (*File, error) {
	text, err := fs.ReadFile(t.root, name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	parsed, err := parser.ParseFile(t.fset, name, text, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("cannot parse: %w", err)
	}
	f := &File{
		Path:      name,
		Test:      strings.HasSuffix(name, "_test.go"),
		Generated: ast.IsGenerated(parsed),
		Lines:     bytes.Count(text, []byte("\n")),
		AST:       parsed,
		fset:      t.fset,
		imports:   map[string]string{},
	}
	for _, spec := range parsed.Imports {
		target := importPath(spec)
		local := defaultName(target)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		f.imports[local] = target
	}
	return f, nil
}

func importPath(spec *ast.ImportSpec) string {
	target, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value // the parser has checked it: not reached
	}
	return target
}

// defaultName guesses the name of a package from its path: the last element
// that is no major version, without a leading go- or trailing .v3.
func defaultName(target string) string {
	base := path.Base(target)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" && path.Dir(target) != "." {
		base = path.Base(path.Dir(target))
	}
	if before, _, found := strings.Cut(base, ".v"); found {
		base = before
	}
	return strings.TrimPrefix(base, "go-")
}

// own returns the folder of an import path of this module.
func (t *Tree) own(importPath string) (dir string, ok bool) {
	if importPath == t.Module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.Module+"/")
}

// at returns a finding at a position of the file.
func (f *File) at(pos token.Pos, what string) Finding {
	return Finding{Where: fmt.Sprintf("%s:%d", f.Path, f.fset.Position(pos).Line), What: what}
}

// uses returns the import path and name of a selector such as time.Now, if its
// left side is an imported package.
func (f *File) uses(n ast.Node) (importPath, name string, ok bool) {
	sel, isSelector := n.(*ast.SelectorExpr)
	if !isSelector {
		return "", "", false
	}
	id, isIdent := sel.X.(*ast.Ident)
	if !isIdent || id.Obj != nil { // an Obj means that a local name shadows the package
		return "", "", false
	}
	importPath, ok = f.imports[id.Name]
	return importPath, sel.Sel.Name, ok
}

// isStd reports whether an import path belongs to the standard library: its
// first element has no dot.
func isStd(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// eachImport calls yield for every import of every file of the packages that
// fit from but not except.
func (t *Tree) eachImport(from, except []string, tests bool, yield func(*Package, *File, *ast.ImportSpec, string)) {
	for _, p := range t.Packages {
		if !matchesAny(p.Dir, from) || matchesAny(p.Dir, except) {
			continue
		}
		for _, f := range p.Files {
			if f.Test && !tests {
				continue
			}
			for _, spec := range f.AST.Imports {
				yield(p, f, spec, importPath(spec))
			}
		}
	}
}
