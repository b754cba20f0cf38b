package naive_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/internal/naive/naivetest"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// fixtures are the things of AWS IoT reference 3.4 "Query cases", A to D, as a
// search answers them: the JSON of its answer, read.
func fixtures(t testing.TB) (things []naive.Thing) {
	t.Helper()
	all := naivetest.Fixtures(t)
	for _, letter := range []string{"A", "B", "C", "D"} {
		thing, err := naivetest.Answered(index.Flatten(all[letter], naivetest.Fixed()))
		if err != nil {
			t.Fatal(err)
		}
		things = append(things, thing)
	}
	return things
}

// TestReferenceCases: the naive evaluator answers every case of the query
// language as the reference does.
func TestReferenceCases(t *testing.T) {
	data, err := os.ReadFile("../../server/query/testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	things := fixtures(t)
	asked := map[string]bool{}
	for l := range strings.Lines(string(data)) {
		cells := strings.Split(l, "|")
		if len(cells) < 3 || strings.HasPrefix(strings.TrimSpace(l), "#") {
			continue
		}
		number, text, want := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
		if strings.HasPrefix(want, "error") {
			continue // the parser's, which is the same
		}
		q, err := query.Parse(text)
		if err != nil {
			t.Errorf("case %s: %v", number, err)
			continue
		}
		asked[number] = true
		var got []string
		for i, name := range []string{"A", "B", "C", "D"} {
			if naive.Matches(q, things[i]) {
				got = append(got, name)
			}
		}
		if !slices.Equal(got, strings.Fields(strings.TrimPrefix(want, "none"))) {
			t.Errorf("case %s: query %s matches %v, want %s", number, text, got, want)
		}
	}
	const matching = 68 // of the 86 cases of the reference; the others are errors
	if len(asked) < matching {
		t.Errorf("only %d cases were asked", len(asked))
	}
}
