package query_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/server/query"
)

// one is a document with the values of attributes.v alone.
type one []query.Value

func (d one) Values(field string) []query.Value {
	if field == "attributes.v" {
		return d
	}
	return nil
}

func (d one) Has(path string) bool {
	return len(d) > 0 && (path == "attributes.v" || path == "attributes")
}

func (d one) Each(yield func(query.Value) bool) {
	for _, v := range d {
		if !yield(v) {
			return
		}
	}
}

func TestMatchValue(t *testing.T) {
	text, number := query.NewValue, query.NumberValue
	for _, c := range []struct {
		name  string
		query string
		value query.Value
		want  bool
	}{
		{"case of other scripts", "ÅLESUND", text("Ålesund"), true},
		{"word among words", "whale", text("Blue  Whale\tsong"), true},
		{"part of a word", "wha", text("Blue Whale"), false},
		{"phrase across whitespace", `"blue whale"`, text(" Blue \n Whale"), true},
		{"phrase with a gap", `"blue song"`, text("blue whale song"), false},
		{"phrase after a false start", `"a b"`, text("a a b"), true},
		{"phrase longer than the value", `"a b c"`, text("a b"), false},
		{"one word is no phrase of two", `"a b"`, text("ab"), false},
		{"empty phrase on an empty value", `""`, text(""), true},
		{"empty phrase on blanks", `""`, text("  "), true},
		{"empty phrase on a word", `""`, text("a"), false},
		{"empty phrase on a number", `""`, number(0), false},
		{"number by value", "5", text("5.0"), true},
		{"number by value, quoted", `"5"`, number(5), true},
		{"exponent", "500", text("5e2"), true},
		{"minus zero", `"-0"`, number(0), true},
		{"1.1 is 1.10", "1.1", text("1.10"), true},
		{"a word that is a number among words", "5", text("build 5"), true},
		{"a number among words is text", "5.0", text("build 5"), false},
		{"not a JSON number", "05", text("5"), false},
		{"plus sign is text", "+5", text("5"), false},
		{"19 digits, same", "8944500102198304826", text("8944500102198304826"), true},
		{"19 digits, next", "8944500102198304826", text("8944500102198304827"), false},
		{"19 digits compare", "attributes.v>5", text("8944500102198304827"), true},
		{"2^53-1 by value", "9007199254740991.0", text("9007199254740991"), true},
		{"2^53 by text only", "9007199254740992.0", text("9007199254740992"), false},
		{"out of range literal is text", "1e999", text("1E999"), true},
		{"boolean", "TRUE", query.BoolValue(true), true},
		{"boolean and text", "true", text("True"), true},
		{"number is no boolean", "1", query.BoolValue(true), false},
		{"comparison with text", "attributes.v>5", text("v6"), false},
		{"comparison with words", "attributes.v>5", text("6 7"), false},
		{"range of numbers, text value", "[1 TO 9]", text("v5"), false},
		{"range of text, number value", "[1 TO b]", number(5), true},
		{"range of text by word", "[p TO q]", text("blue pump"), true},
		{"dotted versions are text", "[1.2.0 TO 1.9.0]", text("1.10.0"), false},
		{"dotted versions surprise", "[1.0.0 TO 1.2.0]", text("1.10.0"), true},
		{"exclusive text bounds", "{a TO b}", text("b"), false},
		{"open range wants a value only", "attributes.v:[* TO *]", text(""), true},
		{"range open below", "attributes.v:[* TO 5}", number(-1e300), true},
		{"? is one character", "?lesund", text("Ålesund"), true},
		{"? is not none", "a?", text("a"), false},
		{"? is not two", "a?", text("abc"), false},
		{"* may be empty", "a*b", text("ab"), true},
		{"* goes back", "*ab", text("aab"), true},
		{"two *", "a*b*c", text("abbbcb"), false},
		{"wildcard within a word only", "blue*whale", text("blue whale"), false},
		{"wildcard on any word", "wh*", text("blue whale"), true},
		{"wildcard and no word", "**", text(" "), false},
		{"escaped *", `a\*`, text("a*"), true},
		{"escaped * is literal", `a\*`, text("ab"), false},
		{"wildcard on a number", "8*2", number(812), true},
		{"small number", "1e-7", number(1e-7), true},
		{"large number", "1e21", number(1e21), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := mustParse(t, c.query)
			if got := q.Match(one{c.value}); got != c.want {
				t.Errorf("%q matches %+v: %t, want %t", c.query, c.value, got, c.want)
			}
		})
	}
}

