package query_test

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// FuzzParse holds Parse to its promises: it never panics, its errors are of
// code InvalidQuery and name a column of the query, and what it accepts prints
// as a query with the same tree.
func FuzzParse(f *testing.F) {
	for line := range strings.Lines(casesFile) {
		if column := strings.Split(line, "|"); len(column) > 1 {
			f.Add(strings.TrimSpace(column[1]))
		}
	}
	f.Add("thingName:\\-a attributes.a\\:b\\*:{\"x y\" TO -1e5] -\"-\" AND (\\AND OR TO)")
	f.Add("\xff")
	column := regexp.MustCompile(`column (\d+)`)
	f.Fuzz(func(t *testing.T, s string) {
		q, err := query.Parse(s)
		if err != nil {
			var e *protocol.Error
			if !errors.As(err, &e) || e.Code != protocol.InvalidQuery {
				t.Fatalf("Parse(%q) fails with %v, want a *protocol.Error of InvalidQuery", s, err)
			}
			m := column.FindAllStringSubmatch(e.Message, -1)
			if m == nil {
				t.Fatalf("Parse(%q) names no column: %v", s, err)
			}
			if n, _ := strconv.Atoi(m[0][1]); n < 1 || n > utf8.RuneCountInString(s)+1 {
				t.Fatalf("Parse(%q) names a column that is not there: %v", s, err)
			}
			return
		}
		printed := q.String()
		again, err := query.Parse(printed)
		if err != nil {
			t.Fatalf("Parse(%q) prints as %q: %v", s, printed, err)
		}
		if !reflect.DeepEqual(q.Root(), again.Root()) {
			t.Fatalf("Parse(%q) prints as %q, which is another query", s, printed)
		}
		if again.String() != printed {
			t.Fatalf("Parse(%q) prints as %q and then as %q", s, printed, again.String())
		}
		if again.Terms() != q.Terms() || !slices.Equal(again.Fields(), q.Fields()) {
			t.Fatalf("Parse(%q) and Parse(%q) disagree on terms or fields", s, printed)
		}
	})
}

