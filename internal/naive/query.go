package naive

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/muster-iot/muster/server/query"
)

// Matches reports whether a query is true of a thing (AWS IoT reference 3.4).
func Matches(q *query.Query, t Thing) bool { return t.document().satisfies(q.Root()) }

// MatchesGroup reports whether a query of the index of thing groups is true of
// one.
func MatchesGroup(q *query.Query, g Group) bool { return g.document().satisfies(q.Root()) }

// satisfies walks the tree of a query.
func (d document) satisfies(n query.Node) bool {
	switch n := n.(type) {
	case *query.And:
		for _, child := range n.Nodes {
			if !d.satisfies(child) {
				return false
			}
		}
		return true
	case *query.Or:
		for _, child := range n.Nodes {
			if d.satisfies(child) {
				return true
			}
		}
		return false
	case *query.Not:
		return !d.satisfies(n.Node)
	case *query.Everything:
		return true
	case *query.Term:
		return d.has(n)
	}
	panic(fmt.Sprintf("unknown part of a query: %T", n))
}

// has reports whether one of the values that a term looks at is as it asks.
func (d document) has(n *query.Term) bool {
	if _, ok := n.Cond.(*query.Exists); ok {
		return d.exists(n.Field)
	}
	for field, values := range d.fields {
		if n.Field != "" && field != n.Field || n.Field == "" && !d.open[field] {
			continue
		}
		for _, v := range values {
			if v.satisfies(n.Cond) {
				return true
			}
		}
	}
	return false
}

// exists reports whether there is a value at a path or below it.
func (d document) exists(path string) bool {
	for field := range d.fields {
		if field == path || strings.HasPrefix(field, path+".") {
			return true
		}
	}
	return false
}

func (v value) satisfies(c query.Cond) bool {
	switch c := c.(type) {
	case *query.Words:
		return v.hasWords(c.Text)
	case *query.Wildcard:
		form := patternOf(c.Pattern())
		for _, w := range v.words() {
			if form.MatchString(w) {
				return true
			}
		}
		return false
	case *query.Comparison:
		n, ok := v.number()
		return ok && map[string]bool{"<": n < c.Number, "<=": n <= c.Number, ">": n > c.Number, ">=": n >= c.Number}[c.Op]
	case *query.Range:
		return v.inRange(c.Low, c.High)
	}
	panic(fmt.Sprintf("unknown condition of a query: %T", c))
}

// words are the words of a value, in lower case.
func (v value) words() []string { return strings.Fields(strings.ToLower(v.text)) }

// hasWords looks for consecutive words, of which one may be a number.
func (v value) hasWords(want []string) bool {
	words := v.words()
	if len(want) == 0 {
		return len(words) == 0
	}
	if len(want) == 1 {
		a, aOK := numberOf(want[0])
		b, bOK := v.number()
		const exact = 1<<53 - 1 // beyond it only the same text is equal
		if aOK && bOK && a == b && a <= exact && a >= -exact {
			return true
		}
	}
	for first := range words {
		if len(words)-first >= len(want) && begins(words[first:], want) {
			return true
		}
	}
	return false
}

func begins(words, want []string) bool {
	for i, w := range want {
		if words[i] != strings.ToLower(w) {
			return false
		}
	}
	return true
}

// patternOf makes the regular expression of a word with wildcards.
func patternOf(pattern []rune) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("(?s)^")
	for _, r := range pattern {
		switch r {
		case query.AnyRun:
			b.WriteString(".*")
		case query.AnyOne:
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(strings.ToLower(string(r))))
		}
	}
	b.WriteString("$")
	return regexp.MustCompile(b.String())
}

// inRange compares numbers when both bounds are, an open one aside, and words
// as text otherwise.
func (v value) inRange(from, to query.Bound) bool {
	if from.Open && to.Open {
		return true
	}
	low, lowOK := numberOf(from.Text)
	high, highOK := numberOf(to.Text)
	if (lowOK || from.Open) && (highOK || to.Open) {
		n, ok := v.number()
		return ok && (from.Open || n > low || n == low && !from.Exclusive) && (to.Open || n < high || n == high && !to.Exclusive)
	}
	first, last := strings.ToLower(from.Text), strings.ToLower(to.Text)
	for _, w := range v.words() {
		if (from.Open || w > first || w == first && !from.Exclusive) && (to.Open || w < last || w == last && !to.Exclusive) {
			return true
		}
	}
	return false
}

// number is what a value is worth, unless it is none or a boolean.
func (v value) number() (float64, bool) {
	if v.isBool {
		return 0, false
	}
	return numberOf(v.text)
}

// numberOf reads a JSON number.
func numberOf(s string) (float64, bool) {
	if s == "" || strings.TrimSpace(s) != s || !json.Valid([]byte(s)) || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
