package naive_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/internal/naive/naivetest"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// TestAgreesWithTheEvaluator: on queries, things and configurations made at
// random, what a query says of a document is what the naive evaluator says of
// the thing that a search shows.
func TestAgreesWithTheEvaluator(t *testing.T) { rapid.Check(t, agree) }

// FuzzAgreesWithTheEvaluator is the same, steered by coverage.
func FuzzAgreesWithTheEvaluator(f *testing.F) { naivetest.Fuzz(f, agree) }

func agree(t *rapid.T) {
	ask := naivetest.Queries{Fields: naivetest.Fields(), Groups: []string{"red", "s1"}, Patterns: true, Depth: 3}
	doc := index.Flatten(naivetest.Source(t, "t1"), naivetest.Config(t))
	thing, err := naivetest.Answered(doc)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		q := ask.Draw(t)
		if got, want := q.Match(doc), naive.Matches(q, thing); got != want {
			t.Fatalf("query %s: the evaluator says %t, the naive one %t of %+v", q, got, want, thing)
		}
		again, err := query.Parse(q.String())
		if err != nil || naive.Matches(again, thing) != naive.Matches(q, thing) {
			t.Fatalf("query %s printed as %s means something else (%v)", q.Source(), q, err)
		}
	}
}
