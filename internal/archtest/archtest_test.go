package archtest_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-iot/muster/internal/archtest"
)

const root = "../.."

// TestRules checks this module.
func TestRules(t *testing.T) {
	tree, err := archtest.Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range tree.Stats() {
		t.Log(line)
	}
	for _, rule := range archtest.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			if rule.Skip != nil {
				if why := rule.Skip(tree); why != "" {
					t.Skip(why)
				}
			}
			for _, finding := range rule.Check(tree) {
				t.Error(finding)
			}
		})
	}
}

// TestNamedPackagesExist keeps the tables honest: a row about a package that
// was renamed would hold for ever. What is not built yet shows up as skipped.
func TestNamedPackagesExist(t *testing.T) {
	tree, err := archtest.Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for _, pattern := range archtest.Named() {
		dir := strings.TrimSuffix(pattern, "/...")
		if !slices.ContainsFunc(tree.Packages, func(p *archtest.Package) bool {
			return p.Dir == dir || strings.HasPrefix(p.Dir, dir+"/")
		}) {
			missing = append(missing, dir)
		}
	}
	if len(missing) > 0 {
		t.Skipf("rules name packages that do not exist (yet): %s", strings.Join(missing, ", "))
	}
}

// TestLicences checks the modules that binaries and tests are built from.
func TestLicences(t *testing.T) {
	notice, err := os.ReadFile(filepath.Join(root, "NOTICE"))
	if err != nil {
		t.Fatal(err)
	}
	modules := linkedModules(t)
	t.Logf("%d modules", len(modules))
	for _, finding := range archtest.CheckLicences(string(notice), modules) {
		t.Error(finding)
	}
}

// linkedModules returns the modules of all packages that this module's
// packages and tests depend on.
func linkedModules(t *testing.T) []archtest.Module {
	t.Helper()
	// -e: a package that does not compile is for the compiler to report.
	list := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "-test", "-json=Module", "./...")
	list.Dir = root
	list.Stderr = os.Stderr
	out, err := list.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := list.Start(); err != nil {
		t.Fatal(err)
	}
	dirs := map[string]string{}
	for events := json.NewDecoder(out); ; {
		var p struct {
			Module *struct {
				Path, Dir string
				Main      bool
			}
		}
		if err := events.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && !p.Module.Main {
			dirs[p.Module.Path] = p.Module.Dir
		}
	}
	if err := list.Wait(); err != nil {
		t.Fatalf("go list: %v", err)
	}
	var modules []archtest.Module
	for _, path := range slices.Sorted(maps.Keys(dirs)) {
		modules = append(modules, archtest.Module{Path: path, Licence: licenceIn(t, dirs[path])})
	}
	return modules
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)(\.md|\.txt)?$`)

func licenceIn(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if licenceFile.MatchString(entry.Name()) {
			text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
	}
	return ""
}
