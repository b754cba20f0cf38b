package query_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/server/query"
)

// term returns the only term of a query.
func term(t testing.TB, text string) query.Cond {
	t.Helper()
	q, err := query.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return q.Root().(*query.Term).Cond
}

// TestIntervals: an interval holds the very numbers that satisfy its condition.
func TestIntervals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := "attributes.a" + rapid.SampledFrom([]string{
			"<2", "<=2", ">2", ">=2", "<-1", ":[1 TO 2]", ":{1 TO 2]", ":[1 TO 2}", ":{1 TO 2}", ":[* TO 2]", ":{1 TO *}", ":[2 TO 1]",
		}).Draw(t, "condition")
		q, err := query.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		var interval query.Interval
		cond := q.Root().(*query.Term).Cond
		switch c := cond.(type) {
		case *query.Comparison:
			interval = c.Interval()
		case *query.Range:
			var ok bool
			if interval, ok = c.Interval(); !ok {
				t.Fatalf("%s is no range of numbers", text)
			}
		}
		n := rapid.OneOf(rapid.SampledFrom([]float64{-1, 0, 1, 1.5, 2, 3}), rapid.Float64()).Draw(t, "number")
		if got, want := interval.Contains(n), cond.Match(query.NumberValue(n)); got != want {
			t.Errorf("%s, %v: %t, want %t", text, n, got, want)
		}
	})
}

func TestWhatConditionsAsk(t *testing.T) {
	if c := term(t, `thingName:"Blue Whale"`).(*query.Words); !slices.Equal(c.Lower(), []string{"blue", "whale"}) {
		t.Errorf("words %q", c.Lower())
	}
	for text, want := range map[string]float64{"5": 5, "5.0": 5, "v5": math.NaN(), "9007199254740993": math.NaN(), "05": math.NaN()} {
		if n, ok := term(t, "attributes.a:"+text).(*query.Words).Number(); ok == math.IsNaN(want) || ok && n != want {
			t.Errorf("%s is the number %v, %t", text, n, ok)
		}
	}
	for text, want := range map[string]struct {
		prefix string
		all    bool
	}{"Pump-*": {"pump-", true}, "Pump-?": {"pump-", false}, "P*7": {"p", false}, "*7": {"", false}, "a*b*": {"a", false}} {
		if prefix, all := term(t, "attributes.a:"+text).(*query.Wildcard).Prefix(); prefix != want.prefix || all != want.all {
			t.Errorf("%s begins with %q, %t", text, prefix, all)
		}
	}
	r := term(t, "attributes.a:[Ab TO *]").(*query.Range)
	if _, numeric := r.Interval(); numeric || r.Low.Lower() != "ab" {
		t.Errorf("%+v", r)
	}
}

func TestWordsOfValues(t *testing.T) {
	for text, want := range map[string]struct {
		words  []string
		phrase bool
	}{"Red": {[]string{"red"}, false}, " Blue  Whale ": {[]string{"blue", "whale"}, true}, "": {nil, true}, "5": {[]string{"5"}, false}} {
		v := query.NewValue(text)
		if got := slices.Collect(v.Words); !slices.Equal(got, want.words) || v.Phrase() != want.phrase {
			t.Errorf("%q: %q, %t", text, got, v.Phrase())
		}
	}
	if v := query.NewValue("RED"); v.Lower() != "red" {
		t.Error(v.Lower())
	}
}
