package awsmodel_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGeneratedCodeIsFresh compares the generator's sources and its output
// with the hashes that its last run recorded.
func TestGeneratedCodeIsFresh(t *testing.T) {
	sum, err := os.ReadFile("gen.sum")
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(sum)); lines.Scan(); {
		path, want, _ := strings.Cut(lines.Text(), " ")
		recorded[filepath.Clean(path)] = true
		text, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%v: run internal/awsgen again", err)
			continue
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(text)); got != want {
			t.Errorf("%s has changed since the generator ran: run internal/awsgen again", path)
		}
	}
	for _, pattern := range []string{"../../../internal/awsgen/*.go", "*/*_gen.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no files like %s: %v", pattern, err)
		}
		for _, path := range found {
			if !recorded[path] && !strings.HasSuffix(path, "_test.go") {
				t.Errorf("%s is not recorded in gen.sum: run internal/awsgen again", path)
			}
		}
	}
}
