package query

import (
	"math"
	"slices"
)

// Lower returns the value in lower case, as terms compare it.
func (v Value) Lower() string { return v.lower }

// Phrase reports whether the value is not a single word: it holds whitespace,
// or nothing.
func (v Value) Phrase() bool { return v.words != nil }

// Words yields the words of the value in lower case, in order, until yield
// returns false.
func (v Value) Words(yield func(word string) bool) {
	v.anyWord(func(word string) bool { return !yield(word) })
}

// Lower returns the words in lower case. They are read-only.
func (c *Words) Lower() []string { return c.lower }

// Number returns the number that the condition equals, if it is one word that
// is a number which floating point tells apart from its neighbours; any value
// of that number satisfies it then, besides the same text.
func (c *Words) Number() (n float64, ok bool) {
	return c.num, c.isNum && math.Abs(c.num) <= maxExact
}

// Prefix returns what a word has to begin with in lower case, which may be
// nothing, and whether that is all that is asked of it.
func (c *Wildcard) Prefix() (prefix string, all bool) {
	i := slices.IndexFunc(c.lower, func(r rune) bool { return r < 0 })
	return string(c.lower[:i]), i == len(c.lower)-1 && c.lower[i] == AnyRun
}

// Interval is a set of numbers that lie next to each other. An end without
// bound is infinite.
type Interval struct {
	Low, High                   float64
	LowExclusive, HighExclusive bool
}

// Contains reports whether n lies within the bounds.
func (i Interval) Contains(n float64) bool {
	return (n > i.Low || n == i.Low && !i.LowExclusive) && (n < i.High || n == i.High && !i.HighExclusive)
}

// Interval returns the numbers that satisfy the comparison.
func (c *Comparison) Interval() Interval {
	i := Interval{Low: math.Inf(-1), High: math.Inf(1)}
	switch c.Op {
	case "<":
		i.High, i.HighExclusive = c.Number, true
	case "<=":
		i.High = c.Number
	case ">":
		i.Low, i.LowExclusive = c.Number, true
	default:
		i.Low = c.Number
	}
	return i
}

// Interval returns the numbers that satisfy a range of numbers.
func (c *Range) Interval() (i Interval, ok bool) {
	i = Interval{Low: math.Inf(-1), High: math.Inf(1)}
	if !c.Low.Open {
		i.Low, i.LowExclusive = c.Low.num, c.Low.Exclusive
	}
	if !c.High.Open {
		i.High, i.HighExclusive = c.High.num, c.High.Exclusive
	}
	return i, c.Numeric()
}

// Lower returns the bound in lower case, as words compare with it.
func (b Bound) Lower() string { return b.lower }
