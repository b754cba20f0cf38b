package group_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/internal/naive/naivetest"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// TestManyGroupsOfFewFields lets few things go to and fro between few values,
// under many groups whose queries share fields, literals and bounds: what the
// matcher files by bounds, words, beginnings and paths, what it files by the
// literals that select, and what it cannot file, because the query is too wide,
// all have to find each other at every step.
func TestManyGroupsOfFewFields(t *testing.T) { rapid.Check(t, closely) }

func closely(t *rapid.T) {
	ix, m := index.New(), group.New()
	queries := map[protocol.ThingGroupName]*query.Query{}
	for i := range 32 {
		name := protocol.ThingGroupName(fmt.Sprintf("g%d", i))
		queries[name] = closeQuery(t)
		m.Put(name, queries[name])
	}
	for range 60 {
		thing := naivetest.Thing(t, 3)
		step := rapid.IntRange(0, 9).Draw(t, "step")
		switch step {
		case 0:
			m.Apply(ix.Delete(thing))
			continue
		case 1: // a group of another query, of members that are right
			name := protocol.ThingGroupName(fmt.Sprintf("g%d", rapid.IntRange(0, 31).Draw(t, "group")))
			m.Remove(name)
			queries[name] = closeQuery(t)
			m.Put(name, queries[name])
			m.Scan(name, ix.Range("", 0))
		default:
			m.Apply(ix.Put(index.Flatten(closeSource(t, thing), naivetest.Everything())))
		}
		for _, doc := range ix.Range("", 0) {
			if doc.Thing() != thing && step > 1 {
				continue // the others are as they were
			}
			shown, err := naivetest.Answered(doc)
			if err != nil {
				t.Fatal(err)
			}
			for name, q := range queries {
				if want := naive.Matches(q, shown); m.Contains(name, doc) != want {
					t.Fatalf("query %s: %s is a member: %t, matches: %t", q, doc.Thing(), !want, want)
				}
			}
		}
	}
}

func closeSource(t *rapid.T, thing protocol.ThingName) index.Source {
	value := rapid.SampledFrom([]string{"0", "1", "2", "3", "4", "2.0", "ab", "abc", "b"})
	number := rapid.SampledFrom([]any{json.Number("0"), json.Number("1"), json.Number("2"), json.Number("3"), "a b", "abc"})
	src := index.Source{ThingName: thing, Attributes: map[string]string{}, Connectivity: index.Connectivity{Connected: rapid.Bool().Draw(t, "connected")}}
	if !src.Connectivity.Connected {
		src.Connectivity.DisconnectReason = rapid.SampledFrom([]string{"", "abc"}).Draw(t, "reason")
	}
	for _, name := range []string{"a", "b", "c"} {
		if rapid.IntRange(0, 5).Draw(t, name) > 0 {
			src.Attributes[name] = value.Draw(t, "value of "+name)
		}
	}
	if reported := rapid.SliceOfN(number, 0, 2).Draw(t, "reported"); len(reported) > 0 {
		src.Shadows = map[string]index.ShadowState{"": {Version: 1, Reported: map[string]any{"n": reported}}}
	}
	return src
}

// closeQuery draws a query of a few literals; some are conjunctions of so many
// alternatives that no normal form holds them.
func closeQuery(t *rapid.T) *query.Query {
	join := func(by string, n int, part func() string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = part()
		}
		return "(" + strings.Join(all, by) + ")"
	}
	literal := func() string { return closeLiteral(t) }
	var text string
	switch rapid.IntRange(0, 9).Draw(t, "shape") {
	case 0:
		text = join(" AND ", 8, func() string { return join(" OR ", 2, literal) })
	case 1, 2:
		text = join(" OR ", rapid.IntRange(2, 3).Draw(t, "or"), func() string { return join(" AND ", rapid.IntRange(1, 3).Draw(t, "and"), literal) })
	case 3:
		text = "NOT " + join(" AND ", 2, func() string { return join(" OR ", 2, literal) })
	default:
		text = join(" AND ", rapid.IntRange(1, 4).Draw(t, "and"), literal)
	}
	q, err := query.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func closeLiteral(t *rapid.T) string {
	field := rapid.SampledFrom([]string{"attributes.a", "attributes.b", "attributes.c", "shadow.reported.n"}).Draw(t, "field")
	n := func() string { return rapid.SampledFrom([]string{"0", "1", "2", "3", "4"}).Draw(t, "bound") }
	var text string
	switch rapid.IntRange(0, 11).Draw(t, "literal") {
	case 0, 1, 2:
		text = field + rapid.SampledFrom([]string{"<", "<=", ">", ">="}).Draw(t, "operator") + n()
	case 3, 4:
		text = field + ":" + rapid.SampledFrom([]string{"[", "{"}).Draw(t, "from") + n() + " TO " + n() + rapid.SampledFrom([]string{"]", "}"}).Draw(t, "up to")
	case 5, 6:
		text = field + ":" + rapid.SampledFrom([]string{"0", "1", "2", "3", "ab", "abc", "b", `"a b"`}).Draw(t, "word")
	case 7:
		text = field + ":" + rapid.SampledFrom([]string{"a*", "ab*", "abc*", "a*c", "?b", "*c", "2*", "[a TO b]"}).Draw(t, "pattern")
	case 8:
		text = rapid.SampledFrom([]string{field, "attributes", "shadow", "shadow.reported"}).Draw(t, "path") + ":*"
	case 9:
		text = rapid.SampledFrom([]string{"abc", "1", "a*", "*c", `"a b"`, "true", "[a TO b]"}).Draw(t, "anywhere")
	default:
		text = rapid.SampledFrom([]string{"connectivity.connected:true", "connectivity.connected:false", "connectivity.disconnectReason:*"}).Draw(t, "connectivity")
	}
	return rapid.SampledFrom([]string{"", "", "NOT "}).Draw(t, "not") + text
}