func TestString(t *testing.T) {
	for _, c := range []struct{ name, query, want string }{
		{"implied AND", "thingName:a  -thingName:b", "thingName:a AND NOT thingName:b"},
		{"parentheses where needed", "((a) OR (b AND c)) (d e) -(f)", "(a OR b AND c) AND d AND e AND NOT f"},
		{"field group", "attributes.x:(a OR (b -c))", "attributes.x:a OR attributes.x:b AND NOT attributes.x:c"},
		{"negated group", "NOT thingName:(a OR b)", "NOT (thingName:a OR thingName:b)"},
		{"alias", "registry.thingTypeName:Pump", "thingTypeName:Pump"},
		{"escaped word is quoted", `thingName:Pump\:99`, `thingName:"Pump:99"`},
		{"wildcard keeps escapes", `thingName:Pump\:\**`, `thingName:Pump\:\**`},
		{"wildcard behind a minus sign", `\-a* thingName:-5*`, `\-a* AND thingName:\-5*`},
		{"field keeps escapes", `attributes.a\:b:1`, `attributes.a\:b:1`},
		{"operator as word", `thingName:"AND" \OR`, `thingName:"AND" AND "OR"`},
		{"phrase", `"Blue  Whale"`, `"Blue Whale"`},
		{"quotes in a phrase", `"say \"hi\" \\o/"`, `"say \"hi\" \\o/"`},
		{"negative number", "attributes.t:-5", "attributes.t:-5"},
		{"negative number without field", `"-5"`, `"-5"`},
		{"range", `attributes.t:{-5 TO "b c"]`, `attributes.t:{-5 TO "b c"]`},
		{"open range", `attributes.t:[* TO "*"}`, `attributes.t:[* TO "*"}`},
		{"comparison", "attributes.t >= 1e3", "attributes.t>=1e3"},
		{"everything", "*", "*"},
		{"existence", "shadow.reported:*", "shadow.reported:*"},
		{"empty phrase", `attributes.t:""`, `attributes.t:""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mustParse(t, c.query).String(); got != c.want {
				t.Errorf("Parse(%q) prints as %q, want %q", c.query, got, c.want)
			}
		})
	}
}

func TestNesting(t *testing.T) {
	for _, c := range []struct{ name, open, close string }{
		{"parentheses", "(", ")"},
		{"NOT", "NOT ", ""},
		{"minus", "-", ""},
		{"field groups", "-thingName:(", ")"},
	} {
		t.Run(c.name, func(t *testing.T) {
			levels := strings.Count(c.open, "(") + strings.Count(c.open, "-") + strings.Count(c.open, "NOT")
			nested := func(n int) string {
				if c.name == "field groups" {
					return "-thingName:(" + strings.Repeat("(", n-2) + "a" + strings.Repeat(")", n-1)
				}
				return strings.Repeat(c.open, n) + "a" + strings.Repeat(c.close, n)
			}
			if levels == 0 {
				t.Fatal("row opens nothing")
			}
			if _, err := query.Parse(nested(64)); err != nil {
				t.Errorf("64 levels: %v", err)
			}
			_, err := query.Parse(nested(65))
			if err == nil || !strings.Contains(err.Error(), "nested deeper than 64 levels") {
				t.Errorf("65 levels: error %v", err)
			}
			if _, err := query.Parse(nested(1_000_000)); err == nil {
				t.Error("a million levels are accepted")
			}
		})
	}
}

func TestLongChainsNeedNoStack(t *testing.T) {
	q := mustParse(t, strings.Repeat("a OR b AND c OR -(NOT e) OR ", 10_000)+"d")
	if q.Terms() != 40_001 {
		t.Errorf("query has %d terms", q.Terms())
	}
	if mustParse(t, q.String()).Terms() != q.Terms() {
		t.Error("query does not survive printing")
	}
}

func TestWhatAQueryMentions(t *testing.T) {
	for _, c := range []struct {
		name, query   string
		terms         int
		fields, below []string
		fieldless     bool
		groups        []string
		groupPattern  bool
	}{
		{name: "everything", query: "*", terms: 1},
		{
			name: "seed", query: "connectivity.connected:true AND attributes.softwareVersion:5", terms: 2,
			fields: []string{"attributes.softwareVersion", "connectivity.connected"},
		},
		{name: "no field", query: "blue OR NOT red", terms: 2, fieldless: true},
		{name: "existence", query: "shadow.reported:* attributes.a:1", terms: 2, fields: []string{"attributes.a", "shadow.reported"}, below: []string{"shadow.reported"}},
		{
			name: "groups by name", query: "thingGroupNames:(b OR a) -registry.thingGroupNames:b attributes.c:c", terms: 4,
			fields: []string{"attributes.c", "thingGroupNames"}, groups: []string{"a", "b"},
		},
		{name: "groups by wildcard", query: "thingGroupNames:(oslo* OR a)", terms: 2, fields: []string{"thingGroupNames"}, groups: []string{"a"}, groupPattern: true},
		{name: "any group", query: "thingGroupNames:*", terms: 1, fields: []string{"thingGroupNames"}, below: []string{"thingGroupNames"}, groupPattern: true},
		{name: "groups by range", query: "thingGroupNames:[a TO b]", terms: 1, fields: []string{"thingGroupNames"}, groupPattern: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := mustParse(t, c.query)
			groups, pattern := q.FieldTerms("thingGroupNames")
			if q.Terms() != c.terms || !slices.Equal(q.Fields(), c.fields) || !slices.Equal(q.PathsBelow(), c.below) ||
				q.HasFieldless() != c.fieldless || !slices.Equal(groups, c.groups) || pattern != c.groupPattern {
				t.Errorf("terms %d, fields %q, below %q, fieldless %t, groups %q, pattern %t",
					q.Terms(), q.Fields(), q.PathsBelow(), q.HasFieldless(), groups, pattern)
			}
			if q.Source() != c.query {
				t.Errorf("source is %q", q.Source())
			}
		})
	}
}

func TestErrorsStayShort(t *testing.T) {
	for _, q := range []string{
		strings.Repeat("x", 100_000) + ":1",
		"thingName:a " + `attributes.a:(b ` + strings.Repeat("y", 100_000) + ":1)",
		"attributes." + strings.Repeat("z", 100_000) + ":)",
		"thingName:" + strings.Repeat("*", 100_000),
	} {
		_, err := query.Parse(q)
		if err == nil || len(err.Error()) > 1500 {
			t.Errorf("query of %d bytes: message of %d bytes", len(q), len(err.Error()))
		}
	}
}

func mustParse(t testing.TB, s string) *query.Query {
	t.Helper()
	q, err := query.Parse(s)
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	return q
}

func TestTree(t *testing.T) {
	q := mustParse(t, "* OR attributes.x:(A\\?b*? OR {5 TO *]) -attributes.y>=1e1")
	or := q.Root().(*query.Or)
	and := or.Nodes[1].(*query.And)
	inner := and.Nodes[0].(*query.Or)
	wildcard := inner.Nodes[0].(*query.Term).Cond.(*query.Wildcard)
	if want := []rune{'A', '?', 'b', query.AnyRun, query.AnyOne}; !slices.Equal(wildcard.Pattern(), want) {
		t.Errorf("pattern %v, want %v", wildcard.Pattern(), want)
	}
	span := inner.Nodes[1].(*query.Term).Cond.(*query.Range)
	if span.Low.Text != "5" || !span.Low.Exclusive || !span.High.Open || span.High.Exclusive || !span.Numeric() {
		t.Errorf("range %+v", span)
	}
	comparison := and.Nodes[1].(*query.Not).Node.(*query.Term).Cond.(*query.Comparison)
	if want := (query.Comparison{Op: ">=", Literal: "1e1", Number: 10}); *comparison != want {
		t.Errorf("comparison %+v", comparison)
	}
}
