package query

import (
	"math"
	"slices"
	"strings"
)

// Cond is what a term demands of one value: [Exists], [Words], [Wildcard],
// [Comparison] or [Range], each as a pointer.
type Cond interface {
	// Match reports whether the value satisfies the condition.
	Match(Value) bool
	print(p *printer, fieldless bool)
}

// Exists is the condition of field:* - any value at the field or below it.
type Exists struct{}

// Match is always true: a value that is there exists.
func (*Exists) Match(Value) bool { return true }

// Words is the condition of a word or a phrase: these words, next to each
// other and in this order. No words at all ask for a value without words.
type Words struct {
	// Text holds the words as written.
	Text []string

	lower []string
	// repeats holds, for every word of several, how many of the first words
	// stand again right before and with it: where to go on after a mismatch.
	repeats []int
	num     float64
	isNum   bool // one word that is a number literal
}

func newWords(text []string) *Words {
	c := &Words{Text: text, lower: make([]string, len(text))}
	for i, w := range text {
		c.lower[i] = strings.ToLower(w)
	}
	if len(text) == 1 {
		c.num, c.isNum = number(text[0])
	} else {
		c.repeats = repeats(c.lower)
	}
	return c
}

// Match reports whether the words occur in the value, or equal it as a number.
func (c *Words) Match(v Value) bool {
	switch {
	case len(c.lower) == 0:
		return v.words != nil && len(v.words) == 0
	case len(c.lower) > 1:
		return c.standIn(v.words)
	case c.isNum && v.IsNum && c.num == v.Num && math.Abs(c.num) <= maxExact:
		return true
	case v.words == nil:
		return v.lower == c.lower[0]
	default:
		return slices.Contains(v.words, c.lower[0])
	}
}

// standIn reports whether the words occur in others without gaps. It looks at
// each of the others once and goes back in its own words only (the algorithm
// of Knuth, Morris and Pratt): a device must not be able to make it slow.
func (c *Words) standIn(words []string) bool {
	n := 0 // of the words that stand right before
	for _, word := range words {
		for n > 0 && c.lower[n] != word {
			n = c.repeats[n-1]
		}
		if c.lower[n] == word {
			n++
		}
		if n == len(c.lower) {
			return true
		}
	}
	return false
}

// repeats returns for each word how many words up to it are also the first ones.
func repeats(words []string) []int {
	all := make([]int, len(words))
	n := 0
	for i := 1; i < len(words); i++ {
		for n > 0 && words[n] != words[i] {
			n = all[n-1]
		}
		if words[n] == words[i] {
			n++
		}
		all[i] = n
	}
	return all
}

// Comparison is the condition of field<n, field>n, field<=n and field>=n. Only
// values that are numbers can satisfy it.
type Comparison struct {
	// Op is one of < > <= >=.
	Op string
	// Literal is the number as written, Number what it is worth.
	Literal string
	Number  float64
}

// Match reports whether the value is a number on the right side of c.Number.
func (c *Comparison) Match(v Value) bool {
	if !v.IsNum {
		return false
	}
	switch c.Op {
	case "<":
		return v.Num < c.Number
	case "<=":
		return v.Num <= c.Number
	case ">":
		return v.Num > c.Number
	default:
		return v.Num >= c.Number
	}
}

// Bound is one end of a [Range].
type Bound struct {
	// Open is an end without bound, written *; the other fields are then zero.
	Open bool
	// Text is the bound as written.
	Text string
	// Exclusive leaves the bound itself out, written { or }.
	Exclusive bool

	lower string
	num   float64
	isNum bool
}

func newBound(text string) Bound {
	b := Bound{Text: text, lower: strings.ToLower(text)}
	b.num, b.isNum = number(text)
	return b
}

// Range is the condition of [low TO high]. It compares numbers when both
// bounds are numbers (an open end aside), and otherwise words in text order.
type Range struct {
	Low, High Bound
}

// Numeric reports whether the range compares numbers.
func (c *Range) Numeric() bool {
	return (c.Low.isNum || c.Low.Open) && (c.High.isNum || c.High.Open) && !(c.Low.Open && c.High.Open)
}

// Match reports whether the value lies within the bounds.
func (c *Range) Match(v Value) bool {
	if c.Low.Open && c.High.Open {
		return true
	}
	if c.Numeric() {
		return v.IsNum && c.holdsNumber(v.Num)
	}
	return v.anyWord(c.holdsWord)
}

func (c *Range) holdsNumber(n float64) bool {
	switch {
	case !c.Low.Open && (n < c.Low.num || c.Low.Exclusive && n == c.Low.num):
		return false
	case !c.High.Open && (n > c.High.num || c.High.Exclusive && n == c.High.num):
		return false
	}
	return true
}

func (c *Range) holdsWord(w string) bool {
	switch {
	case !c.Low.Open && (w < c.Low.lower || c.Low.Exclusive && w == c.Low.lower):
		return false
	case !c.High.Open && (w > c.High.lower || c.High.Exclusive && w == c.High.lower):
		return false
	}
	return true
}
