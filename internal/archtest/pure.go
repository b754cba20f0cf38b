package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
)

// pure returns the packages whose results follow from their arguments alone:
// the domain, and the cores of device and protocol.
func pure() []string { return append(domain(), "agent/update/...", "protocol/shadow/...") }

// impureImports returns what a pure package has no use for.
func impureImports() []string {
	return []string{
		"net", "net/http/...", "database/sql/...", "log", "log/slog", "os/...", "io/ioutil", "syscall/...", "plugin",
		"sync/atomic", "crypto/rand", "math/rand", "runtime/...", "golang.org/x/sync/...",
	}
}

// impureCalls returns, by import path, what may not be named: the clock and
// timers, locks, and the shared random source. From the other names of the
// same packages (time.Duration, sync.OnceValue, rand.New) nothing can be read
// but what was put in.
func impureCalls() map[string][]string {
	return map[string][]string{
		"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
		"sync": {"Mutex", "RWMutex", "WaitGroup", "Cond", "NewCond", "Map"},
		"math/rand/v2": {
			"ExpFloat64", "Float32", "Float64", "Int", "Int32", "Int32N", "Int64", "Int64N", "IntN", "N",
			"NormFloat64", "Perm", "Shuffle", "Uint", "Uint32", "Uint32N", "Uint64", "Uint64N", "UintN",
		},
		"context": {"WithTimeout", "WithDeadline", "WithTimeoutCause", "WithDeadlineCause", "AfterFunc"},
	}
}

// locking returns the pure packages that may hold locks, since some of their
// readers run beside the goroutine that writes: what they answer still follows
// from what was put in.
func locking() []string { return []string{"server/index"} }

func pureRules() []Rule {
	return []Rule{
		{Name: "pure packages import nothing that acts", Check: checkPureImports},
		{Name: "pure packages read no clock", Check: checkPureCalls},
		{Name: "pure packages start no goroutine", Check: checkPureStatements},
	}
}

func checkPureImports(t *Tree) []Finding {
	var found []Finding
	t.eachImport(pure(), nil, false, func(p *Package, f *File, spec *ast.ImportSpec, target string) {
		if matchesAny(target, impureImports()) {
			found = append(found, f.at(spec.Pos(), fmt.Sprintf("%s is pure and must not import %s", p.Dir, target)))
		}
	})
	return found
}

func checkPureCalls(t *Tree) []Finding {
	banned := impureCalls()
	return t.inspectPure(func(f *File, n ast.Node) (Finding, bool) {
		target, name, ok := f.uses(n)
		if !ok || !slices.Contains(banned[target], name) || target == "sync" && slices.Contains(locking(), path.Dir(f.Path)) {
			return Finding{}, false
		}
		return f.at(n.Pos(), fmt.Sprintf("a pure package must not use %s.%s: pass the time or the source in", target, name)), true
	})
}

func checkPureStatements(t *Tree) []Finding {
	return t.inspectPure(func(f *File, n ast.Node) (Finding, bool) {
		switch n.(type) {
		case *ast.GoStmt:
			return f.at(n.Pos(), "a pure package must not start a goroutine"), true
		case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
			return f.at(n.Pos(), "a pure package must not use channels"), true
		}
		return Finding{}, false
	})
}

// inspectPure walks the code of the pure packages, tests not included.
func (t *Tree) inspectPure(visit func(*File, ast.Node) (Finding, bool)) []Finding {
	return t.inspect(func(p *Package, f *File) bool { return matchesAny(p.Dir, pure()) && !f.Test }, visit)
}

// inspect walks the syntax of the files that pass the filter.
func (t *Tree) inspect(filter func(*Package, *File) bool, visit func(*File, ast.Node) (Finding, bool)) []Finding {
	var found []Finding
	for _, p := range t.Packages {
		for _, f := range p.Files {
			if !filter(p, f) {
				continue
			}
			ast.Inspect(f.AST, func(n ast.Node) bool {
				if finding, ok := visit(f, n); ok {
					found = append(found, finding)
				}
				return true
			})
		}
	}
	return found
}