// TestWildcardIsARegularExpression compares the matcher of patterns with
// another implementation of the same meaning.
func TestWildcardIsARegularExpression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[abø?]{0,1}[*?]?[abø?]{0,2}[*?][abø]{0,2}`).Draw(t, "pattern")
		word := rapid.StringMatching(`[abø]{1,12}`).Draw(t, "word")
		q, err := query.Parse("attributes.v:" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		expr := strings.NewReplacer("*", ".*", "?", ".").Replace(pattern)
		want := regexp.MustCompile("^" + expr + "$").MatchString(word)
		if got := q.Match(one{query.NewValue(word)}); got != want {
			t.Fatalf("%q matches %q: %t", pattern, word, got)
		}
	})
}

// TestPhraseIsARun compares the search for words that stand together with one
// that begins anew at every word.
func TestPhraseIsARun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.StringMatching(`[ab]( [ab]){1,4}`).Draw(t, "words")
		text := rapid.StringMatching(`[ab]( [ab]){0,12}`).Draw(t, "text")
		q, err := query.Parse(fmt.Sprintf("attributes.v:%q", words))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Contains(" "+text+" ", " "+words+" ")
		if got := q.Match(one{query.NewValue(text)}); got != want {
			t.Fatalf("%q matches %q: %t", words, text, got)
		}
	})
}

// BenchmarkHostileMatch is what a value of the most that a shadow holds can
// cost a query that was made to be slow with it.
func BenchmarkHostileMatch(b *testing.B) {
	a := func(n int) string { return strings.Repeat("a", n) }
	words := func(n int) string { return strings.Repeat("a ", n) }
	for _, c := range []struct{ name, query, value string }{
		{"short pattern", "attributes.v:*aaab*", a(8000)},
		{"long pattern", "attributes.v:*" + a(4000) + "b*", a(8000)},
		{"pattern with marks", "attributes.v:*" + a(2000) + "b?" + a(2000) + "*", a(8000)},
		{"pattern with marks, late miss", "attributes.v:*a?" + a(4000) + "b*", a(8000)},
		{"phrase", `attributes.v:"` + words(2000) + `b"`, words(4000)},
	} {
		q, value := mustParse(b, c.query), one{query.NewValue(c.value)}
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if q.Match(value) {
					b.Fatal("matches")
				}
			}
		})
	}
}

// TestNumberLiteral compares what counts as a number with encoding/json.
func TestNumberLiteral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`-?[0-9]{0,3}(\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?[a-z+]?`).Draw(t, "text")
		var f float64
		want := json.Unmarshal([]byte(s), &f) == nil
		v := query.NewValue(s)
		if v.IsNum != want || v.IsNum && v.Num != f {
			t.Fatalf("%q: number %t %v, JSON says %t %v", s, v.IsNum, v.Num, want, f)
		}
	})
}

func TestNumberValueText(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 12.5: "12.5", -3: "-3", 1740830391004: "1740830391004", 1e20: "100000000000000000000", 1e21: "1e+21", 1e-7: "1e-07",
	} {
		if v := query.NumberValue(f); v.Text != want || !v.Equal(query.NumberValue(f)) {
			t.Errorf("number %v has text %q, want %q", f, v.Text, want)
		}
	}
}

func TestValueEqual(t *testing.T) {
	values := []query.Value{
		query.NewValue("true"), query.BoolValue(true), query.NewValue("5"), query.NewValue("5.0"), query.NewValue(""), query.NewValue("TRUE"),
	}
	for i, v := range values {
		for j, w := range values {
			if v.Equal(w) != (i == j) {
				t.Errorf("%+v equals %+v: %t", v, w, v.Equal(w))
			}
		}
	}
	if !query.NewValue("5").Equal(query.NumberValue(5)) {
		t.Error("no query can tell the text 5 from the number 5, yet they differ")
	}
}

func TestExplain(t *testing.T) {
	q := mustParse(t, "attributes.v:5 AND NOT (attributes.v>5 OR attributes.w:*)")
	got := q.Explain(one{query.NewValue("5.0"), query.NewValue("x")})
	want := query.Explanation{
		Operator: "AND", Text: "attributes.v:5 AND NOT (attributes.v>5 OR attributes.w:*)", Matched: true,
		Children: []query.Explanation{
			{Text: "attributes.v:5", Matched: true, Field: "attributes.v", Seen: []string{"5.0", "x"}},
			{Operator: "NOT", Text: "NOT (attributes.v>5 OR attributes.w:*)", Matched: true, Children: []query.Explanation{
				{Operator: "OR", Text: "attributes.v>5 OR attributes.w:*", Children: []query.Explanation{
					{Text: "attributes.v>5", Field: "attributes.v", Seen: []string{"5.0", "x"}},
					{Text: "attributes.w:*", Field: "attributes.w"},
				}},
			}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	many := make(one, 50)
	for i := range many {
		many[i] = query.NumberValue(float64(i))
	}
	if seen := mustParse(t, "attributes.v:*").Explain(many).Seen; len(seen) != 10 {
		t.Errorf("explanation shows %d values", len(seen))
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	doc := fixtures(t)["A"]
	for _, s := range []string{
		"connectivity.connected:true AND attributes.softwareVersion:5",
		"NOT attributes.site:(bergen OR x) attributes.temp:[60 TO 80] attributes.temp>5",
		`thingName:pump* thingName:p*7 shadow.reported.fw.name:"blue whale" shadow.reported.fw:*`,
	} {
		q := mustParse(t, s)
		if !q.Match(doc) {
			t.Errorf("%q does not match", s)
		}
		if n := testing.AllocsPerRun(100, func() { q.Match(doc) }); n != 0 {
			t.Errorf("%q allocates %v times", s, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	doc := fixtures(b)["A"]
	for _, s := range []string{
		"connectivity.connected:true AND attributes.softwareVersion:5",
		"thingName:p*7", "attributes.temp:[60 TO 80]", "blue",
	} {
		q := mustParse(b, s)
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				q.Match(doc)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := query.Parse("connectivity.connected:true AND attributes.softwareVersion:5"); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleParse() {
	q, err := query.Parse(`attributes.site:(oslo OR bergen) -"blue whale"`)
	fmt.Println(q, err)
	_, err = query.Parse("attributes.site:(oslo OR )")
	fmt.Println(err)
	// Output:
	// (attributes.site:oslo OR attributes.site:bergen) AND NOT "blue whale" <nil>
	// cannot parse query: column 26: found ")", want a value of "attributes.site"
}
