package query_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
	"github.com/muster-iot/muster/server/rules"
)

func TestLimits(t *testing.T) {
	long := "thingName:" + strings.Repeat("ø", 95) + " thingTypeName:*p"
	for _, c := range []struct {
		name, query string
		limits      query.Limits
		want        string // part of the error; empty: none
	}{
		{"no limits", "*a *b *c", query.Limits{}, ""},
		{"terms at the limit", "a b", query.Limits{Terms: 2}, ""},
		{"terms over the limit", "a b -c", query.Limits{Terms: 2}, "column 6: found term 3, want at most 2 terms"},
		{"values of a field are terms", "attributes.x:(a OR b c)", query.Limits{Terms: 2}, "column 22: found term 3"},
		{"existence is a term", "* attributes.x:*", query.Limits{Terms: 1}, "column 16: found term 2"},
		{"a range is a term", "a attributes.x:[1 TO 2]", query.Limits{Terms: 1}, "column 16: found term 2"},
		{"a comparison is a term", "a attributes.x<1", query.Limits{Terms: 1}, "column 16: found term 2"},
		{"length at the limit, in characters", "øøø", query.Limits{Length: 3}, ""},
		{"length over the limit", "øøøø", query.Limits{Length: 3}, "column 4: found more text, want at most 3 characters"},
		{"length comes before syntax", "((((", query.Limits{Length: 3}, "want at most 3 characters"},
		{"one leading wildcard", "*a b", query.Limits{FewLeadingWildcards: true}, ""},
		{"existence is no leading wildcard", "* thingName:* thingTypeName:* *a", query.Limits{FewLeadingWildcards: true}, ""},
		{"two leading wildcards", "*a ?b", query.Limits{FewLeadingWildcards: true}, `column 4: found a second word that begins with a wildcard, "?b"`},
		{"leading wildcard in a long query", long, query.Limits{FewLeadingWildcards: true}, "column 121: found the word \"*p\", which begins with a wildcard, in a query of 122 characters, want at most 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := query.ParseWithin(query.Things, c.query, c.limits)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("error %v", err)
			case c.want != "" && (protocol.CodeOf(err) != protocol.InvalidQuery || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want InvalidQuery with %q", err, c.want)
			}
		})
	}
}

// TestHostileQueries are refused by what they cost: with no more memory than
// the largest query that is allowed, and with a short message.
func TestHostileQueries(t *testing.T) {
	safe := rules.SafeLimits()
	limits := query.Limits{Terms: safe.QueryTerms, Length: safe.QueryLength}
	for _, c := range []struct{ name, query, want string }{
		{"a megabyte", strings.Repeat("a", 1<<20), "column 10001: found more text"},
		{"a megabyte of what is not UTF-8", strings.Repeat("\xff", 1<<20), "column 10001: found more text"},
		{"10,000 terms", strings.Repeat("a ", 10_000), "column 10001: found more text"},
		{"5,000 terms", strings.Repeat("a ", 5_000), "column 201: found term 101"},
		{"1,000 brackets", strings.Repeat("(", 1000) + "a" + strings.Repeat(")", 1000), "column 65: found parentheses and negations nested deeper than 64 levels"},
		{"1,000 open brackets", strings.Repeat("(", 1000), "column 65:"},
		{"1,000 NOT", strings.Repeat("NOT ", 1000) + "a", "column 257: found parentheses and negations nested deeper than 64 levels"},
		{"5,000 minus signs", strings.Repeat("-", 5000) + "a", "column 65:"},
		{"1,000 brackets of a field", "thingName:" + strings.Repeat("(", 1000), "column 75:"},
		{"100,000 brackets", strings.Repeat("(", 100_000), "column 10001: found more text"},
		{"stars", "thingName:a*a*a*a*b", `column 11: found 4 "*" and 0 "?"`},
		{"question marks", "thingName:" + strings.Repeat("?", 5000), `column 11: found 0 "*" and 5000 "?"`},
		{"NUL does no harm alone", "thingName:\x00:", `column 12: found ":"`},
		{"not UTF-8", "thingName:a\xffb", "column 12: found bytes that are not UTF-8"},
		{"half a surrogate", "thingName:\xed\xa0\x80", "column 11: found bytes that are not UTF-8"},
		{"1e400", "attributes.v>1e400", `column 14: found "1e400", want a number that is finite`},
		{"-1e400", "attributes.v<-1e400", `column 14: found "-1e400", want a number that is finite`},
		{"1e400 as a bound", "attributes.v:[0 TO 1e400]", `column 20: found "1e400", want a number that is finite`},
		{"NaN", "attributes.v>NaN", `column 14: found "NaN", want a number`},
		{"Infinity", "attributes.v<=Infinity", `column 15: found "Infinity", want a number`},
		{"hexadecimal", "attributes.v>=0x10", `column 15: found "0x10", want a number`},
		{"plus", "attributes.v>+5", `column 14: found "+5", want a number`},
		{"no digit before the point", "attributes.v>.5", `column 14: found ".5", want a number`},
		{"geo", "shadow.reported.pos:geo_distance,59.9,10.7,10km", "column 21: found \"geo_distance,59.9,10.7,10km\": geo queries are not supported yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := query.ParseWithin(query.Things, c.query, limits)
			runtime.ReadMemStats(&after)
			if protocol.CodeOf(err) != protocol.InvalidQuery || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want InvalidQuery with %q", err, c.want)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("message of %d bytes", len(err.Error()))
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 200<<10 {
				t.Errorf("refusal allocates %d bytes", allocated)
			}
		})
	}
}

// TestOddNumbers are words like others: only JSON numbers compare by value.
func TestOddNumbers(t *testing.T) {
	for _, c := range []struct {
		name, query, value string
		want               bool
	}{
		{"1e400 finds its own text", "attributes.v:1e400", "1e400", true},
		{"1e400 does not find 1e401", "attributes.v:1e400", "1e401", false},
		{"1e-400 is worth nothing", "attributes.v:1e-400", "0", true},
		{"NaN is a word", "attributes.v:nan", "NaN", true},
		{"NaN is not a number", "attributes.v>0", "NaN", false},
		{"NaN is in no range of numbers", "attributes.v:[-1e308 TO 1e308]", "NaN", false},
		{"Infinity is a word", "attributes.v:Infinity", "infinity", true},
		{"a value of 1e400 is no number", "attributes.v>0", "1e400", false},
		{"0x10 is a word", "attributes.v:0x10", "0X10", true},
		{"0x10 is not 16", "attributes.v:16", "0x10", false},
		{"+5 is a word", "attributes.v:+5", "+5", true},
		{"+5 is not 5", "attributes.v:+5", "5", false},
		{".5 is a word", "attributes.v:.5", ".5", true},
		{".5 is not 0.5", "attributes.v:.5", "0.5", false},
		{"a serial number of 19 digits", "attributes.v:9223372036854775807", "9223372036854775807", true},
		{"its neighbour", "attributes.v:9223372036854775807", "9223372036854775806", false},
		{"serial numbers of 19 digits as bounds", "attributes.v:[9223372036854775807 TO *]", "9223372036854775807", true},
		{"-0 is 0", "attributes.v:-0", "0", true},
		{"NUL is a character", "attributes.v:a\x00b", "A\x00B", true},
		{"NUL ends nothing", "attributes.v:a\x00b", "a", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mustParse(t, c.query).Match(one{query.NewValue(c.value)}); got != c.want {
				t.Errorf("%q matches %q: %t, want %t", c.query, c.value, got, c.want)
			}
		})
	}
}
