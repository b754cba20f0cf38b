package pack

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of names: far beyond real folders, below what file systems refuse.
const (
	maxPath = 2048
	maxName = 255
	maxHops = 40 // symbolic links followed while one is resolved
)

type kind byte

const (
	kindDir kind = iota + 1
	kindFile
	kindLink
)

// tree is the shape of an archive: enough to resolve every symbolic link
// without touching the disk.
type tree struct {
	kinds map[string]kind
	links map[string]string
}

func newTree() *tree {
	return &tree{kinds: map[string]kind{".": kindDir}, links: map[string]string{}}
}

func (t *tree) addDir(name string) error  { return t.add(name, kindDir) }
func (t *tree) addFile(name string) error { return t.add(name, kindFile) }

func (t *tree) addLink(name, target string) error {
	switch {
	case target == "" || len(target) > maxPath || !plain(target):
		return fmt.Errorf("symbolic link %q has a bad target", name)
	case strings.HasPrefix(target, "/"):
		return fmt.Errorf("symbolic link %s points to the absolute path %s; only links inside the folder can be kept", name, target)
	}
	t.links[name] = target
	return t.add(name, kindLink)
}

func (t *tree) add(name string, k kind) error {
	if err := checkName(name); err != nil {
		return err
	}
	if t.kinds[name] != 0 {
		return fmt.Errorf("%s is there twice", name)
	}
	if parent := path.Dir(name); t.kinds[parent] != kindDir {
		return fmt.Errorf("%s comes before its folder", name)
	}
	t.kinds[name] = k
	return nil
}

// checkName accepts clean relative slash-separated names only.
func checkName(name string) error {
	if name == "" || name == "." || len(name) > maxPath || !plain(name) {
		return fmt.Errorf("%.200q is not a name that an archive can keep", name)
	}
	if path.IsAbs(name) || path.Clean(name) != name {
		return fmt.Errorf("%.200q is not a clean relative name", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || len(part) > maxName {
			return fmt.Errorf("%.200q is not a clean relative name", name)
		}
	}
	return nil
}

// plain reports whether s is UTF-8 without control characters.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// checkLinks resolves every link through all others, as the kernel would, and
// refuses one that leaves the archive at any step or runs in a circle.
func (t *tree) checkLinks() error {
	for name, target := range t.links {
		if err := t.resolve(path.Dir(name), target); err != nil {
			return fmt.Errorf("symbolic link %s to %s %w", name, target, err)
		}
	}
	return nil
}

var (
	errOutside = errors.New("leaves the folder; only links inside it can be kept")
	errCircle  = errors.New("runs in a circle")
)

// resolve walks target from the folder at, part by part.
func (t *tree) resolve(at, target string) error {
	rest := strings.Split(target, "/")
	for hops := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return errOutside
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		if t.kinds[next] != kindLink {
			at = next
			continue
		}
		if hops++; hops > maxHops {
			return errCircle
		}
		rest = append(strings.Split(t.links[next], "/"), rest...)
		if len(rest) > maxPath {
			return errCircle
		}
	}
	return nil
}
