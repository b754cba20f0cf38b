package registry_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/registry"
)

// TestMirrored: what may become an attribute, and what is said of the rest.
func TestMirrored(t *testing.T) {
	for _, row := range []struct {
		name     string
		reported any
		value    string
		problem  string
	}{
		{"a text", "5", "5", ""},
		{"a number keeps its literal", json.Number("1.10"), "1.10", ""},
		{"a boolean", true, "true", ""},
		{"null", nil, "", "null has no value"},
		{"an object", map[string]any{"a": "b"}, "", "an object or a list"},
		{"a list", []any{"5"}, "", "an object or a list"},
		{"an empty text", "", "", "an empty text"},
		{"a space", "5 beta", "", `"5 beta" cannot be an attribute`},
		{"too long", strings.Repeat("x", 801), "", strings.Repeat("x", 100) + `…" cannot`},
	} {
		t.Run(row.name, func(t *testing.T) {
			value, err := registry.Mirrored("softwareVersion", row.reported)
			switch {
			case row.problem == "" && (err != nil || value != row.value):
				t.Errorf("%q, %v; want %q", value, err, row.value)
			case row.problem != "" && (err == nil || !strings.Contains(err.Error(), row.problem)):
				t.Errorf("%q, error %v; want %q", value, err, row.problem)
			}
			next, _ := registry.Thing{}.Mirror(map[string]any{"softwareVersion": row.reported}, []string{"softwareVersion"})
			if got := next.Attributes["softwareVersion"]; got != row.value {
				t.Errorf("mirrored as %q, want %q", got, row.value)
			}
		})
	}
}
