package query_test

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

//go:embed testdata/cases.txt
var casesFile string

// queryCase is a row of testdata/cases.txt.
type queryCase struct {
	number  string
	query   string
	want    string // things, "none" or "error ..."
	profile string // empty: both
}

func readCases(t *testing.T) []queryCase {
	t.Helper()
	var cases []queryCase
	for i, line := range strings.Split(casesFile, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		column := strings.Split(line, "|")
		if len(column) < 3 || len(column) > 4 {
			t.Fatalf("line %d has %d columns: %q", i+1, len(column), line)
		}
		for j := range column {
			column[j] = strings.TrimSpace(column[j])
		}
		c := queryCase{number: column[0], query: column[1], want: column[2]}
		if len(column) == 4 {
			c.profile = column[3]
		}
		cases = append(cases, c)
	}
	return cases
}

func TestCases(t *testing.T) {
	docs := fixtures(t)
	profiles := map[string]query.Limits{
		"safe": {Terms: 100, Length: 10_000},
		"aws":  {Terms: 12, Length: 1000, FewLeadingWildcards: true},
	}
	cases := readCases(t)
	for _, c := range cases {
		for profile, limits := range profiles {
			if c.profile != "" && c.profile != profile {
				continue
			}
			t.Run(c.number+"/"+profile, func(t *testing.T) { runCase(t, c, docs, limits) })
		}
	}
	for n := range 86 {
		number := strconv.Itoa(n + 1)
		if !slices.ContainsFunc(cases, func(c queryCase) bool { return c.number == number }) {
			t.Errorf("case %s of the reference is missing", number)
		}
	}
}

func runCase(t *testing.T, c queryCase, docs map[string]*index.Document, limits query.Limits) {
	q, err := query.ParseWithin(query.Things, c.query, limits)
	if message, ok := strings.CutPrefix(c.want, "error"); ok {
		message = strings.TrimSpace(message)
		if protocol.CodeOf(err) != protocol.InvalidQuery || !strings.Contains(err.Error(), message) {
			t.Fatalf("query %q: error %v, want InvalidQuery with %q", c.query, err, message)
		}
		return
	}
	if err != nil {
		t.Fatalf("query %q: %v", c.query, err)
	}
	if got := matching(q, docs); got != c.want {
		t.Errorf("query %q matches %s, want %s", c.query, got, c.want)
	}
	again, err := query.Parse(q.String())
	if err != nil {
		t.Fatalf("query %q prints as %q: %v", c.query, q, err)
	}
	if got := matching(again, docs); got != c.want {
		t.Errorf("query %q prints as %q, which matches %s", c.query, q, got)
	}
	for name, doc := range docs {
		if got := q.Explain(doc).Matched; got != q.Match(doc) {
			t.Errorf("query %q: explanation of %s says %t", c.query, name, got)
		}
	}
}

// matching returns the names of the fixtures that match, "none" for none.
func matching(q *query.Query, docs map[string]*index.Document) string {
	var names []string
	for _, name := range []string{"A", "B", "C", "D"} {
		if q.Match(docs[name]) {
			names = append(names, name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, " ")
}
