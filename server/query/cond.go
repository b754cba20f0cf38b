package query

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
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
	num   float64
	isNum bool // one word that is a number literal
}

func newWords(text []string) *Words {
	c := &Words{Text: text, lower: make([]string, len(text))}
	for i, w := range text {
		c.lower[i] = strings.ToLower(w)
	}
	if len(text) == 1 {
		c.num, c.isNum = number(text[0])
	}
	return c
}

// Match reports whether the words occur in the value, or equal it as a number.
func (c *Words) Match(v Value) bool {
	switch {
	case len(c.lower) == 0:
		return v.words != nil && len(v.words) == 0
	case len(c.lower) > 1:
		return containsRun(v.words, c.lower)
	case c.isNum && v.IsNum && c.num == v.Num && math.Abs(c.num) <= maxExact:
		return true
	case v.words == nil:
		return v.lower == c.lower[0]
	default:
		return slices.Contains(v.words, c.lower[0])
	}
}

// containsRun reports whether run occurs in words without gaps.
func containsRun(words, run []string) bool {
	for ; len(words) >= len(run); words = words[1:] {
		if slices.Equal(words[:len(run)], run) {
			return true
		}
	}
	return false
}

// The runes that stand for wildcards in a pattern; no text holds them.
const (
	AnyRun rune = -1 - iota // *, any run of characters, also none
	AnyOne                  // ?, exactly one character
)

// Wildcard is the condition of a word with * or ? in it.
type Wildcard struct {
	pattern []rune // as written, wildcards as AnyRun and AnyOne
	lower   []rune
	prefix  string // lower case; set when the pattern is plain text and one final *
}

func newWildcard(pattern []rune) *Wildcard {
	c := &Wildcard{pattern: pattern, lower: make([]rune, len(pattern))}
	wild := 0
	for i, r := range pattern {
		if r < 0 {
			wild++
			c.lower[i] = r
			continue
		}
		c.lower[i] = unicode.ToLower(r)
	}
	if last := len(pattern) - 1; wild == 1 && last > 0 && pattern[last] == AnyRun {
		c.prefix = string(c.lower[:last])
	}
	return c
}

// Pattern returns the word as written, with AnyRun and AnyOne for its
// wildcards. The caller owns the slice.
func (c *Wildcard) Pattern() []rune { return slices.Clone(c.pattern) }

// Match reports whether a word of the value fits the pattern as a whole.
func (c *Wildcard) Match(v Value) bool {
	if c.prefix != "" {
		return v.anyWord(c.hasPrefix)
	}
	return v.anyWord(c.fits)
}

func (c *Wildcard) hasPrefix(word string) bool { return strings.HasPrefix(word, c.prefix) }

// fits matches word against the pattern, going back to the last * on a miss.
func (c *Wildcard) fits(word string) bool {
	at := 0                  // in the pattern
	star, resume := -1, word // the last * seen, and what it has not taken yet
	for word != "" {
		r, size := utf8.DecodeRuneInString(word)
		switch {
		case at < len(c.lower) && c.lower[at] == AnyRun:
			star, resume = at, word
			at++
		case at < len(c.lower) && (c.lower[at] == r || c.lower[at] == AnyOne):
			at++
			word = word[size:]
		case star >= 0:
			_, size := utf8.DecodeRuneInString(resume)
			resume = resume[size:]
			at, word = star+1, resume
		default:
			return false
		}
	}
	for at < len(c.lower) && c.lower[at] == AnyRun {
		at++
	}
	return at == len(c.lower)
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
