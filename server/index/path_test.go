package index_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muster-iot/muster/server/index"
)

// TestLongPaths: a device cannot make its document much larger than its shadow.
func TestLongPaths(t *testing.T) {
	long := func(n int) string { return strings.Repeat("k", n) }
	shadowed := func(sections string) *index.Document {
		src := index.Source{ThingName: "t", Shadows: map[string]index.ShadowState{"": shadowOf(t, `{"state":`+sections+`}`)}}
		return index.Flatten(src, index.Config{ThingIndexingMode: index.RegistryAndShadow})
	}
	doc := shadowed(`{"desired":{"` + long(512) + `":1,"` + long(513) + `":1,"a":{"` + long(510) + `":1,"` + long(511) + `":1,"b":1}}}`)
	for _, section := range []string{"desired.", "delta.", "metadata.desired."} {
		for path, want := range map[string]bool{
			long(512): true, long(513): false, "a." + long(510): true, "a." + long(511): false, "a.b": true,
		} {
			if got := doc.Has("shadow." + section + path); got != want {
				t.Errorf("%s and a path of %d bytes: %t", section, len(path), got)
			}
		}
	}

	var below []string
	for n := range 590 {
		below = append(below, fmt.Sprintf(`"%c%c":1`, 'a'+n/26, 'a'+n%26))
	}
	hostile := shadowed(`{"desired":{"` + long(3900) + `":{` + strings.Join(below, ",") + `}}}`)
	size := 0
	for _, f := range hostile.Fields() {
		size += len(f)
	}
	if size > 8<<10 {
		t.Errorf("the names of the fields have %d bytes", size)
	}
}
