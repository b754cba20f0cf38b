package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/rules"
)

// TestHostileShadows: the largest shadows that are legal, made to be slow with
// the queries of many groups, neither hold up the fleet nor get a group wrong.
// A step takes some milliseconds; the bound is for what takes minutes.
func TestHostileShadows(t *testing.T) {
	const groups, bound = 200, 10 * time.Second
	words := func(n int) string { return strings.Repeat("a ", n) }
	many := func(n int, each string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf(each, 1000+i)
		}
		return strings.Join(parts, ",")
	}
	documents := map[string]string{
		"many words":        `{"x":"` + words(4000) + `b"}`,
		"one word":          `{"x":"` + strings.Repeat("a", 8000) + `b"}`,
		"many elements":     `{"x":[` + many(1600, "%d") + `]}`,
		"many fields":       `{` + many(900, `"%d":1`) + `}`,
		"a long key":        `{"` + strings.Repeat("k", 3900) + `":{` + many(450, `"%d":1`) + `}}`,
		"a number too long": `{"x":` + strings.Repeat("9", 8000) + `}`,
	}
	for name, query := range map[string]func(i int) string{
		"phrase":             func(i int) string { return fmt.Sprintf(`shadow.reported.x:"%sb%d"`, words(2000), i) },
		"wildcard":           func(i int) string { return fmt.Sprintf("shadow.reported.x:*a?%sb%d*", strings.Repeat("a", 4000), i) },
		"wildcard, no field": func(i int) string { return fmt.Sprintf("*aab?%d*", i) },
		"range of text":      func(i int) string { return fmt.Sprintf("shadow.reported.x:[aa%d TO *]", i) },
		"range":              func(i int) string { return fmt.Sprintf("shadow.reported.x:[%d TO %d]", 1000+i, 1001+i) },
		"100 negations":      func(i int) string { return strings.Repeat(fmt.Sprintf("NOT shadow.reported.x:%d ", 1000+i), 100) },
		"conjunctions of alternatives": func(i int) string {
			return strings.Repeat(fmt.Sprintf("(a OR shadow.reported.x>%d) ", 1000+i), 50)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, nil, rules.Safe())
			f.thing("dev1", "5")
			for i := range groups {
				do(f, engine.CreateDynamicGroup{Name: protocol.ThingGroupName(fmt.Sprintf("g%d", i)), Query: query(i)})
			}
			f.active(protocol.ThingGroupName(fmt.Sprintf("g%d", groups-1)))
			for document, reported := range documents {
				u, err := shadow.ParseUpdate([]byte(`{"state":{"reported":` + reported + `}}`))
				if err != nil {
					t.Fatal(err)
				}
				clear, _ := shadow.ParseUpdate([]byte(`{"state":{"reported":null}}`))
				do(f, engine.UpdateShadow{Thing: "dev1", Update: clear})
				began := time.Now()
				do(f, engine.UpdateShadow{Thing: "dev1", Update: u})
				if took := time.Since(began); took > bound {
					t.Errorf("%s: the update took %v", document, took)
				}
				for _, i := range []int{0, groups / 2} {
					found, err := f.search(query(i))
					if err != nil {
						t.Fatal(err)
					}
					want(t, document, len(f.members(protocol.ThingGroupName(fmt.Sprintf("g%d", i)))), len(found))
				}
			}
		})
	}
}
