package archtest

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"slices"
	"strings"
)

// domain returns the packages that decide: state, input and time in, data out.
func domain() []string {
	return []string{
		"server/query/...", "server/index/...", "server/group/...", "server/job/...", "server/registry/...",
		"server/shadow/...", "server/presence/...", "server/identity/...", "server/rules/...",
	}
}

// adapters returns the packages that join the domain to the outside: each is
// one family, its subpackages included. The members of server/store are added
// from the tree.
func adapters() []string {
	return []string{"server/broker/...", "server/api/...", "server/web/...", "server/dispatch/..."}
}

// layer is one row of the import table. It speaks of code that is no test:
// tests may reach further.
type layer struct {
	name    string
	from    []string // the packages it is about
	except  []string // that have a row of their own
	own     []string // packages of this module that they may import
	stdOnly bool     // whether they may import no other module
}

// layers returns the import table. Protocol is the ground.
func layers() []layer {
	virtual := []string{"simulator", "simulator/virtual/...", "simulator/world/..."}
	simulator := []string{"simulator/...", "agent/...", "protocol/...", "firmware/...", "internal/durable", "internal/faultnet", "internal/floor", "internal/pause", "internal/procstat"}
	return []layer{
		{
			name: "protocol imports the standard library only",
			from: []string{"protocol/..."}, own: []string{"protocol/..."}, stdOnly: true,
		},
		{
			name: "firmware stands on protocol",
			from: []string{"firmware/..."}, own: []string{"firmware/...", "protocol/...", "internal/durable"},
		},
		{
			name: "agent stands on protocol and firmware",
			from: []string{"agent/..."}, own: []string{"agent/...", "protocol/...", "firmware/...", "internal/durable", "internal/pause"},
		},
		{
			name: "server stands on protocol and firmware",
			from: []string{"server/..."}, own: []string{"server/...", "protocol/...", "firmware/...", "internal/durable"},
		},
		{
			name: "domain packages know no engine, store or adapter",
			from: domain(), own: append(domain(), "protocol/..."),
		},
		{
			name: "query stands on protocol alone",
			from: []string{"server/query/..."}, own: []string{"server/query/...", "protocol/..."},
		},
		{
			name: "engine knows the domain and the store contract, no adapter",
			from: []string{"server/engine/..."},
			own:  append(domain(), "server/engine/...", "protocol/...", "server/store"),
		},
		{
			name: "simulator stands on agent, protocol and firmware",
			from: []string{"simulator/..."}, except: append(virtual, "simulator/oracle/..."), own: simulator,
		},
		{
			name: "the simulator's virtual mode knows engine and domain besides",
			from: virtual, own: append(append(simulator, "server/engine"), domain()...),
		},
		{
			name: "the simulator's oracle knows the query language only",
			from: []string{"simulator/oracle/..."}, own: []string{"simulator/...", "protocol/...", "server/query", "internal/naive"},
		},
		{
			name: "the naive evaluator shares the query's parser and nothing else",
			from: []string{"internal/naive"}, own: []string{"protocol", "server/query"},
		},
		{
			name: "internal helpers stand alone",
			from: []string{"internal/..."}, except: []string{"internal/testbed/...", "internal/bench/...", "internal/naive/..."}, own: []string{"internal/durable"},
		},
	}
}

func (l layer) rule() Rule {
	return Rule{Name: l.name, Check: func(t *Tree) []Finding {
		var found []Finding
		t.eachImport(l.from, l.except, false, func(p *Package, f *File, spec *ast.ImportSpec, target string) {
			dir, own := t.own(target)
			switch {
			case own && !matchesAny(dir, l.own):
				found = append(found, f.at(spec.Pos(), p.Dir+" must not import "+dir))
			case !own && l.stdOnly && !isStd(target):
				found = append(found, f.at(spec.Pos(), p.Dir+" must not import "+target))
			}
		})
		return found
	}}
}

// only is one row of the "only X imports Y" table.
type only struct {
	name  string
	what  []string // import paths; one ending in /... covers what is below it
	where []string // the packages that may import it
	tests bool     // whether tests of other packages are bound too
}

// onlies returns the table of what is fenced in.
func onlies() []only {
	return []only{
		{name: "only agent-mqtt imports paho", what: []string{"github.com/eclipse/paho.mqtt.golang/..."}, where: []string{"agent/mqtt"}},
		{name: "only server-broker and internal-floor import mochi", what: []string{"github.com/mochi-mqtt/server/..."}, where: []string{"server/broker/...", "internal/floor"}},
		{name: "only server-broker imports websocket", what: []string{"github.com/gorilla/websocket/..."}, where: []string{"server/broker/..."}},
		{
			name:  "only agent-install and firmware-delta import selfupdate",
			what:  []string{"github.com/minio/selfupdate/..."},
			where: []string{"agent/install/...", "firmware/delta/..."}, tests: true,
		},
		{
			name:  "only cmd imports viper and cobra",
			what:  []string{"github.com/spf13/viper/...", "github.com/spf13/cobra/...", "github.com/spf13/pflag/..."},
			where: []string{"cmd/..."}, tests: true,
		},
		{name: "only server-store-pebble imports pebble", what: []string{"github.com/cockroachdb/pebble/..."}, where: []string{"server/store/pebble/..."}},
		{
			name:  "only stores import database drivers",
			what:  []string{"database/sql/...", "github.com/jackc/pgx/...", "modernc.org/sqlite/..."},
			where: []string{"server/store/..."},
		},
		{
			name:  "only tests and the oracle import the naive evaluator",
			what:  []string{"github.com/muster-iot/muster/internal/naive"},
			where: []string{"simulator/oracle"},
		},
		{
			name: "only tests import test tools",
			what: []string{
				"testing/...", "net/http/httptest", "pgregory.net/rapid/...", "github.com/google/go-cmp/...",
				"github.com/rogpeppe/go-internal/testscript/...", "github.com/anishathalye/porcupine/...", "github.com/cockroachdb/datadriven/...",
			},
			where: []string{"internal/testbed/..."},
		},
	}
}

