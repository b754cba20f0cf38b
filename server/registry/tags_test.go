package registry_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/registry"
)

func TestNewTags(t *testing.T) {
	many := func(n int) []registry.Tag {
		list := make([]registry.Tag, n)
		for i := range list {
			list[i].Key = fmt.Sprintf("k%d", i)
		}
		return list
	}
	for _, row := range []struct {
		name string
		list []registry.Tag
		code protocol.Code // of the error; empty is none
	}{
		{"none", nil, ""},
		{"empty value", []registry.Tag{{Key: "k"}}, ""},
		{"longest key and value, in characters", []registry.Tag{{strings.Repeat("ä", 128), strings.Repeat("ö", 256)}}, ""},
		{"key too long", []registry.Tag{{strings.Repeat("k", 129), ""}}, protocol.InvalidRequest},
		{"no key", []registry.Tag{{"", "v"}}, protocol.InvalidRequest},
		{"value too long", []registry.Tag{{"k", strings.Repeat("v", 257)}}, protocol.InvalidRequest},
		{"reserved", []registry.Tag{{"aws:k", "v"}}, protocol.InvalidRequest},
		{"reserved in capitals", []registry.Tag{{"AWS:k", "v"}}, protocol.InvalidRequest},
		{"not quite reserved", []registry.Tag{{"aws-k", "v"}}, ""},
		{"key twice", []registry.Tag{{"k", "v"}, {"k", "v"}}, protocol.InvalidRequest},
		{"keys differ in case", []registry.Tag{{"k", "v"}, {"K", "v"}}, ""},
		{"fifty", many(50), ""},
		{"one more", many(51), protocol.LimitExceeded},
	} {
		t.Run(row.name, func(t *testing.T) {
			tags, err := registry.NewTags(row.list)
			if row.code == "" && (err != nil || len(tags) != len(row.list)) || row.code != "" && (err == nil || protocol.CodeOf(err) != row.code) {
				t.Errorf("%d tags, error %v, want code %q", len(tags), err, row.code)
			}
		})
	}
}

// TestTagsAreASet: whatever is set and taken off, the tags are those a plain
// map would hold, listed by key, and no earlier value changes.
func TestTagsAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		tags, want := registry.Tags{}, map[string]string{}
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			before := maps.Clone(tags)
			var next registry.Tags
			if rapid.Bool().Draw(t, "set") {
				given := registry.Tags{key.Draw(t, "key"): rapid.StringMatching(`[a-z]{0,3}`).Draw(t, "value")}
				var err error
				if next, err = tags.With(given); err != nil {
					t.Fatal(err)
				}
				maps.Copy(want, given)
			} else {
				off := key.Draw(t, "off")
				next = tags.Without([]string{off})
				delete(want, off)
			}
			if !maps.Equal(tags, before) {
				t.Fatal("tags were changed in place")
			}
			tags = next
			list := tags.List()
			if !maps.Equal(map[string]string(tags), want) || len(list) != len(want) ||
				!slices.IsSortedFunc(list, func(a, b registry.Tag) int { return strings.Compare(a.Key, b.Key) }) {
				t.Fatalf("tags %v, want %v", list, want)
			}
		}
	})
}

func TestTagsHaveRoom(t *testing.T) {
	full := registry.Tags{}
	for i := range 50 {
		full[fmt.Sprintf("k%d", i)] = ""
	}
	if _, err := full.With(registry.Tags{"k7": "replaced"}); err != nil {
		t.Errorf("replacing a tag takes no room: %v", err)
	}
	if _, err := full.With(registry.Tags{"more": ""}); protocol.CodeOf(err) != protocol.LimitExceeded {
		t.Errorf("the 51st tag: %v", err)
	}
}
