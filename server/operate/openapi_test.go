package operate_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/operate"
)

// TestOpenAPI: docs/openapi.yaml describes each route of the handler and no
// other, those of the firmware repository aside. What it refers to is there.
func TestOpenAPI(t *testing.T) {
	text, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	described := []string{}
	path := ""
	for _, line := range strings.Split(string(text), "\n") {
		if m := regexp.MustCompile(`^  (/\S+):$`).FindStringSubmatch(line); m != nil {
			path = m[1]
		}
		m := regexp.MustCompile(`^    (get|put|post|delete|patch):$`).FindStringSubmatch(line)
		if m != nil && !strings.HasPrefix(path, "/muster/v1/repository") {
			described = append(described, strings.ToUpper(m[1])+" "+path)
		}
	}
	slices.Sort(described)
	if served := operate.Routes(); !slices.Equal(described, served) {
		t.Errorf("described\n%s\nserved\n%s", strings.Join(described, "\n"), strings.Join(served, "\n"))
	}
	for _, m := range regexp.MustCompile(`#/components/(\w+)/(\w+)`).FindAllStringSubmatch(string(text), -1) {
		if !regexp.MustCompile(`(?ms)^  ` + m[1] + `:$.*^    ` + m[2] + `:`).Match(text) {
			t.Errorf("%s is not there", m[0])
		}
	}
}