func (o only) rule() Rule {
	return Rule{Name: o.name, Check: func(t *Tree) []Finding {
		var found []Finding
		t.eachImport([]string{"..."}, o.where, o.tests, func(p *Package, f *File, spec *ast.ImportSpec, target string) {
			if matchesAny(unversioned(target), o.what) && !isTestHelper(p.Dir) {
				found = append(found, f.at(spec.Pos(), fmt.Sprintf("%s must not import %s: that is for %s", p.Dir, target, strings.Join(o.where, ", "))))
			}
		})
		return found
	}}
}

// unversioned drops the major version from a module's import path, so that a
// fence holds for the next one too: .../server/v2/listeners -> .../server/listeners.
func unversioned(importPath string) string {
	elements := strings.Split(importPath, "/")
	return strings.Join(slices.DeleteFunc(elements, func(e string) bool {
		return len(e) > 1 && e[0] == 'v' && strings.Trim(e[1:], "0123456789") == ""
	}), "/")
}

// isTestHelper reports whether a folder holds helpers for tests, by its name:
// storetest, but also archtest.
func isTestHelper(dir string) bool {
	return strings.HasSuffix(path.Base(dir), "test") && path.Base(dir) != "test"
}

// adapterRule: the parts that face the outside are joined by the engine and
// the assembly, or one of them cannot be replaced alone.
func adapterRule() Rule {
	return Rule{Name: "adapters never import each other", Check: func(t *Tree) []Finding {
		families := adapters()
		for _, p := range t.Packages {
			if path.Dir(p.Dir) == "server/store" && !isTestHelper(p.Dir) {
				families = append(families, p.Dir+"/...")
			}
		}
		var found []Finding
		for _, family := range families {
			t.eachImport([]string{family}, nil, false, func(p *Package, f *File, spec *ast.ImportSpec, target string) {
				dir, own := t.own(target)
				if own && matchesAny(dir, families) && !matches(dir, family) {
					found = append(found, f.at(spec.Pos(), p.Dir+" must not import another adapter, "+dir))
				}
			})
		}
		return found
	}}
}

// testHelperRule: helpers for tests never reach a binary.
func testHelperRule() Rule {
	return Rule{Name: "only tests import test helpers", Check: func(t *Tree) []Finding {
		var found []Finding
		t.eachImport([]string{"..."}, []string{"internal/testbed/..."}, false, func(p *Package, f *File, spec *ast.ImportSpec, target string) {
			dir, own := t.own(target)
			if own && !isTestHelper(p.Dir) && (isTestHelper(dir) || matches(dir, "internal/testbed/...")) {
				found = append(found, f.at(spec.Pos(), p.Dir+" must not import "+dir+" outside of tests"))
			}
		})
		return found
	}}
}

// reachRule: what runs on a device links nothing of the fleet side, not even
// through a third package.
func reachRule() Rule {
	return Rule{Name: "agent never reaches server", Check: func(t *Tree) []Finding {
		imports := t.ownImports()
		var found []Finding
		for _, p := range t.Packages {
			if !matchesAny(p.Dir, []string{"agent/...", "cmd/muster-agent/..."}) {
				continue
			}
			for _, chain := range reach(imports, p.Dir) {
				if last := chain[len(chain)-1]; matchesAny(last, []string{"server/...", "simulator/..."}) {
					found = append(found, Finding{Where: p.Dir, What: "reaches " + last + " by " + strings.Join(chain, " -> ")})
				}
			}
		}
		return found
	}}
}

// ownImports returns for every folder the folders of this module that its code
// (no tests) imports.
func (t *Tree) ownImports() map[string][]string {
	imports := map[string]map[string]bool{}
	t.eachImport([]string{"..."}, nil, false, func(p *Package, _ *File, _ *ast.ImportSpec, target string) {
		if dir, own := t.own(target); own {
			if imports[p.Dir] == nil {
				imports[p.Dir] = map[string]bool{}
			}
			imports[p.Dir][dir] = true
		}
	})
	sorted := map[string][]string{}
	for dir, targets := range imports {
		sorted[dir] = slices.Sorted(maps.Keys(targets))
	}
	return sorted
}

// reach returns a shortest chain of imports to every folder that start leads to.
func reach(imports map[string][]string, start string) [][]string {
	seen := map[string]bool{start: true}
	queue := [][]string{{start}}
	var chains [][]string
	for len(queue) > 0 {
		chain := queue[0]
		queue = queue[1:]
		for _, next := range imports[chain[len(chain)-1]] {
			if seen[next] {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(chain), next)
			chains = append(chains, longer)
			queue = append(queue, longer)
		}
	}
	return chains
}
