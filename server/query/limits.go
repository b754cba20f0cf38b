package query

import (
	"fmt"
	"unicode/utf8"
)

// Limits bound a query beyond its syntax; zero is no limit (AWS IoT reference
// 3.4 "Limits", rule 24).
type Limits struct {
	// Terms is the largest number of terms.
	Terms int
	// Length is the largest number of characters.
	Length int
	// FewLeadingWildcards allows a wildcard as the first character of a term
	// only once, and only in a query of at most leadingLength characters, as
	// AWS does.
	FewLeadingWildcards bool
}

// leadingLength is the longest query in which AWS allows a leading wildcard.
const leadingLength = 100

// checkLength refuses a query that is too long, without reading more of it
// than it may have.
func (l Limits) checkLength(s string) error {
	if l.Length == 0 || len(s) <= l.Length || utf8.RuneCountInString(s) <= l.Length {
		return nil
	}
	return syntaxError(l.Length+1, fmt.Sprintf("found more text, want at most %d characters in a query", l.Length))
}

// count takes down a term, whose value begins at tok.
func (p *parser) count(tok token) error {
	p.terms++
	if most := p.limits.Terms; most > 0 && p.terms > most {
		return syntaxError(tok.column, fmt.Sprintf("found term %d, want at most %d terms in a query", p.terms, most))
	}
	return nil
}

// countLeading takes down a term with wildcards if it begins with one.
func (p *parser) countLeading(tok token) error {
	if tok.pattern[0] >= 0 || !p.limits.FewLeadingWildcards {
		return nil
	}
	p.leading++
	switch length := len(p.lex.input); {
	case p.leading > 1:
		return syntaxError(tok.column, fmt.Sprintf("found a second word that begins with a wildcard, %s, want at most 1 in a query", tok.found()))
	case length > leadingLength:
		return syntaxError(tok.column, fmt.Sprintf("found the word %s, which begins with a wildcard, in a query of %d characters, want at most %d with it", tok.found(), length, leadingLength))
	}
	return nil
}
