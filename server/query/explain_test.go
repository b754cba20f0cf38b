package query_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
	"github.com/muster-iot/muster/server/rules"
)

// TestExplanationIsBounded: every level of a query repeats in its text what is
// below it, and a field group its long field name in every term.
func TestExplanationIsBounded(t *testing.T) {
	deep := "attributes." + strings.Repeat("x", 4900) + ":"
	for range 30 {
		deep += "(a (b OR "
	}
	deep += "c" + strings.Repeat("))", 30)
	minus := strings.Repeat(strings.Repeat("-", 64)+"a ", 100)
	limits := query.Limits{Terms: rules.SafeLimits().QueryTerms, Length: rules.SafeLimits().QueryLength}
	for name, text := range map[string]string{"a long field in 60 levels": deep, "64 negations of 100 terms": minus} {
		q, err := query.ParseWithin(query.Things, text, limits)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := json.Marshal(q.Explain(one{query.NewValue(strings.Repeat("y", 8000))}))
		if err != nil {
			t.Fatal(err)
		}
		if len(answer) > 4<<20 {
			t.Errorf("%s: explanation of %d bytes for a query of %d", name, len(answer), len(text))
		}
	}
}

// FuzzExplain holds explanations to what Match says, node by node, and to
// their bounds.
func FuzzExplain(f *testing.F) {
	f.Add("a OR -(b AND c)", "a b")
	f.Add("attributes.v:(5 OR [1 TO 2} -x*)", "5.0")
	f.Add("-\x00 *", "\xff")
	f.Fuzz(func(t *testing.T, text, value string) {
		q, err := query.Parse(text)
		if err != nil {
			return
		}
		doc := one{query.NewValue(value)}
		e := q.Explain(doc)
		if e.Matched != q.Match(doc) {
			t.Fatalf("%q of %q: explained %t", text, value, e.Matched)
		}
		checkExplained(t, e)
	})
}

func checkExplained(t *testing.T, e query.Explanation) {
	t.Helper()
	want := e.Matched
	switch e.Operator {
	case "AND":
		want = true
		for _, c := range e.Children {
			want = want && c.Matched
		}
	case "OR":
		want = false
		for _, c := range e.Children {
			want = want || c.Matched
		}
	case "NOT":
		want = !e.Children[0].Matched
	}
	if e.Matched != want {
		t.Fatalf("%s %q matched %t", e.Operator, e.Text, e.Matched)
	}
	if utf8.RuneCountInString(e.Text) > 501 || len(e.Seen) > 10 {
		t.Fatalf("explanation of %d bytes with %d values", len(e.Text), len(e.Seen))
	}
	for _, c := range e.Children {
		checkExplained(t, c)
	}
}

// FuzzLimits: what limits refuse they refuse with a column of the query, and
// what they let through is what there is without them.
func FuzzLimits(f *testing.F) {
	f.Add("a b attributes.c:(d OR e) *f", 3, 20, true)
	f.Add("thingGroupName:a description:[b TO c]", 1, 0, false)
	column := regexp.MustCompile(`column (\d+)`)
	f.Fuzz(func(t *testing.T, text string, terms, length int, few bool) {
		limits := query.Limits{Terms: max(terms, 0), Length: max(length, 0), FewLeadingWildcards: few}
		for _, schema := range []query.Schema{query.Things, query.ThingGroups} {
			free, freeErr := query.ParseFor(schema, text)
			q, err := query.ParseWithin(schema, text, limits)
			if err != nil {
				checkRefusal(t, text, err, column)
				continue
			}
			if freeErr != nil {
				t.Fatalf("%q is legal with limits only: %v", text, freeErr)
			}
			if q.String() != free.String() || q.Terms() != free.Terms() {
				t.Fatalf("%q reads as %q with limits, %q without", text, q, free)
			}
			if limits.Terms > 0 && q.Terms() > limits.Terms || limits.Length > 0 && utf8.RuneCountInString(text) > limits.Length {
				t.Fatalf("%q passes limits %+v", text, limits)
			}
		}
	})
}

func checkRefusal(t *testing.T, text string, err error, column *regexp.Regexp) {
	t.Helper()
	var e *protocol.Error
	if !errors.As(err, &e) || e.Code != protocol.InvalidQuery {
		t.Fatalf("%q fails with %v, want InvalidQuery", text, err)
	}
	m := column.FindStringSubmatch(e.Message)
	if m == nil {
		t.Fatalf("%q: no column in %v", text, err)
	}
	if n, _ := strconv.Atoi(m[1]); n < 1 || n > utf8.RuneCountInString(text)+1 {
		t.Fatalf("%q: no such column: %v", text, err)
	}
}
