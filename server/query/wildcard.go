package query

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The runes that stand for wildcards in a pattern; no text holds them.
const (
	AnyRun rune = -1 - iota // *, any run of characters, also none
	AnyOne                  // ?, exactly one character
)

// Wildcard is the condition of a word with * or ? in it.
type Wildcard struct {
	pattern []rune // as written, wildcards as AnyRun and AnyOne
	lower   []rune
	// parts are what stands between the *, in lower case: one more than there are *.
	parts []part
	// least is the length of the shortest word that can fit, in bytes.
	least int
}

// part is text in which a ? stands between every two pieces.
type part []string

func newWildcard(pattern []rune) *Wildcard {
	c := &Wildcard{pattern: pattern, lower: make([]rune, len(pattern))}
	for i, r := range pattern {
		c.lower[i] = r
		if r >= 0 {
			c.lower[i] = unicode.ToLower(r)
		}
	}
	for _, runes := range split(c.lower, AnyRun) {
		var p part
		for _, piece := range split(runes, AnyOne) {
			p = append(p, string(piece))
			c.least += len(p[len(p)-1])
		}
		c.least += len(p) - 1
		c.parts = append(c.parts, p)
	}
	return c
}

// split cuts runes at every separator.
func split(runes []rune, separator rune) [][]rune {
	var pieces [][]rune
	for {
		i := slices.Index(runes, separator)
		if i < 0 {
			return append(pieces, runes)
		}
		pieces, runes = append(pieces, runes[:i]), runes[i+1:]
	}
}

// Pattern returns the word as written, with AnyRun and AnyOne for its
// wildcards. The caller owns the slice.
func (c *Wildcard) Pattern() []rune { return slices.Clone(c.pattern) }

// Match reports whether a word of the value fits the pattern as a whole.
func (c *Wildcard) Match(v Value) bool { return v.anyWord(c.fits) }

// fits matches word against the pattern: the first part stands at its
// beginning, the last one at its end, and every other one as far to the left
// as it can. Only the search for those looks at a character more than once.
func (c *Wildcard) fits(word string) bool {
	if len(word) < c.least {
		return false
	}
	rest, ok := c.parts[0].cut(word)
	last := len(c.parts) - 1
	if !ok || last == 0 {
		return ok && rest == ""
	}
	if rest, ok = c.parts[last].cutEnd(rest); !ok {
		return false
	}
	for _, p := range c.parts[1:last] {
		if rest, ok = p.cutFirst(rest); !ok {
			return false
		}
	}
	return true
}

// cut returns what follows the part if word begins with it.
func (p part) cut(word string) (rest string, ok bool) {
	for i, piece := range p {
		if i > 0 {
			_, size := utf8.DecodeRuneInString(word)
			if size == 0 {
				return "", false
			}
			word = word[size:]
		}
		if word, ok = strings.CutPrefix(word, piece); !ok {
			return "", false
		}
	}
	return word, true
}

// cutEnd returns what precedes the part if word ends with it.
func (p part) cutEnd(word string) (rest string, ok bool) {
	for i, piece := range slices.Backward(p) {
		if word, ok = strings.CutSuffix(word, piece); !ok {
			return "", false
		}
		if i > 0 {
			_, size := utf8.DecodeLastRuneInString(word)
			if size == 0 {
				return "", false
			}
			word = word[:len(word)-size]
		}
	}
	return word, true
}

// cutFirst returns what follows the part where it first occurs in word.
func (p part) cutFirst(word string) (rest string, ok bool) {
	for _, piece := range p[1:] { // else it could be a long way to a miss
		if !strings.Contains(word, piece) {
			return "", false
		}
	}
	for {
		at := strings.Index(word, p[0])
		if at < 0 {
			return "", false
		}
		word = word[at:]
		if rest, ok := p.cut(word); ok {
			return rest, true
		}
		_, size := utf8.DecodeRuneInString(word)
		if size == 0 {
			return "", false
		}
		word = word[size:]
	}
}
