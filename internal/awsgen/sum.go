package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeSum records the hashes of the generator's own sources and of what it
// wrote, one "path hash" a line, sorted, paths relative to out.
func writeSum(out string, written []string) error {
	sources, err := filepath.Glob("*.go")
	if err != nil {
		return err
	}
	sources = slices.DeleteFunc(sources, func(path string) bool { return strings.HasSuffix(path, "_test.go") })
	supplements, err := filepath.Glob("supplement/*.json")
	if err != nil {
		return err
	}
	sources = append(append(sources, "go.mod"), supplements...)
	var lines []string
	for _, path := range sources {
		line, err := sumLine(path, "../../../internal/awsgen/"+path)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	for _, path := range written {
		line, err := sumLine(filepath.Join(out, path), filepath.ToSlash(path))
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	var b bytes.Buffer
	for _, line := range lines {
		fmt.Fprintln(&b, line)
	}
	return os.WriteFile(filepath.Join(out, "gen.sum"), b.Bytes(), 0o644)
}

// sumLine puts the path first, so that sorting the lines sorts the paths.
func sumLine(file, path string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %x", path, sha256.Sum256(text)), nil
}
